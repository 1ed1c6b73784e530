"""Runs test files with pytest: the program of every test target.

A file that is run as a script itself would be imported twice, before
tests/conftest.py, and could not skip as a whole.

  run_pytest.py FILE... [OPTION...]
"""

import os
import sys

import pytest


class _FilesWithTests:
  """Pytest plugin that notes files that have tests or skip as a whole."""

  def __init__(self):
    self.found = set()

  def pytest_collectreport(self, report):
    if report.skipped or report.result:
      self.found.add(os.path.abspath(report.nodeid))


if __name__ == "__main__":
  files = [word for word in sys.argv[1:] if word.endswith(".py")]
  with_tests = _FilesWithTests()
  result = pytest.main(sys.argv[1:], [with_tests])
  empty = [f for f in files if os.path.abspath(f) not in with_tests.found]
  if empty:
    sys.exit(f"without tests: {', '.join(empty)}")
  # Pytest counts it as a failure if all files skip as a whole.
  if result == pytest.ExitCode.NO_TESTS_COLLECTED:
    result = pytest.ExitCode.OK
  sys.exit(result)
