"""Formats of weights, recognized by content."""

import hashlib
import json
import struct
import sys

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
  for content in (b"", b"text", b"PK\x03\x04", b"\x80\x04K\x01."):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(
      errors.UsageError, match="weights .*a .*(expected|damaged)"
    ):
      weight_files.read(str(tmp_path / "a"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
