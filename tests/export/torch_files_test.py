"""PyTorch's two file formats, read without PyTorch."""

import collections
import pathlib
import pickle
import sys
import zipfile

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.export import torch_files

torch = pytest.importorskip("torch", reason="needs PyTorch to write files")


def _save(content, path, *, is_zip=True):
  torch.save(content, path, _use_new_zipfile_serialization=is_zip)
  return str(path)


def _rewritten(path, change, method=zipfile.ZIP_STORED):
  """Writes an archive again; `change` maps {name: data} to the new one."""
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  with zipfile.ZipFile(path, "w", method) as archive:
    for name, data in change(members).items():
      archive.writestr(name, data)
  return path


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
  _rewritten(path, dict, zipfile.ZIP_DEFLATED)
  with pytest.raises(errors.UsageError, match="damaged"):
    torch_files.read(path)["a"].read()


def test_a_plain_pickle_is_not_a_pytorch_file(tmp_path):
  (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}))
  assert not torch_files.is_torch_file(str(tmp_path / "a.pth"))


@pytest.mark.parametrize("is_zip", [True, False])
def test_pytorchs_files_are_recognized(tmp_path, is_zip):
  path = _save({"a": torch.ones(2)}, tmp_path / "a", is_zip=is_zip)
  assert torch_files.is_torch_file(path)


def test_files_of_other_formats_are_not_taken_for_pytorchs(tmp_path):
  (tmp_path / "empty").write_bytes(b"")
  (tmp_path / "text").write_text("PK, but no archive")
  np.savez(tmp_path / "arrays.npz", a=np.ones(3))
  for name in ("empty", "text", "arrays.npz"):
    path = str(tmp_path / name)
    assert not torch_files.is_torch_file(path)
    with pytest.raises(errors.UsageError, match=name):
      torch_files.read(path)


def test_values_of_a_big_endian_machine_are_swapped(tmp_path):
  values = torch.arange(6.0)
  path = _save({"a": values}, tmp_path / "a.pth")

  def swapped(members):
    found = {}
    for name, data in members.items():
      if name.endswith("/byteorder"):
        data = b"big"
      elif "/data/" in name:
        data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
      found[name] = data
    return found

  found = torch_files.read(_rewritten(path, swapped))
  np.testing.assert_array_equal(found["a"].read(), values.numpy(), strict=True)


def test_a_storage_that_is_missing_or_short_is_an_error(tmp_path):
  for number, change in enumerate(
    (
      lambda m: {n: d for n, d in m.items() if "/data/" not in n},
      lambda m: {n: d[:-4] if "/data/" in n else d for n, d in m.items()},
    )
  ):
    path = _save({"a": torch.ones(10)}, tmp_path / f"{number}.pth")
    found = torch_files.read(_rewritten(path, change))
    assert found["a"].shape == (10,)  # The shape needs no storage.
    with pytest.raises(errors.UsageError, match=f"{number}.pth"):
      found["a"].read()


@pytest.mark.parametrize("is_zip", [True, False])
def test_views_of_one_storage_and_nested_containers_have_their_names(
  tmp_path, is_zip
):
  base = torch.arange(10.0)
  content = {"x": [base[:3], (base[7:], {"y": base[::4]})]}
  content["x"].append(content["x"])  # A cycle.
  found = torch_files.read(_save(content, tmp_path / "a", is_zip=is_zip))
  read = {name: stored.read().tolist() for name, stored in found.items()}
  assert read == {
    "x.0": [0, 1, 2],
    "x.1.0": [7, 8, 9],
    "x.1.1.y": [0, 4, 8],
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
