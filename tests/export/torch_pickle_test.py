"""PyTorch's files, read without PyTorch, and malicious files."""

import argparse
import collections
import io
import os
import pathlib
import pickle
import sys

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


@pytest.mark.parametrize("rank", [33, 10**5])
def test_an_array_of_many_axes_is_refused(rank):
  shape = b"](" + b"K\x01" * rank + b"e"
  stream = b"cnumpy.core.numeric\n_frombuffer\n(NN" + shape + b"NtR."
  with pytest.raises(errors.UsageError, match=f"a.pkl .*{rank} sides"):
    torch_pickle.load(io.BytesIO(stream), "a.pkl")


@needs_torch
def test_tensors_of_pickle_dump_are_refused_with_what_to_do(tmp_path):
  path = tmp_path / "a.pkl"
  path.write_bytes(pickle.dumps({"a": torch.ones(2)}))
  with pytest.raises(errors.UsageError, match="a.pkl .*use torch.save"):
    torch_files.read_pickle(str(path))


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
