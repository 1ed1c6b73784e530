"""Runs one test file with pytest: the program of every test target.

A file that is run as a script itself would be imported twice, before
tests/conftest.py, and could not skip as a whole.
"""

import sys

import pytest

if __name__ == "__main__":
  result = pytest.main(sys.argv[1:])
  # A file that skips as a whole has no tests, which pytest counts as a failure.
  sys.exit(0 if result == pytest.ExitCode.NO_TESTS_COLLECTED else result)
