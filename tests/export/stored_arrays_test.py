"""Arrays from raw bytes against NumPy's own views."""

import math
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.export import stored_arrays


def _slow(values, offset, shape, strides):
  """Reads the values one by one."""
  found = np.zeros(shape, values.dtype)
  for place in np.ndindex(*shape):
    at = offset + sum(p * s for p, s in zip(place, strides, strict=True))
    found[place] = values[at]
  return found


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
  "dtype", ["float32", "float64", "float16", "int64", "uint8", "bool"]
)
@pytest.mark.parametrize(
  ("offset", "shape", "strides"),
  [
    (0, (4, 6), (6, 1)),
    (0, (6, 4), (1, 6)),  # Transposed.
    (3, (2, 3), (12, 2)),  # Part of rows and columns.
    (23, (1,), (5,)),
    (7, (), ()),
    (0, (0, 3), (3, 1)),
    (2, (2, 1, 3), (6, 100, 2)),  # The stride of a side of 1 is not used.
  ],
)
def test_values_are_where_offset_and_strides_say(
  dtype, big_endian, offset, shape, strides
):
  values = np.random.default_rng(0).uniform(-9, 9, 24)
  values = np.abs(values) if dtype == "uint8" else values
  values = values.astype(dtype)
  stored = values.astype(values.dtype.newbyteorder(">" if big_endian else "<"))
  found = stored_arrays.strided(
    stored.tobytes(),
    dtype,
    offset=offset,
    shape=shape,
    strides=strides,
    big_endian=big_endian,
  )
  expected = _slow(values, offset, shape, strides)
  np.testing.assert_array_equal(found, expected, strict=True)
  assert found.flags.c_contiguous and found.flags.owndata
  assert found.dtype.isnative


@pytest.mark.parametrize("big_endian", [False, True])
def test_bfloat16_is_the_upper_half_of_a_float32(big_endian):
  numbers = np.float32([1.0, -2.5, 0.0, np.inf, 3.140625])
  halves = (numbers.view(np.uint32) >> 16).astype(
    ">u2" if big_endian else "<u2"
  )
  found = stored_arrays.strided(
    halves.tobytes(),
    stored_arrays.BFLOAT16,
    offset=1,
    shape=[4],
    strides=[1],
    big_endian=big_endian,
  )
  np.testing.assert_array_equal(found, numbers[1:], strict=True)


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
    (0, [1] * 80, [1] * 80),  # NumPy crashes.
  ],
)
def test_no_array_extends_beyond_its_storage(offset, shape, strides):
  data = np.arange(10, dtype=np.float32).tobytes()
  with pytest.raises(errors.UsageError, match="damaged"):
    stored_arrays.strided(
      data, "float32", offset=offset, shape=shape, strides=strides
    )


def test_bytes_that_end_within_a_value_are_refused():
  with pytest.raises(errors.UsageError, match="damaged"):
    stored_arrays.strided(
      b"\0" * 7, "float32", offset=0, shape=[1], strides=[1]
    )


@pytest.mark.parametrize(
  ("dtype", "size"),
  [("float64", 8), ("float32", 4), ("bfloat16", 2), ("bool", 1)],
)
def test_the_size_of_a_value(dtype, size):
  assert stored_arrays.item_size(dtype) == size


def test_an_array_in_memory_is_read_as_it_is():
  array = np.arange(6).reshape(2, 3)
  stored = stored_arrays.in_memory(array)
  assert stored.shape == (2, 3) and math.prod(stored.shape) == 6
  assert stored.read() is array


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
