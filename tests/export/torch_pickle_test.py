"""PyTorch's files, read without PyTorch, and malicious files."""

import argparse
import collections
import datetime
import functools
import io
import os
import pathlib
import pickle
import struct
import sys
import tracemalloc

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.export import torch_files, torch_pickle

try:
  import torch
except ImportError:
  torch = None
needs_torch = pytest.mark.skipif(
  torch is None, reason="needs PyTorch to write files"
)


def _save(content, path, *, is_zip=True):
  torch.save(content, path, _use_new_zipfile_serialization=is_zip)
  return str(path)


class _Call:
  """Pickles as a call of any function."""

  def __init__(self, function, *arguments):
    self._call = function, arguments

  def __reduce__(self):
    return self._call


@needs_torch
@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("name", ["os.system", "eval", "exec", "open", "Path"])
def test_a_file_that_calls_a_function_is_refused(tmp_path, name, is_zip):
  proof = tmp_path / "proof"
  call = {
    "os.system": _Call(os.system, f"touch {proof}"),
    "eval": _Call(eval, f"open({str(proof)!r}, 'w')"),
    "exec": _Call(exec, f"open({str(proof)!r}, 'w')"),
    "open": _Call(open, str(proof), "w"),
    "Path": _Call(pathlib.Path.touch, proof),
  }[name]
  path = _save({"a": torch.ones(1), "b": call}, tmp_path / "a", is_zip=is_zip)
  with pytest.raises(errors.UsageError, match="not known to be data"):
    torch_files.read(path)
  assert not proof.exists()
  with open(path, "rb") as file:  # the file would do it, if it were let
    unsafe = file.read()
  assert b"touch" in unsafe or b"open" in unsafe


@needs_torch
@pytest.mark.parametrize("is_zip", [True, False])
def test_settings_saved_with_the_weights_are_not_built(tmp_path, is_zip):
  content = {
    "args": argparse.Namespace(lr=0.1),
    "path": pathlib.PurePosixPath("a/b"),
    "best": np.float64(0.3),
    "array": np.ones(3),
    "counts": collections.Counter("aab"),
    "groups": collections.defaultdict(dict, a={"b": 1}),
    "dtype": torch.float32,
    "weight": torch.ones(2),
  }
  found = torch_files.read(_save(content, tmp_path / "a", is_zip=is_zip))
  assert list(found) == ["array", "weight"]


def test_a_module_of_an_allowed_name_is_not_imported(tmp_path, monkeypatch):
  (tmp_path / "omegaconf.py").write_text("raise SystemExit('imported')")
  monkeypatch.syspath_prepend(tmp_path)
  stream = b"comegaconf\nDictConfig\n(I1\ntR."
  with open(tmp_path / "a.pkl", "wb") as file:
    file.write(stream)
  with open(tmp_path / "a.pkl", "rb") as file:
    made = torch_pickle.load(file, "a.pkl")
  assert made.name == "omegaconf.DictConfig"
  assert "omegaconf" not in sys.modules


@needs_torch
def test_a_torchscript_archive_is_refused(tmp_path):
  path = str(tmp_path / "a.pt")
  torch.jit.script(torch.nn.Linear(2, 2)).save(path)
  with pytest.raises(errors.UsageError, match="TorchScript.*state_dict"):
    torch_files.read(path)


@needs_torch
def test_a_pickle_cannot_change_what_it_names(tmp_path):
  # BUILD with a state of (dict, slots) sets attributes of what is on the stack
  for name in (
    "collections\nOrderedDict",
    "torch._utils\n_rebuild_tensor_v2",
    "torch\nFloatStorage",
  ):
    stream = f"c{name}\n(N(dS'items'\nI1\nstb.".encode()
    path = tmp_path / "a.pkl"
    path.write_bytes(stream)
    with open(path, "rb") as file:
      try:
        torch_pickle.load(file, "a.pkl")
      except errors.UsageError:
        pass
  assert callable(collections.OrderedDict.items)
  saved = _save(collections.OrderedDict(a=torch.ones(1)), tmp_path / "b.pth")
  assert torch_files.read(saved)["a"].read() == 1


@needs_torch
def test_a_whole_model_is_refused(tmp_path):
  path = _save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
  with pytest.raises(errors.UsageError, match="torch.nn.*save only its state"):
    torch_files.read(path)
  path = _save({"epoch": 1, "net": torch.nn.Linear(2, 2)}, tmp_path / "b.pth")
  with pytest.raises(errors.UsageError, match="torch.nn.*save only its state"):
    torch_files.read(path)


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
  return torch_pickle.load(io.BytesIO(stream), path)


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
    if isinstance(value, torch_pickle.Placeholder)
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


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", ["f4", "f8", "f2", "i8", "u1", "b1"])
def test_arrays_of_numpy_are_read(tmp_path, protocol, order, code):
  values = np.arange(6).astype(f"{order}{code}").reshape(2, 3)
  content = {
    "plain": values,
    "transposed": values.T,
    "frozen": values.copy(),
    "number": np.array(3, values.dtype),
    "text": np.array(["a"]),
    "objects": np.array([None]),
    "scalar": np.float64(0.5),
  }
  content["frozen"].setflags(write=False)
  path = tmp_path / "a.pkl"
  path.write_bytes(pickle.dumps({"model": content}, protocol))
  found = torch_files.read_pickle(str(path))
  names = ["plain", "transposed", "frozen", "number"]
  assert list(found) == [f"model.{name}" for name in names]
  for name in names:
    array = found[f"model.{name}"]
    assert array.shape == content[name].shape
    np.testing.assert_array_equal(array.read(), content[name])


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
    items = b"](" + b"N" * 10**5 + b"e\x85q\x02"
    call = b"ccollections\nOrderedDict\nq\x01" + items + b"0"
    return b"\x80\x02]" + call + b"h\x01h\x02Ra" * 10**4 + b"."
  if kind == "shape":
    shape = b"](" + b"K\x01" * 10**5 + b"e"
    return b"cnumpy.core.numeric\n_frombuffer\n(NN" + shape + b"NtR."
  assert kind == "key"
  return b"\x80\x02})" + b"\x85" * 300_000 + b"Ns."


@pytest.mark.parametrize(
  "kind",
  "memo bytearray bytes frame copied_text copied_list shape key".split(),
)
def test_a_small_pickle_cannot_fill_memory_or_crash(kind):
  stream = _bomb(kind.replace("_", " "))
  assert len(stream) < 500_000
  tracemalloc.start()
  try:
    found = _loaded(stream)
  except errors.UsageError as error:
    assert kind not in ("memo", "frame", "key")
    assert error.__cause__ is not None
  else:
    assert kind in ("memo", "frame", "key") and found in (None, {}) or found
  finally:
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
  assert peak < 100e6


def test_a_pickle_with_too_many_parts_is_refused(monkeypatch):
  monkeypatch.setattr(torch_pickle, "_MAX_READS", 100)
  assert _loaded(b"]" * 99 + b".") == []
  with pytest.raises(errors.UsageError, match="more than 100 parts"):
    _loaded(b"]" * 100 + b".")


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00"])
def test_the_registry_of_extensions_is_not_used(opcode):
  with pytest.raises(errors.UsageError, match="cannot be read"):
    _loaded(b"\x80\x02" + opcode + b".")


@needs_torch
def test_tensors_with_attributes_are_tensors(tmp_path):
  tensor, parameter = torch.ones(2), torch.nn.Parameter(torch.ones(3))
  tensor.note = parameter.note = {"x": 1}
  path = _save({"a": tensor, "b": parameter}, tmp_path / "a.pth")
  found = torch_files.read(path)
  assert {name: array.shape for name, array in found.items()} == {
    "a": (2,),
    "b": (3,),
  }


@needs_torch
def test_types_that_numpy_lacks_are_passed_over(tmp_path):
  content = {"a": torch.ones(2, dtype=torch.complex64), "b": torch.ones(1)}
  assert list(torch_files.read(_save(content, tmp_path / "a.pth"))) == ["b"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
