"""What a stamp says; how it is written and checked is in engine_test."""

import sys

import pytest

from tf_ssl.experiment.engine import stamps


def test_a_step_ended_when_its_newest_file_was_written():
  stamp = stamps.Stamp(
    key="k",
    inputs={},
    digest="d",
    files={"a": (1, 90 * 10**9, "x"), "b": (1, 100 * 10**9, "y")},
    seconds=30.0,
    command="c",
  )
  assert stamp.span == (70.0, 100.0)
  # Its process ended 2 s after it wrote the newest file.
  assert stamp._replace(ended=102.0).span == (72.0, 102.0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
