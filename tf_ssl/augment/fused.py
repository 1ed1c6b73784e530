"""Fusing the element-wise steps of a recipe.

TensorFlow's CPU kernels pass over the images once for every `+` and `*`; XLA
makes one loop of a step, and the passes are what the photometric half costs on
a CPU. Steps are compiled one by one: given several at once, XLA computes
shared values again for each use.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def call(step: Callable[..., Any], compiled: bool, *args: Any) -> Any:
  """`step(*args)`, compiled if asked; `step` is a module's function."""
  return (_compile(step) if compiled else step)(*args)


@functools.cache
def _compile(step: Callable[..., Any]) -> Callable[..., Any]:
  return tf.function(step, jit_compile=True)
