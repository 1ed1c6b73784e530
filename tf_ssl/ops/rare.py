"""Branches of a graph that are rarely taken."""

import functools
from collections.abc import Callable

import tensorflow as tf


def branch(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
  """Makes a function of tensors one operation of a graph that calls it.

  TensorFlow visits each operation of the branches not taken; a function that is
  not inlined is one. It is traced once for all graphs.

  Args:
    function: function of tensors and Python constants, by position.
  """
  traced = tf.function(
    function, autograph=False, experimental_attributes={"_noinline": True}
  )

  @functools.wraps(function)
  def call(*args):
    return (function if tf.executing_eagerly() else traced)(*args)

  return call
