"""What standard error shows inside a block whose known lines are dropped."""

import os
import subprocess
import sys

import pytest


def _run(repository, code, **environment):
  return subprocess.run(
    [sys.executable, "-c", code],
    cwd=repository,
    env={
      "PATH": os.environ["PATH"],
      "PYTHONPATH": str(repository),
      **environment,
    },
    capture_output=True,
    text=True,
    timeout=120,
  )


_ABORT = """
import os
from tf_ssl.ops import known_lines
with known_lines.dropped():
  os.write(2, b"x Unable to register cuDNN factory: y\\nlast line\\n")
  os.abort()
"""


def test_the_last_lines_of_a_crashing_import_are_shown(repository):
  done = _run(repository, _ABORT)
  assert done.returncode < 0
  assert done.stderr == "last line\n"


_LINGERING = """
import os, subprocess, sys
from tf_ssl.ops import known_lines
with known_lines.dropped():
  lingering = subprocess.Popen(["sleep", "300"])  # Holds standard error.
  os.write(2, b"inside\\n")
os.write(2, b"outside\\n")
lingering.kill()
"""


def test_a_process_that_stays_does_not_hold_up_the_end(repository):
  done = _run(repository, _LINGERING)
  assert done.returncode == 0
  assert done.stderr == "inside\noutside\n"


_SIMPLE = """
import os
from tf_ssl.ops import known_lines
with known_lines.dropped():
  os.write(2, b"Unable to register cuBLAS factory: x\\nkept\\n")
os.write(2, b"Unable to register cuBLAS factory: later\\n")
"""


def test_lines_are_dropped_only_inside_the_block(repository):
  done = _run(repository, _SIMPLE)
  assert done.stderr == "kept\nUnable to register cuBLAS factory: later\n"


def test_without_grep_nothing_is_filtered(repository, tmp_path):
  done = _run(repository, _SIMPLE, PATH=str(tmp_path))
  assert done.returncode == 0
  assert done.stderr.splitlines() == [
    "Unable to register cuBLAS factory: x",
    "kept",
    "Unable to register cuBLAS factory: later",
  ]


_RAISES = """
import os
from tf_ssl.ops import known_lines
try:
  with known_lines.dropped():
    raise RuntimeError("inside")
except RuntimeError:
  os.write(2, b"All log messages before absl::InitializeLog\\n")
"""


def test_an_exception_ends_the_filter(repository):
  done = _run(repository, _RAISES)
  assert done.stderr == "All log messages before absl::InitializeLog\n"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
