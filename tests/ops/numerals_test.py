"""Tests of tf_ssl.ops.numerals."""

import math
import sys

import pytest

from tf_ssl.ops import numerals


@pytest.mark.parametrize("value", [4, 4.0, "4", "4.0", "4.", " 4 ", "04"])
def test_one_number_is_read_however_it_is_written(value):
  assert numerals.number(value) == 4.0
  found = numerals.whole(value)
  assert found == 4 and isinstance(found, int)


@pytest.mark.parametrize(
  "value",
  [True, None, "", "four", "1_0", "0x4", [4], {"4": 4}, b"4", 10**400, "4,5"],
)
def test_nothing_else_is_a_number(value):
  assert numerals.number(value) is None
  assert numerals.whole(value) is None


@pytest.mark.parametrize(
  "value",
  [4.5, "4.5", math.nan, "nan", math.inf, "-inf", 2**63, "1e300", "1e3"],
)
def test_a_whole_number_has_no_fraction_and_fits_int64(value):
  assert numerals.number(value) is not None
  assert numerals.whole(value) is None


def test_large_whole_numbers_are_exact():
  assert numerals.whole(str(2**53 + 1)) == 2**53 + 1
  assert numerals.whole("1" * 5000) is None
  assert numerals.whole(2**63 - 1) == 2**63 - 1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
