"""Pickles as data: foreign classes, malicious names, and bombs."""

import argparse
import datetime
import functools
import io
import pathlib
import pickle
import struct
import sys
import tracemalloc

import pytest

from tf_ssl import errors
from tf_ssl.export import inert_pickle


class _Foreign:
  """A class that acts whenever Python would build an object of it."""

  class Inner(dict):
    pass

  def __init__(self, *arguments):
    raise AssertionError("built")

  __setstate__ = __setitem__ = append = __init__

  def __reduce__(self):
    state, items, pairs = {"lr": 1}, iter([2, 3]), iter([("four", 4)])
    return _Foreign, (1,), state, items, pairs


def _loaded(stream, path="a.pkl"):
  return inert_pickle.Unpickler(io.BytesIO(stream), path).load()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_of_unknown_classes_are_only_names(protocol):
  content = {
    "foreign": _Foreign.__new__(_Foreign),
    "inner": _Foreign.Inner(a=5),
    "partial": functools.partial(max, 1, key=len),
    "settings": argparse.Namespace(lr=0.1),
    "date": datetime.date(2026, 1, 2),
    "path": pathlib.PurePosixPath("a"),
    "function": _loaded,
    "end": 7,
  }
  found = _loaded(pickle.dumps(content, protocol))
  assert list(found) == list(content) and found["end"] == 7
  names = {
    key: value.name.removeprefix(f"{__name__}.")
    for key, value in found.items()
    if isinstance(value, inert_pickle.Placeholder)
  }
  assert names == {
    "foreign": "_Foreign",
    "inner": "_Foreign.Inner",
    "partial": "functools.partial",
    "settings": "argparse.Namespace",
    "date": "datetime.date",
    "path": "pathlib.PurePosixPath",
  }
  assert found["foreign"].entries == [(0, 2), (1, 3), ("four", 4)]
  assert found["inner"].entries == [("a", 5)]


@pytest.mark.parametrize(
  "name",
  [
    "builtins\neval",
    "__builtin__\nexec",
    "io\nopen",
    "nt\nsystem",
    "subprocess\nPopen",
    "importlib\nimport_module",
    "pathlib\nPath.unlink",
    "torch.hub\nload",
  ],
)
def test_names_of_the_system_are_refused_even_uncalled(name):
  with pytest.raises(errors.UsageError, match="not known to be data"):
    _loaded(f"c{name}\n.".encode())


def test_methods_by_getattr_are_refused_as_by_name():
  stream = b"cbuiltins\ngetattr\n(cpathlib\nPath\nVunlink\ntR."
  with pytest.raises(errors.UsageError, match="calls pathlib.Path.unlink"):
    _loaded(stream)


def _bomb(kind):
  if kind == "memo":
    return b"\x80\x02Nr\x00\x00\x00\x40."
  if kind == "bytearray":
    return b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc."
  if kind == "bytes":
    return b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc."
  if kind == "frame":
    return b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N."
  if kind == "copied text":
    text = b"X" + struct.pack("<I", 10**5) + b"a" * 10**5
    call = b"c_codecs\nencode\nq\x01" + text + b"\x85q\x02R"
    return b"\x80\x02]" + call + b"ah\x01h\x02Ra" * 10**4 + b"."
  if kind == "copied list":
    pairs = (b"M" + struct.pack("<H", i) + b"N\x86" for i in range(10**4))
    items = b"](" + b"".join(pairs) + b"e\x85q\x02"
    call = b"ccollections\nOrderedDict\nq\x01" + items + b"00"
    return b"\x80\x02]" + call + b"h\x01h\x02Ra" * 10**4 + b"."
  assert kind == "key"
  return b"\x80\x02})" + b"\x85" * 300_000 + b"Ns."


@pytest.mark.parametrize(
  "kind",
  "memo bytearray bytes frame copied_text copied_list key".split(),
)
def test_a_small_pickle_cannot_fill_memory_or_crash(kind):
  stream = _bomb(kind.replace("_", " "))
  assert len(stream) < 500_000
  tracemalloc.start()
  try:
    found = _loaded(stream)
  except (EOFError, ValueError):
    assert kind not in ("memo", "frame", "key")
  else:
    assert kind in ("memo", "frame", "key")
    assert found is None or len(found) == 1
  finally:
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
  assert peak < 100e6


def test_a_pickle_with_too_many_parts_is_refused(monkeypatch):
  monkeypatch.setattr(inert_pickle, "_MAX_READS", 100)
  assert _loaded(b"]" * 99 + b".") == []
  with pytest.raises(ValueError, match="more than 100 parts"):
    _loaded(b"]" * 100 + b".")


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00"])
def test_the_registry_of_extensions_is_not_used(opcode):
  with pytest.raises(pickle.UnpicklingError, match="registry"):
    _loaded(b"\x80\x02" + opcode + b".")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
