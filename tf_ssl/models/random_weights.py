"""Weights of any network, as they are before training."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors

_ONES = ("gamma", "moving_variance")
_ZEROS = ("beta", "bias", "moving_mean")


def draw(variables: Sequence[tf.Variable], seed: int, *, name: str) -> None:
  """Sets the variables of a network anew.

  As torchvision's ResNet starts, and this project's: kernels normal with
  variance 2 / fan-out; batch norm scales by 1, shifts by 0, and has seen mean 0
  and variance 1; biases are 0. What a variable is, Keras' name of it says.

  Args:
    variables: all of the network; changed in place.
    seed: of the kernels.
    name: of the model, for errors.

  Raises:
    UsageError: a variable of another kind.
  """
  kinds = [
    variable.name.rsplit("/", 1)[-1].partition(":")[0] for variable in variables
  ]
  unknown = [
    variable.name
    for variable, kind in zip(variables, kinds, strict=True)
    if kind not in (*_ONES, *_ZEROS)
    and not (kind.endswith("kernel") and variable.shape.rank >= 2)
  ]
  if unknown:
    raise errors.UsageError(
      f"model {name!r}: how {', '.join(unknown[:5])} start before training is "
      "not known, so the same network cannot be trained from scratch; leave "
      "that comparison out, or give an untrained file of it as a model"
    )
  seeds = np.random.SeedSequence(seed).generate_state(len(variables))
  for variable, kind, number in zip(variables, kinds, seeds, strict=True):
    if kind.endswith("kernel"):
      initializer = tf.keras.initializers.VarianceScaling(
        2.0,
        mode="fan_out",
        distribution="untruncated_normal",
        seed=int(number >> 1),
      )
      variable.assign(initializer(variable.shape, variable.dtype))
    else:
      value = 1.0 if kind in _ONES else 0.0
      variable.assign(tf.fill(variable.shape, tf.cast(value, variable.dtype)))
