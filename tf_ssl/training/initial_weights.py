"""Initial weights that depend on the training images."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.methods import base
from tf_ssl.ops import cross_replica

_NUM_VIEWS = 256


def replace(
  initialize: Callable | None,
  model: base.ContrastiveModel,
  dataset: Callable[[], tf.data.Dataset],
  *,
  seed: int,
) -> None:
  """Gives the encoder of a method other initial weights.

  Args:
    initialize: function of the encoder, normalized views [B, H, W, 3] and a
      seed, such as `principal_filters.initialize`; None changes nothing.
    model: method whose encoder is changed.
    dataset: function that returns batches of the method's `view_type`; the
      first 256 views of their first field are used, or all if there are fewer.
    seed: seed of the run.
  """
  if initialize is None:
    return
  found, count = [], 0
  for batch in dataset():
    if model.finish_views is not None:
      batch = model.finish_views(batch, 0)
    images = getattr(batch, batches.view_fields(type(batch))[0])
    images = tf.reshape(images, [-1, *images.shape[-3:]])
    found.append(images)
    count += images.shape[0]
    if count >= _NUM_VIEWS:
      break
  initialize(model.encoder, tf.concat(found, axis=0)[:_NUM_VIEWS], seed=seed)
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
