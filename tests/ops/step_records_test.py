"""Tests of tf_ssl.ops.step_records."""

import sys

import pytest

from tf_ssl.ops import step_records


def test_records_and_the_numbers_of_damaged_lines_are_read(tmp_path):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"step": 1}\n{"st\n\n{"step": true}\n{"step": 2, "a": 1}\n')
  records, damaged = step_records.read(path)
  assert records == [{"step": 1}, {"step": 2, "a": 1}]
  assert damaged == [2, 4]


@pytest.mark.parametrize("end", ['{"step": 2}', "\0\0", '{"step'])
def test_a_last_line_without_an_end_is_damaged(tmp_path, end):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"step": 1}\n' + end)
  assert step_records.read(path) == ([{"step": 1}], [2])


def test_a_missing_file_has_nothing(tmp_path):
  assert step_records.read(tmp_path / "none") == ([], [])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
