"""Indexes of TensorFlow's checkpoints, whole and malicious."""

import struct
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import tensor_bundle_pb2

from tf_ssl import errors
from tf_ssl.export import tensor_bundle, weight_files


def _saved(prefix, tensors):
  tf.raw_ops.SaveV2(
    prefix=prefix,
    tensor_names=list(tensors),
    shape_and_slices=[""] * len(tensors),
    tensors=list(tensors.values()),
  )


def test_all_tensors_of_many_blocks_are_listed(tmp_path):
  prefix = str(tmp_path / "ckpt")
  tensors = {
    f"{i:03d}/{'long' * 200}": tf.zeros([i, 2], tf.float32) for i in range(600)
  }
  tensors |= {
    "half": tf.constant([1.5, 2.5], tf.bfloat16),
    "scalar": tf.constant(3, tf.int64),
    "texts": tf.constant(["a", "bcd" * 100]),
    "flag": tf.constant(True),
  }
  _saved(prefix, tensors)
  found = tensor_bundle.entries(prefix)
  assert {name: entry.shape for name, entry in found.items()} == {
    name: tuple(tensor.shape) for name, tensor in tensors.items()
  }
  assert all(found[name].dtype == tensors[name].dtype for name in tensors)
  arrays = weight_files.read(prefix)
  np.testing.assert_array_equal(arrays["half"].read(), [1.5, 2.5])
  with pytest.raises(errors.UsageError, match="texts has values of string"):
    arrays["texts"].read()


def _varint(number):
  data = bytearray()
  while number > 127:
    data.append(number & 127 | 128)
    number >>= 7
  return bytes([*data, number])


def _block(pairs):
  """A block without shared prefixes, and its place for a block at 0."""
  data = b"".join(
    b"\0" + _varint(len(key)) + _varint(len(value)) + key + value
    for key, value in pairs
  )
  return data + struct.pack("<II", 0, 1)


def _index(path, entry):
  header = tensor_bundle_pb2.BundleHeaderProto(num_shards=1)
  values = [(b"", header.SerializeToString()), (b"a", entry)]
  data = _block(values)
  blocks = _block([(b"b", b"\0" + _varint(len(data)))])
  handles = b"\0\0" + _varint(len(data) + 5) + _varint(len(blocks))
  footer = handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
  path.write_bytes(data + bytes(5) + blocks + bytes(5) + footer)


def _entry(*, size=24, shape=(2, 3), dtype=1, **others):
  entry = tensor_bundle_pb2.BundleEntryProto(dtype=dtype, size=size, **others)
  for side in shape:
    entry.shape.dim.add(size=side)
  return entry


def test_a_whole_entry_is_accepted(tmp_path):
  (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(24))
  _index(tmp_path / "x.index", _entry().SerializeToString())
  found = tensor_bundle.entries(str(tmp_path / "x"))
  assert found == {"a": ((2, 3), tf.float32)}


def _sliced():
  entry = _entry()
  entry.slices.add().extent.add(start=5)
  return entry


@pytest.mark.parametrize(
  "entry",
  [
    _entry(shape=(-2, -3)),
    _entry(shape=(1,) * 80, size=4),
    _entry(shape=(2**38,), size=2**40),
    _entry(shape=(2**40, 2**40)),
    _entry(shape=(0, 2**62), size=8),
    _entry(offset=8),
    _entry(offset=-8),
    _entry(size=-1),
    _entry(size=20),
    _entry(dtype=999),
    _entry(dtype=7, shape=()),  # A text of 127 bytes.
    _entry(shard_id=1),
    _sliced(),
  ],
)
def test_entries_that_make_no_sense_are_refused(tmp_path, entry):
  (tmp_path / "x.data-00000-of-00001").write_bytes(b"\x7f" * 24)
  _index(tmp_path / "x.index", entry.SerializeToString())
  with pytest.raises(errors.UsageError, match="weights .*x cannot be read"):
    weight_files.read(str(tmp_path / "x"))


def test_bytes_that_are_no_entry_are_refused(tmp_path):
  _index(tmp_path / "x.index", b"\xff" * 9)
  with pytest.raises(errors.UsageError, match="weights .*x cannot be read"):
    weight_files.read(str(tmp_path / "x"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
