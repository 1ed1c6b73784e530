"""What standard error shows while TensorFlow is imported."""

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


_QUIET = """
import os, sys
from tools._cli import quiet
quiet.import_tensorflow()
import tensorflow as tf
import tensorflow_hub
print(int(tf.constant(1) + 1))
os.write(2, b"a real error\\n")
"""


def test_importing_tensorflow_prints_nothing_but_real_errors(repository):
  done = _run(repository, _QUIET)
  assert (done.stdout, done.stderr) == ("2\n", "a real error\n")


def test_the_log_level_of_the_user_wins(repository):
  done = _run(repository, _QUIET, TF_CPP_MIN_LOG_LEVEL="0")
  assert "cpu_feature_guard" in done.stderr


_NO_HOME = """
import os, pwd, tempfile
def no_entry(number):
  raise KeyError(number)
pwd.getpwuid = no_entry
from tools._cli import quiet
quiet.import_tensorflow()
import matplotlib
print(matplotlib.get_cachedir().startswith(tempfile.gettempdir()))
"""


def test_a_user_without_a_home_gets_no_folder_named_tilde(repository, tmp_path):
  code = f"import os; os.chdir({str(tmp_path)!r})\n{_NO_HOME}"
  done = _run(repository, code, TMPDIR=str(tmp_path))
  assert (done.stdout, done.stderr) == ("True\n", "")
  assert not (tmp_path / "~").exists()


_ABORT = """
import os
from tools._cli import quiet
with quiet.known_lines_dropped():
  os.write(2, b"x Unable to register cuDNN factory: y\\nlast line\\n")
  os.abort()
"""


def test_the_last_lines_of_a_crashing_import_are_shown(repository):
  done = _run(repository, _ABORT)
  assert done.returncode < 0
  assert done.stderr == "last line\n"


_LINGERING = """
import os, subprocess, sys
from tools._cli import quiet
with quiet.known_lines_dropped():
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
from tools._cli import quiet
with quiet.known_lines_dropped():
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
from tools._cli import quiet
try:
  with quiet.known_lines_dropped():
    raise RuntimeError("inside")
except RuntimeError:
  os.write(2, b"All log messages before absl::InitializeLog\\n")
"""


def test_an_exception_ends_the_filter(repository):
  done = _run(repository, _RAISES)
  assert done.stderr == "All log messages before absl::InitializeLog\n"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
