"""Functions that a SavedModel restores, called as they were traced."""

import functools
from collections.abc import Callable

import tensorflow as tf


def of_images(
  function: object, *, training: bool = False
) -> tuple[Callable, tf.TensorSpec] | None:
  """A restored function as one of images alone.

  Args:
    function: an attribute of a loaded SavedModel, such as its `__call__`.
    training: whether to look for a trace that was given True (the convention of
      TF-Hub: its argument `training`), or for one that was not.

  Returns:
    From images [B, H, W, 3] to what it gives, and the images that it takes;
    float32 where it takes several types. None if it has no such trace.
  """
  found = []
  for trace in getattr(function, "concrete_functions", []):
    # What it was traced with: specs of tensors, and values such as training.
    given = trace.structured_input_signature
    flat = tf.nest.flatten(given)
    specs = [value for value in flat if isinstance(value, tf.TensorSpec)]
    is_training = any(value is True for value in flat)
    if len(specs) == 1 and is_training == training and takes_images(specs[0]):
      found.append((functools.partial(_called, function, given), specs[0]))
  found.sort(key=lambda call: not call[1].dtype.is_floating)
  return found[0] if found else None


def takes_images(spec: tf.TensorSpec) -> bool:
  """Whether a tensor may hold [B, H, W, 3]."""
  shape = spec.shape
  is_number = spec.dtype.is_floating or spec.dtype == tf.uint8
  return is_number and (
    shape.rank is None or (shape.rank == 4 and shape[3] in (3, None))
  )


def _called(function: Callable, given: tuple, pixels: tf.Tensor):
  """Calls it as it was traced, with these pixels for the tensor."""
  arguments, named = tf.nest.map_structure(
    lambda value: pixels if isinstance(value, tf.TensorSpec) else value, given
  )
  return function(*arguments, **named)
