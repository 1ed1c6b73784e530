"""PyTorch's two file formats, read without PyTorch."""

import collections
import io
import pathlib
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.export import torch_files

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


def _rewritten(path, change, method=zipfile.ZIP_STORED):
  """Writes an archive again; `change` maps {name: data} to the new one."""
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  with zipfile.ZipFile(path, "w", method) as archive:
    for name, data in change(members).items():
      archive.writestr(name, data)
  return path


@needs_torch
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


@needs_torch
@pytest.mark.parametrize("is_zip", [True, False])
def test_pytorch_is_not_needed(tmp_path, monkeypatch, is_zip):
  path = _save({"a": torch.ones(2)}, tmp_path / "a.pth", is_zip=is_zip)
  monkeypatch.setitem(sys.modules, "torch", None)
  with pytest.raises(ImportError):
    import torch as unused  # noqa: F401
  assert torch_files.read(path)["a"].read().tolist() == [1, 1]


@needs_torch
@pytest.mark.parametrize("is_zip", [True, False])
def test_bfloat16_becomes_float32(tmp_path, is_zip):
  tensor = torch.randn(3, 5).bfloat16()
  found = torch_files.read(_save([tensor], tmp_path / "a", is_zip=is_zip))
  expected = tensor.float().numpy()
  np.testing.assert_array_equal(found["0"].read(), expected, strict=True)


@needs_torch
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_truncated_file_is_named(tmp_path, is_zip):
  path = _save({"a": torch.ones(1000)}, tmp_path / "a.pth", is_zip=is_zip)
  whole = pathlib.Path(path).read_bytes()
  for size in (len(whole) // 2, len(whole) - 200, 30):
    pathlib.Path(path).write_bytes(whole[:size])
    with pytest.raises(errors.UsageError, match="a.pth"):
      torch_files.read(path)["a"].read()


@needs_torch
def test_a_compressed_archive_is_refused(tmp_path):
  path = _save({"a": torch.zeros(100_000)}, tmp_path / "a.pth")
  _rewritten(path, dict, zipfile.ZIP_DEFLATED)
  with pytest.raises(errors.UsageError, match="damaged"):
    torch_files.read(path)["a"].read()


def test_a_plain_pickle_is_not_a_pytorch_file(tmp_path):
  (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}))
  assert not torch_files.is_torch_file(str(tmp_path / "a.pth"))


@needs_torch
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


class _FloatStorage:
  """A storage by its key, as PyTorch's files name it."""

  def __init__(self, key, values):
    self.key = key
    self.values = np.float32(values)


class _Tensor:
  """A tensor that is pickled as PyTorch pickles one."""

  def __init__(self, storage, offset, shape, strides):
    self._arguments = storage, offset, shape, strides, False, {}

  def __reduce__(self):
    return sys.modules["torch._utils"]._rebuild_tensor_v2, self._arguments


class _Pickler(pickle.Pickler):
  """Writes storages as references, and notes them."""

  def __init__(self, file):
    super().__init__(file, protocol=2)
    self.storages = {}

  def persistent_id(self, value):
    if not isinstance(value, _FloatStorage):
      return None
    self.storages[value.key] = value.values
    kind = sys.modules["torch"].FloatStorage
    return "storage", kind, value.key, "cpu", len(value.values)


@pytest.fixture(name="write_zip")
def fixture_write_zip(tmp_path, monkeypatch):
  """Writes files in PyTorch's format of zip archives without PyTorch."""

  def write(name, content, *, order="little", change=lambda data: data):
    with monkeypatch.context() as patch:
      modules = types.ModuleType("torch"), types.ModuleType("torch._utils")
      kind = type("FloatStorage", (), {"__module__": "torch"})
      modules[0].FloatStorage, modules[0]._utils = kind, modules[1]

      def _rebuild_tensor_v2():
        pass

      _rebuild_tensor_v2.__module__ = "torch._utils"
      _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
      modules[1]._rebuild_tensor_v2 = _rebuild_tensor_v2
      for module in modules:
        patch.setitem(sys.modules, module.__name__, module)
      stream = io.BytesIO()
      pickler = _Pickler(stream)
      pickler.dump(content)
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:
      archive.writestr("any/data.pkl", stream.getvalue())
      archive.writestr("any/byteorder", order)
      for key, values in pickler.storages.items():
        stored = values.astype("<f4" if order == "little" else ">f4")
        data = change(stored.tobytes())
        if data is not None:
          archive.writestr(f"any/data/{key}", data)
    return str(path)

  return write


@pytest.mark.parametrize("order", ["little", "big"])
def test_bytes_are_in_the_order_of_the_machine_that_wrote_them(
  write_zip, order
):
  storage = _FloatStorage("0", range(6))
  content = {"a": _Tensor(storage, 0, (3, 2), (1, 3))}
  path = write_zip("a.pth", content, order=order)
  assert torch_files.is_torch_file(path)
  np.testing.assert_array_equal(
    torch_files.read(path)["a"].read(),
    np.arange(6, dtype=np.float32).reshape(2, 3).T,
    strict=True,
  )


@pytest.mark.parametrize(
  "change", [lambda data: None, lambda data: data[:-4]], ids=["none", "short"]
)
def test_a_storage_that_is_missing_or_short_is_an_error(write_zip, change):
  content = {"a": _Tensor(_FloatStorage("0", range(9)), 0, (9,), (1,))}
  path = write_zip("b.pth", content, change=change)
  found = torch_files.read(path)
  assert found["a"].shape == (9,)  # The shape needs no storage.
  with pytest.raises(errors.UsageError, match="b.pth"):
    found["a"].read()


def test_a_tensor_beyond_its_storage_is_an_error_with_the_path(write_zip):
  content = {"a": _Tensor(_FloatStorage("0", range(9)), 2, (8,), (1,))}
  found = torch_files.read(write_zip("b.pth", content))
  with pytest.raises(errors.UsageError, match="b.pth: .*offset 2.* 9 values"):
    found["a"].read()


def test_views_of_one_storage_and_nested_containers_have_their_names(
  write_zip,
):
  base = _FloatStorage("7", range(10))
  content = {"x": [_Tensor(base, 0, (3,), (1,))], "epoch": 3}
  content["x"].append((_Tensor(base, 7, (3,), (1,)), "text"))
  content["x"].append({"y": _Tensor(base, 0, (3,), (4,))})
  content["x"].append(content["x"])  # A cycle.
  found = torch_files.read(write_zip("a.pth", content))
  read = {name: stored.read().tolist() for name, stored in found.items()}
  assert read == {
    "x.0": [0, 1, 2],
    "x.1.0": [7, 8, 9],
    "x.2.y": [0, 4, 8],
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
