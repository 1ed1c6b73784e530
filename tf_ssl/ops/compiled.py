"""Functions that XLA compiles for CPUs, without the messages of its start."""

import functools
import threading
from collections.abc import Callable

import tensorflow as tf

from tf_ssl.ops import known_lines

# XLA prints a line for each new stream; a free stream is used again. A train
# step does not run more compiled functions than this at once.
_STREAMS = 4
# Numbers for some 10 ms of one core, so that the first calls overlap.
_NUMBERS = 4_000_000
_CALLS = 3


@functools.cache
def function(body: Callable) -> Callable:
  """Compiled form of a function of tensors; one for all callers.

  Args:
    body: function of a module, so that it is compiled once for each shape.
  """
  _start()
  return tf.function(body, jit_compile=True)


@functools.cache
def _start() -> None:
  """Makes the streams of XLA while its messages are dropped."""
  ready = threading.Barrier(_STREAMS)

  def call():
    numbers = tf.zeros([_NUMBERS])
    ready.wait()
    for _ in range(_CALLS):
      compiled(numbers)

  # The threads are eager also where the caller traces a function.
  compiled = tf.function(_sum_of_sines, jit_compile=True)
  threads = [threading.Thread(target=call) for _ in range(_STREAMS)]
  with known_lines.dropped():
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()


def _sum_of_sines(numbers):
  return tf.reduce_sum(tf.sin(numbers))
