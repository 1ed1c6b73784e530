"""Runs one test file with pytest: the program of every test target.

A file that is run as a script itself would be imported twice, before
tests/conftest.py, and could not skip as a whole.
"""

import sys

import pytest


class _SkippedFiles:
  """Pytest plugin that sees whether a file was skipped as a whole."""

  found = False

  def pytest_collectreport(self, report):
    self.found |= report.skipped


if __name__ == "__main__":
  skipped_files = _SkippedFiles()
  result = pytest.main(sys.argv[1:], [skipped_files])
  # Pytest counts that as a failure, as it does a file without tests.
  if result == pytest.ExitCode.NO_TESTS_COLLECTED and skipped_files.found:
    result = pytest.ExitCode.OK
  sys.exit(result)
