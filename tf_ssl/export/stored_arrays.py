"""Arrays in files that are read on demand.

Checkpoints also have the state of an optimizer and a momentum encoder, which
are never read.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors

# NumPy has no bfloat16, which is the upper half of a float32.
BFLOAT16 = "bfloat16"
# Of an array. NumPy's limit; it crashes where some functions get more sides.
MAX_RANK = 32


class StoredArray(NamedTuple):
  """A named array of a file.

  Attributes:
    shape: shape of the array.
    read: function that reads the array; it raises UsageError if the file is
      damaged.
  """

  shape: tuple[int, ...]
  read: Callable[[], np.ndarray]


def in_memory(array: np.ndarray) -> StoredArray:
  """Wraps an array that is already in memory."""
  return StoredArray(array.shape, lambda: array)


def item_size(dtype: str) -> int:
  """Size of a value in bytes; `dtype` is a name of NumPy or "bfloat16"."""
  return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def strided(
  data: bytes,
  dtype: str,
  *,
  offset: int,
  shape: Sequence[int],
  strides: Sequence[int],
  big_endian: bool = False,
) -> np.ndarray:
  """Extracts an array from raw bytes, with all bounds checked.

  Args:
    data: bytes of a storage.
    dtype: NumPy's name of the type of the values, or "bfloat16", which becomes
      float32.
    offset: index of the first value.
    shape: shape of the result.
    strides: stride of each axis, in values.
    big_endian: whether the bytes of a value are in big-endian order.

  Returns:
    Contiguous array in the byte order of this machine.

  Raises:
    UsageError: the array would extend beyond `data` or repeat values.
  """
  numbers = [offset, *shape, *strides]
  if (
    len(shape) != len(strides)
    or len(shape) > MAX_RANK
    or not all(type(n) is int and n >= 0 for n in numbers)
    or len(data) % item_size(dtype)
  ):
    raise errors.UsageError(
      f"shape {tuple(shape)}, strides {tuple(strides)}, offset {offset} are "
      "not an array; the file is damaged"
    )
  order = ">" if big_endian else "<"
  stored = np.dtype("u2" if dtype == BFLOAT16 else dtype).newbyteorder(order)
  values = np.frombuffer(data, stored)
  count = math.prod(shape)
  last = offset + sum(
    (n - 1) * stride for n, stride in zip(shape, strides, strict=True)
  )
  if count and (last >= values.size or count > values.size):
    raise errors.UsageError(
      f"shape {tuple(shape)}, strides {tuple(strides)}, offset {offset}: the "
      f"storage has only {values.size} values; the file is damaged"
    )
  if not count:
    values = np.zeros(shape, stored)
  else:
    values = np.lib.stride_tricks.as_strided(
      values[offset:], shape, [s * stored.itemsize for s in strides]
    )
  if dtype == BFLOAT16:
    return (values.astype(np.uint32) << 16).view(np.float32)
  return np.array(values, stored.newbyteorder("="), order="C")
