"""Tests of compiled functions: their values, and what their start prints."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from tf_ssl.ops import compiled


def _double(values):
  return values + values


def test_a_compiled_function_is_one_for_all_callers_and_works_in_a_trace():
  assert compiled.function(_double) is compiled.function(_double)

  @tf.function
  def traced(values):
    return compiled.function(_double)(values) + 1.0

  tf.debugging.assert_equal(traced(tf.constant([1.0, 2.0])), [3.0, 5.0])


_CODE = """
import os
from tools._cli import quiet
quiet.import_tensorflow()
import tensorflow as tf
from tf_ssl.ops import compiled

def double(values):
  return values + values

@tf.function
def steps(values):
  return [compiled.function(double)(values + float(i)) for i in range(8)]

for _ in range(20):
  steps(tf.zeros([1000, 1000]))
os.write(2, b"a real error\\n")
"""


def test_the_start_of_the_compiler_prints_nothing(repository):
  done = subprocess.run(
    [sys.executable, "-c", _CODE],
    cwd=repository,
    env={"PATH": os.environ["PATH"], "PYTHONPATH": str(repository)},
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert (done.returncode, done.stderr) == (0, "a real error\n")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
