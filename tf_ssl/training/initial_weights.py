"""Initial weights that depend on the training images."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl.methods import base
from tf_ssl.ops import cross_replica


def replace(
  initialize: Callable | None,
  model: base.ContrastiveModel,
  images: Callable[[], tf.Tensor],
  *,
  seed: int,
) -> None:
  """Gives the encoder of a method other initial weights.

  Args:
    initialize: function of the encoder, normalized images [B, H, W, 3] and a
      seed, such as `principal_filters.initialize`; None changes nothing.
    model: method whose encoder is changed.
    images: function that returns the images, the same for all workers.
    seed: seed of the run.
  """
  if initialize is None:
    return
  initialize(model.encoder, images(), seed=seed)
  _take_those_of_the_first_replica(model.encoder)
  model.on_encoder_initialized()


def _take_those_of_the_first_replica(encoder: tf.keras.Model) -> None:
  """Makes weights equal on all workers, whose rounding may differ."""
  strategy = tf.distribute.get_strategy()
  if strategy.num_replicas_in_sync == 1:
    return
  variables = encoder.trainable_variables

  @tf.function
  def first():
    return [cross_replica.gather(variable[None])[0] for variable in variables]

  found = strategy.run(first)
  for variable, value in zip(variables, found, strict=True):
    variable.assign(strategy.experimental_local_results(value)[0])
