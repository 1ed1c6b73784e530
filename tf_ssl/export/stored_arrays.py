"""An array that still lies in its file: read when it is asked for.

Checkpoints hold an optimizer's state and a momentum encoder beside the weights
that are wanted; these are never read.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors

# Names shared by several formats -> how NumPy stores them. NumPy has no
# bfloat16: the upper half of a float32.
BFLOAT16 = "bfloat16"


class StoredArray(NamedTuple):
  """A named array of a file.

  Attributes:
    shape: its shape.
    read: reads it; raises UsageError where the file does not hold what it says.
  """

  shape: tuple[int, ...]
  read: Callable[[], np.ndarray]


def in_memory(array: np.ndarray) -> StoredArray:
  """An array that is read already."""
  return StoredArray(array.shape, lambda: array)


def item_size(dtype: str) -> int:
  """Bytes of one value; `dtype` is NumPy's name or "bfloat16"."""
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
  """Takes an array out of raw bytes, never reading beside them.

  Args:
    data: the values of a storage.
    dtype: NumPy's name of their type, or "bfloat16", which becomes float32.
    offset: index of the first value.
    shape: of the result.
    strides: in values, not bytes; one for each axis.
    big_endian: order of the bytes of a value.

  Returns:
    A contiguous array in the machine's own byte order.

  Raises:
    UsageError: it would reach outside of `data`, or repeat values.
  """
  numbers = [offset, *shape, *strides]
  if (
    len(shape) != len(strides)
    or not all(type(n) is int and n >= 0 for n in numbers)
    or len(data) % item_size(dtype)
  ):
    raise errors.UsageError(
      f"an array of shape {tuple(shape)}, strides {tuple(strides)}, offset "
      f"{offset} is not one; the file is damaged"
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
      f"an array of shape {tuple(shape)}, strides {tuple(strides)}, offset "
      f"{offset} does not lie in its {values.size} values; the file is damaged"
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
