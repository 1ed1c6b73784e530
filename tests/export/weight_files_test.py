"""Formats of weights, recognized by content."""

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.export import weight_files


def _safetensors(path, header, values):
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  path.write_bytes(struct.pack("<Q", len(text)) + text + values)
  return str(path)


def test_npz(tmp_path):
  path = str(tmp_path / "weights.anything")
  with open(path, "wb") as file:
    np.savez(file, a=np.ones([2, 3]), b=np.float32(4))
  found = weight_files.read(path)
  assert {n: a.shape for n, a in found.items()} == {"a": (2, 3), "b": ()}
  np.testing.assert_array_equal(found["a"].read(), np.ones([2, 3]))


def test_objects_in_npz_are_not_unpickled(tmp_path):
  np.savez(tmp_path / "a.npz", a=np.array([{"b": 1}], object))
  with pytest.raises(errors.UsageError, match="a.npz cannot be read"):
    weight_files.read(str(tmp_path / "a.npz"))


def test_safetensors(tmp_path):
  numbers = np.arange(6, dtype="<f4").reshape(2, 3)
  half = np.array([0x3FC0, 0xC000], "<u2")  # 1.5 and -2 in bfloat16
  header = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]},
  }
  path = _safetensors(
    tmp_path / "a", header, numbers.tobytes() + half.tobytes()
  )
  found = weight_files.read(path)
  assert found["a"].shape == (2, 3)
  np.testing.assert_array_equal(found["a"].read(), numbers)
  np.testing.assert_array_equal(found["b"].read(), [1.5, -2])


def test_values_of_safetensors_are_read_on_demand(tmp_path):
  path = str(tmp_path / "a.safetensors")
  arrays = {
    name: np.arange(6).reshape(2, 3).astype(name)
    for name in ("bool", "float16", "float64", "int8", "int64", "uint8")
  }
  safetensors.numpy.save_file(arrays, path)
  found = weight_files.read(path)
  assert set(found) == set(arrays)
  for name, expected in arrays.items():
    np.testing.assert_array_equal(found[name].read(), expected, strict=True)


@pytest.mark.parametrize("header", [b'{"a"', b'{"__metadata__": 3}', b"{}" * 9])
def test_a_damaged_header_of_safetensors_is_named(tmp_path, header):
  path = _safetensors(tmp_path / "a", header, b"")
  with pytest.raises(errors.UsageError, match=path):
    weight_files.read(path)


def test_a_header_larger_than_the_file_is_never_allocated(tmp_path):
  (tmp_path / "a").write_bytes(struct.pack("<Q", 2**60) + b'{"a": 1}')
  with pytest.raises(errors.UsageError, match=str(tmp_path / "a")):
    weight_files.read(str(tmp_path / "a"))


@pytest.mark.parametrize(
  "entry",
  [
    {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 28]},
    {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 24]},
    {"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]},
    {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 0]},
    {"dtype": "F32", "shape": [2, 3], "data_offsets": [-9, 15]},
    {"dtype": "F32", "shape": ["a"], "data_offsets": [0, 24]},
    {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 24]},
    {"dtype": "F7", "shape": [2, 3], "data_offsets": [0, 24]},
    {"dtype": "F8_E4M3", "shape": [24], "data_offsets": [0, 24]},
    {"dtype": "F32", "shape": [2, 3]},
    7,
  ],
)
def test_damaged_safetensors_are_named(tmp_path, entry):
  path = _safetensors(tmp_path / "a", {"x": entry}, bytes(24))
  with pytest.raises(errors.UsageError, match="damaged"):
    weight_files.read(path)["x"].read()


def test_a_tensorflow_checkpoint_by_folder_prefix_and_index(tmp_path):
  model = tf.Module()
  model.inner = tf.Module()
  model.inner.kernel = tf.Variable([1.0, 2.0])
  model.listed = [tf.Variable([3.0], name="x/y")]
  prefix = tf.train.Checkpoint(model=model).save(str(tmp_path / "ckpt"))
  for path in (str(tmp_path), prefix, f"{prefix}.index"):
    found = weight_files.read(path)
    assert found["model/inner/kernel"].shape == (2,)
    np.testing.assert_array_equal(found["model/inner/kernel"].read(), [1, 2])
    np.testing.assert_array_equal(found["model/listed/x/y"].read(), [3])
  digest = hashlib.sha256()
  for name in (f"{prefix}.index", f"{prefix}.data-00000-of-00001"):
    with open(name, "rb") as file:
      digest.update(file.read())
  assert weight_files.sha256(prefix) == digest.hexdigest()


def test_the_digest_is_the_files_own(tmp_path):
  (tmp_path / "a").write_bytes(b"abc")
  expected = hashlib.sha256(b"abc").hexdigest()
  assert weight_files.sha256(str(tmp_path / "a")) == expected


def test_files_without_weights_are_named(tmp_path):
  with pytest.raises(errors.UsageError, match="nothing: no such file"):
    weight_files.read(str(tmp_path / "nothing"))
  with pytest.raises(errors.UsageError, match="no checkpoint in it"):
    weight_files.read(str(tmp_path))
  os.mkfifo(tmp_path / "pipe")
  with pytest.raises(errors.UsageError, match="pipe: not a file"):
    weight_files.read(str(tmp_path / "pipe"))
  for content in (b"", b"text", b"PK\x03\x04", b"\x80\x04K\x01."):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(
      errors.UsageError, match="weights .*a .*(expected|damaged)"
    ):
      weight_files.read(str(tmp_path / "a"))


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"", "are empty"),
    (b"\n<html><body>404</body>", "a page of the web"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    (gzip.compress(b"a" * 100, mtime=0), "gzip: unpack"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"text", "unknown format"),
  ],
)
def test_a_file_of_another_kind_is_named_as_what_it_is(
  tmp_path, content, message
):
  (tmp_path / "a.pth").write_bytes(content)
  with pytest.raises(errors.UsageError, match=f"a.pth .*{message}"):
    weight_files.read(str(tmp_path / "a.pth"))


def test_archives_without_arrays_are_named(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    archive.writestr("a.txt", "text")
  with pytest.raises(errors.UsageError, match="zip archive without arrays"):
    weight_files.read(str(tmp_path / "a.zip"))
  with tarfile.open(tmp_path / "a.tar", "w") as archive:
    archive.add(tmp_path / "a.zip", "a.zip")
  with pytest.raises(errors.UsageError, match="tar archive: unpack"):
    weight_files.read(str(tmp_path / "a.tar"))


@pytest.mark.parametrize(
  "folder", ["[v1]", "a*b?", "back\\slash", os.fsdecode(b"caf\xe9")]
)
def test_a_checkpoint_in_a_folder_with_a_special_name(tmp_path, folder):
  module = tf.Module()
  module.kernel = tf.Variable([1.0, 2.0])
  plain = tf.train.Checkpoint(module=module).save(str(tmp_path / "x" / "ckpt"))
  os.rename(tmp_path / "x", tmp_path / folder)
  prefix = str(tmp_path / folder / os.path.basename(plain))
  for path in (str(tmp_path / folder), prefix, f"{prefix}.index"):
    found = weight_files.read(path)
    np.testing.assert_array_equal(found["module/kernel"].read(), [1, 2])
    assert len(weight_files.sha256(path)) == 64


def _compressed(path, header, data=b""):
  file = io.BytesIO()
  np.lib.format.write_array_header_1_0(file, header)
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("a.npy", file.getvalue() + data)
  return str(path)


@pytest.mark.parametrize(
  ("shape", "code", "data"),
  [
    ((2**38,), "<f4", b""),  # 1 TB.
    ((2**20, 2**20, 2**20), "<f8", b""),
    ((1,) * 80, "<f4", bytes(4)),
    ((-1,), "<f4", b""),
    ((0, 10**30), "<f4", b""),
    ((2,), "<U1", bytes(8)),
    ((2,), "<c8", bytes(16)),
    ((10**8,), "<f4", bytes(4 * 10**8)),  # It is there, but of 400 kB.
  ],
)
def test_npz_of_impossible_arrays_are_refused(tmp_path, shape, code, data):
  header = {"descr": code, "fortran_order": False, "shape": shape}
  path = _compressed(tmp_path / "a.npz", header, data)
  with pytest.raises(errors.UsageError, match="a.npz"):
    weight_files.read(path)["a"].read()


def test_an_array_of_many_axes_in_safetensors_is_refused(tmp_path):
  entry = {"dtype": "F32", "shape": [1] * 80, "data_offsets": [0, 4]}
  path = _safetensors(tmp_path / "a", {"x": entry}, bytes(4))
  with pytest.raises(errors.UsageError, match="x has 80 axes"):
    weight_files.read(path)["x"].read()


def _written(folder, kind):
  arrays = {f"layer{i}.0.conv1.weight": np.ones([3, i + 1]) for i in range(3)}
  path = folder / "a"
  if kind == "tensorflow":
    module = tf.Module()
    module.kernels = {n: tf.Variable(a) for n, a in arrays.items()}
    return f"{tf.train.Checkpoint(module=module).save(str(path))}.index"
  with open(path, "wb") as file:
    if kind == "npz":
      np.savez(file, **arrays)
    elif kind == "compressed":
      np.savez_compressed(file, **arrays)
    elif kind == "pickle":
      pickle.dump({"model": arrays}, file)
    elif kind == "safetensors":
      file.write(safetensors.numpy.save(arrays))
    else:
      torch = pytest.importorskip("torch", reason="needs PyTorch to write it")
      torch.save(
        {name: torch.from_numpy(array) for name, array in arrays.items()},
        file,
        _use_new_zipfile_serialization=kind == "torch",
      )
  return str(path)


def _damaged(data, rng):
  """Bytes with one of five kinds of damage."""
  data, place = bytearray(data), int(rng.integers(len(data)))
  damage = rng.integers(5)
  if damage == 0:
    data[place] ^= 1 << int(rng.integers(8))
  elif damage == 1:
    del data[place:]
  elif damage == 2:
    data[place : place + 8] = bytes(8)
  elif damage == 3:
    data[place : place + 8] = b"\xff" * 8
  else:
    data[place:place] = data[place : place + 64]
  return bytes(data)


@pytest.mark.parametrize(
  "kind",
  "npz compressed pickle safetensors torch torch_old tensorflow".split(),
)
def test_a_damaged_file_gives_one_line_about_it(tmp_path, kind):
  path = _written(tmp_path, kind)
  with open(path, "rb") as file:
    whole = file.read()
  rng, refused = np.random.default_rng(0), 0
  for _ in range(100):
    with open(path, "wb") as file:
      file.write(_damaged(whole, rng))
    try:
      for array in weight_files.read(path).values():
        array.read()
    except errors.UsageError as error:
      assert path.removesuffix(".index") in str(error)
      assert "\n" not in str(error)
      refused += 1
  assert refused > 20


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
