"""PyTorch's files, read without PyTorch, and malicious files."""

import argparse
import collections
import os
import pathlib
import pickle
import sys
import zipfile

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.export import stored_arrays, torch_files, torch_pickle

torch = pytest.importorskip("torch", reason="needs PyTorch to write files")


def _save(content, path, *, is_zip=True):
  torch.save(content, path, _use_new_zipfile_serialization=is_zip)
  return str(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_equal_pytorchs(tmp_path, is_zip):
  base = torch.arange(24.0).reshape(4, 6)
  tensors = {
    "plain": base,
    "transposed": base.T,
    "part": base[1:3, ::2],
    "scalar": torch.tensor(3),
    "empty": torch.zeros(0, 3),
    "half": torch.tensor([1.5, -2.0]).half(),
    "double": torch.tensor([1e-9]).double(),
    "flags": torch.tensor([True, False]),
    "parameter": torch.nn.Parameter(torch.ones(2, 1)),
  }
  content = {
    "state_dict": collections.OrderedDict(tensors),
    "optimizer": [{"step": torch.tensor(7)}, 0.1],
    "epoch": 3,
  }
  found = torch_files.read(_save(content, tmp_path / "a.pth", is_zip=is_zip))
  assert list(found) == [
    *(f"state_dict.{name}" for name in tensors),
    "optimizer.0.step",
  ]
  for name, tensor in tensors.items():
    expected = tensor.detach().numpy()
    actual = found[f"state_dict.{name}"]
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(actual.read(), expected, strict=True)
  assert found["optimizer.0.step"].read() == 7


@pytest.mark.parametrize("is_zip", [True, False])
def test_pytorch_is_not_needed(tmp_path, monkeypatch, is_zip):
  path = _save({"a": torch.ones(2)}, tmp_path / "a.pth", is_zip=is_zip)
  monkeypatch.setitem(sys.modules, "torch", None)
  with pytest.raises(ImportError):
    import torch as unused  # noqa: F401
  assert torch_files.read(path)["a"].read().tolist() == [1, 1]


@pytest.mark.parametrize("is_zip", [True, False])
def test_bfloat16_becomes_float32(tmp_path, is_zip):
  tensor = torch.randn(3, 5).bfloat16()
  found = torch_files.read(_save([tensor], tmp_path / "a", is_zip=is_zip))
  expected = tensor.float().numpy()
  np.testing.assert_array_equal(found["0"].read(), expected, strict=True)


class _Call:
  """Pickles as a call of any function."""

  def __init__(self, function, *arguments):
    self._call = function, arguments

  def __reduce__(self):
    return self._call


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
  assert list(found) == ["weight"]


def test_a_module_of_an_allowed_name_is_not_imported(tmp_path, monkeypatch):
  (tmp_path / "omegaconf.py").write_text("raise SystemExit('imported')")
  monkeypatch.syspath_prepend(tmp_path)
  stream = b"comegaconf\nDictConfig\n(I1\ntR."
  with open(tmp_path / "a.pkl", "wb") as file:
    file.write(stream)
  with open(tmp_path / "a.pkl", "rb") as file:
    made = torch_pickle.load(file, "a.pkl")
  assert type(made).__name__ == "omegaconf.DictConfig"
  assert "omegaconf" not in sys.modules


def test_a_torchscript_archive_is_refused(tmp_path):
  path = str(tmp_path / "a.pt")
  torch.jit.script(torch.nn.Linear(2, 2)).save(path)
  with pytest.raises(errors.UsageError, match="TorchScript.*state_dict"):
    torch_files.read(path)


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


def test_a_whole_model_is_refused(tmp_path):
  path = _save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
  with pytest.raises(errors.UsageError, match="torch.nn.*save only its state"):
    torch_files.read(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_truncated_file_is_named(tmp_path, is_zip):
  path = _save({"a": torch.ones(1000)}, tmp_path / "a.pth", is_zip=is_zip)
  whole = pathlib.Path(path).read_bytes()
  for size in (len(whole) // 2, len(whole) - 200, 30):
    pathlib.Path(path).write_bytes(whole[:size])
    with pytest.raises(errors.UsageError, match="a.pth"):
      torch_files.read(path)["a"].read()


def test_a_compressed_archive_is_refused(tmp_path):
  path = _save({"a": torch.zeros(100_000)}, tmp_path / "a.pth")
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  with pytest.raises(errors.UsageError, match="damaged"):
    torch_files.read(path)["a"].read()


@pytest.mark.parametrize(
  ("offset", "shape", "strides"),
  [
    (0, [11], [1]),
    (10, [1], [1]),
    (-1, [2], [1]),
    (0, [2], [-1]),
    (0, [2, 2], [9, 1]),
    (0, [10**12], [0]),
    (0, [2], [1, 1]),
    (True, [2], [1]),
  ],
)
def test_no_array_extends_beyond_its_storage(offset, shape, strides):
  data = np.arange(10, dtype=np.float32).tobytes()
  with pytest.raises(errors.UsageError, match="damaged"):
    stored_arrays.strided(
      data, "float32", offset=offset, shape=shape, strides=strides
    )


def test_a_plain_pickle_is_not_a_pytorch_file(tmp_path):
  (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}))
  assert not torch_files.is_torch_file(str(tmp_path / "a.pth"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
