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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
