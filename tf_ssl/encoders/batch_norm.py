"""Batch normalization in three forms: plain, cross-replica, split.

Each function builds a layer with PyTorch's settings: epsilon 1e-5, weight 0.1
of a new batch in the moving averages. Encoders take such a function as their
`batch_norm` argument.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from tf_ssl import errors

EPSILON = 1e-5  # Default of torch.nn.BatchNorm2d.
MOVING_AVERAGE_MOMENTUM = 0.9  # 1 - torch's `momentum` of 0.1.


def plain(**kwargs) -> tf.keras.layers.Layer:
  """Builds a layer with statistics over the batch of one replica."""
  return tf.keras.layers.BatchNormalization(
    epsilon=EPSILON, momentum=MOVING_AVERAGE_MOMENTUM, **kwargs
  )


def cross_replica(**kwargs) -> tf.keras.layers.Layer:
  """Builds a layer with statistics over the global batch."""
  return plain(synchronized=True, **kwargs)


def split(*, groups: int, **kwargs) -> tf.keras.layers.Layer:
  """Builds a layer with statistics over each of `groups` parts of the batch."""
  return SplitBatchNormalization(
    groups,
    epsilon=EPSILON,
    momentum=MOVING_AVERAGE_MOMENTUM,
    **kwargs,
  )


def split_in_place(model: tf.keras.Model, *, groups: int) -> None:
  """Converts every plain batch norm of a built model to split batch norm.

  It is for networks that do not take a builder of normalization layers.

  Args:
    model: model whose layers are changed; its variables stay.
    groups: number of parts of the batch; 1 changes nothing.

  Raises:
    UsageError: `groups` is below 1.
  """
  _check(groups)
  for layer in model.submodules if groups > 1 else ():
    if type(layer) is tf.keras.layers.BatchNormalization:
      # The two classes differ only in `call`.
      layer.__class__ = SplitBatchNormalization
      layer.groups = groups


def relu_of(
  layer: tf.keras.layers.Layer, inputs: tf.Tensor, training=None
) -> tf.Tensor:
  """ReLU of a layer's output.

  Split batch norm applies it to each group before it joins them, where
  TensorFlow fuses both on CPUs; the bits do not change.

  Args:
    layer: batch norm of any form.
    inputs: [B, ..., C].
    training: whether batch statistics are used and moving averages updated.
  """
  if isinstance(layer, SplitBatchNormalization):
    return layer(inputs, training=training, relu=True)
  return tf.nn.relu(layer(inputs, training=training))


def _check(groups: int) -> None:
  errors.require(
    groups >= 1,
    f"split batch norm: groups={groups}, expected at least 1; change `groups`",
  )


def check_batch(model: tf.Module, batch_size: int, name: str) -> None:
  """Raises UsageError if split batch norm cannot divide a batch.

  Args:
    model: model whose layers are checked.
    batch_size: number of examples on one replica.
    name: name of the setting, for the message.
  """
  groups = {
    layer.groups
    for layer in model.submodules
    if isinstance(layer, SplitBatchNormalization)
  }
  for count in sorted(groups):
    errors.require(
      batch_size % count == 0,
      f"split batch norm: a batch of {batch_size} ({name}) is not a multiple of"
      f" groups={count}; change {name} or `groups`",
    )


class SplitBatchNormalization(tf.keras.layers.BatchNormalization):
  """Batch normalization of one device that acts like `groups` replicas.

  In training each contiguous group of B/G examples is normalized by its own
  statistics. On one device this keeps batch statistics from revealing which key
  belongs to which query (MoCo's CIFAR-10 notebook uses 8 groups). The moving
  averages are updated by the mean over groups. Inference is plain.
  """

  def __init__(self, groups: int, **kwargs):
    """Creates the layer.

    Args:
      groups: number of parts of the batch; it must divide the batch size.
      **kwargs: arguments of `tf.keras.layers.BatchNormalization`.

    Raises:
      UsageError: `groups` is below 1.
    """
    super().__init__(**kwargs)
    _check(groups)
    self.groups = groups

  def call(self, inputs, training=None, relu=False):
    """Normalizes [B, ..., C], followed by ReLU if asked.

    Raises:
      UsageError: in training, B is not a multiple of `groups`.
    """
    if not training or not self.trainable:
      outputs = super().call(inputs, training=training)
      return tf.nn.relu(outputs) if relu else outputs
    batch = inputs.shape[0]
    if batch is not None and batch % self.groups:
      raise errors.UsageError(
        f"split batch norm: a batch of {batch} is not a multiple of"
        f" groups={self.groups}; change BATCH_SIZE or `groups`"
      )
    images = inputs if inputs.shape.rank == 4 else inputs[:, None, None, :]
    outputs, means, variances = zip(
      *map(self._normalize, tf.split(images, self.groups)), strict=True
    )
    self._move(self.moving_mean, means)
    self._move(self.moving_variance, variances)
    if relu:
      outputs = [tf.nn.relu(group) for group in outputs]
    outputs = tf.concat(outputs, axis=0)
    return outputs if inputs.shape.rank == 4 else outputs[:, 0, 0, :]

  def _normalize(self, group: tf.Tensor):
    # is_training=True returns the mean and the unbiased variance of the group.
    return tf.compat.v1.nn.fused_batch_norm(
      group,
      scale=self.gamma,
      offset=self.beta,
      epsilon=self.epsilon,
      is_training=True,
    )

  def _move(self, average: tf.Variable, values):
    value = tf.add_n(values) / self.groups
    average.assign(
      average * self.momentum
      + tf.cast(value, average.dtype) * (1.0 - self.momentum)
    )

  def get_config(self):
    return {**super().get_config(), "groups": self.groups}


@contextlib.contextmanager
def working_plainly(encoder: tf.Module) -> Iterator[None]:
  """Makes split and cross-replica batch norm act as plain batch norm.

  Both forms serve pretraining only. In fine-tuning, the batch size may not be a
  multiple of the number of groups.

  Args:
    encoder: encoder that the body calls or traces.
  """
  changed = []
  for layer in encoder.submodules:
    if isinstance(layer, tf.keras.layers.BatchNormalization):
      changed.append((layer, "synchronized", layer.synchronized))
      layer.synchronized = False
    if isinstance(layer, SplitBatchNormalization):
      changed.append((layer, "groups", layer.groups))
      layer.groups = 1
  try:
    yield
  finally:
    for layer, name, value in changed:
      setattr(layer, name, value)
