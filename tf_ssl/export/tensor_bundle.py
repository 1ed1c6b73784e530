"""Checks the index of a TensorFlow checkpoint before TensorFlow reads it.

TensorFlow ends the process if an entry of the index makes no sense and its
checksum is right. The index is a table of LevelDB: blocks of sorted entries, a
block of the blocks' positions, and a footer with the position of that one.
"""

import math
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import tensor_bundle_pb2

from tf_ssl.export import stored_arrays

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_HEADER_KEY = b""  # Of the entry about the checkpoint itself.
_MAX_INDEX_BYTES = 256 << 20


class Entry(NamedTuple):
  """A tensor in the index.

  Attributes:
    shape: shape of the tensor.
    dtype: type of its values.
  """

  shape: tuple[int, ...]
  dtype: tf.DType


def entries(prefix: str) -> dict[str, Entry]:
  """Lists the tensors of a checkpoint by name.

  Args:
    prefix: prefix of the checkpoint's files.

  Returns:
    Tensors whose values are inside the files and have the size of their shape.

  Raises:
    Exception: the index is damaged, or has variables in partitions.
  """
  path = f"{prefix}.index"
  if os.path.getsize(path) > _MAX_INDEX_BYTES:
    raise ValueError(f"an index of more than {_MAX_INDEX_BYTES} bytes")
  with open(path, "rb") as file:
    table = file.read()
  found, count = {}, 0
  for key, value in _table(table):
    if key == _HEADER_KEY:
      header = tensor_bundle_pb2.BundleHeaderProto.FromString(value)
      count = header.num_shards
    else:
      entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
      found[key.decode()] = _checked(entry, key, prefix, count)
  return found


def is_number(dtype: tf.DType) -> bool:
  """Whether values of a type are numbers or booleans, of a constant size."""
  return dtype.is_floating or dtype.is_integer or dtype.is_bool


def _checked(entry, key: bytes, prefix: str, count: int) -> Entry:
  shape = tuple(side.size for side in entry.shape.dim)
  dtype = tf.as_dtype(entry.dtype)
  number = math.prod(shape)
  data = f"{prefix}.data-{entry.shard_id:05d}-of-{count:05d}"
  is_right = (
    not entry.shape.unknown_rank
    and len(shape) <= stored_arrays.MAX_RANK
    and all(side >= 0 for side in shape)
    and number < 2**62
    and entry.offset >= 0
    and entry.size >= 0
    and (not is_number(dtype) or entry.size == number * dtype.size)
    and entry.offset + entry.size <= os.path.getsize(data)
  )
  if entry.slices or not is_right:
    raise ValueError(
      f"{key.decode()}: {'partitions' if entry.slices else list(shape)} in "
      f"{entry.size} bytes from {entry.offset} are not a tensor"
    )
  if dtype == tf.string:
    with open(data, "rb") as file:
      file.seek(entry.offset)
      lengths = file.read(entry.size)
    place = 0
    for _ in range(number):
      length, place = _varint(lengths, place)
      if length > entry.size:
        raise ValueError(f"{key.decode()}: a text of {length} bytes")
  return Entry(shape, dtype)


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
  """Keys and values of a table, in order."""
  footer = table[-_FOOTER_BYTES:]
  if footer[-8:] != struct.pack("<Q", _MAGIC):
    raise ValueError("the index has no footer")
  _, place = _handle(footer, 0)  # Of a block about blocks, which is empty.
  blocks, _ = _handle(footer, place)
  for _, handle in _block(table, *blocks):
    block, _ = _handle(handle, 0)
    yield from _block(table, *block)


def _block(
  table: bytes, start: int, size: int
) -> Iterator[tuple[bytes, bytes]]:
  """Keys and values of a block; a key continues the one before."""
  block = table[start : start + size]
  if len(block) != size or size < 4 or table[start + size] != 0:
    raise ValueError(f"a block of {size} bytes at {start} is damaged")
  [restarts] = struct.unpack("<I", block[-4:])
  end, place, key = size - 4 - 4 * restarts, 0, b""
  while place < end:
    shared, place = _varint(block, place)
    own, place = _varint(block, place)
    length, place = _varint(block, place)
    if shared > len(key) or place + own + length > end:
      raise ValueError(f"an entry in the block at {start} is damaged")
    key = key[:shared] + block[place : place + own]
    place += own + length
    yield key, block[place - length : place]


def _handle(data: bytes, place: int) -> tuple[tuple[int, int], int]:
  """Position and size of a block, and the position after them."""
  start, place = _varint(data, place)
  size, place = _varint(data, place)
  return (start, size), place


def _varint(data: bytes, place: int) -> tuple[int, int]:
  """The number at a position, in groups of 7 bits, and the position after."""
  number = shift = 0
  while shift < 64:
    number |= (data[place] & 0x7F) << shift
    place += 1
    if data[place - 1] < 0x80:
      return number, place
    shift += 7
  raise ValueError("a number is too long")
