"""Batch normalization in three forms: plain, cross-replica, split.

Each function builds one layer with PyTorch's settings (epsilon 1e-5, a new
batch weighs 0.1 in the moving averages); encoders take one of them as their
`batch_norm` argument.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from tf_ssl import errors

EPSILON = 1e-5  # torch.nn.BatchNorm2d's default
MOVING_AVERAGE_MOMENTUM = 0.9  # 1 - torch's `momentum` of 0.1


def plain(**kwargs) -> tf.keras.layers.Layer:
  """Statistics over the examples that one replica sees."""
  return tf.keras.layers.BatchNormalization(
    epsilon=EPSILON, momentum=MOVING_AVERAGE_MOMENTUM, **kwargs
  )


def cross_replica(**kwargs) -> tf.keras.layers.Layer:
  """Statistics over the global batch."""
  return plain(synchronized=True, **kwargs)


def split(*, groups: int, **kwargs) -> tf.keras.layers.Layer:
  """Statistics over each of `groups` contiguous parts of the batch."""
  return SplitBatchNormalization(
    groups,
    epsilon=EPSILON,
    momentum=MOVING_AVERAGE_MOMENTUM,
    **kwargs,
  )


def split_in_place(model: tf.keras.Model, *, groups: int) -> None:
  """Makes every plain batch norm of a built model one of `groups` parts.

  For networks of others, which take no builder of their normalization layers.

  Args:
    model: its layers are changed; its variables stay.
    groups: see `split`; 1 changes nothing.

  Raises:
    UsageError: groups is below 1.
  """
  _check(groups)
  for layer in model.submodules if groups > 1 else ():
    if type(layer) is tf.keras.layers.BatchNormalization:
      # the two differ in `call` alone
      layer.__class__ = SplitBatchNormalization
      layer.groups = groups


def _check(groups: int) -> None:
  if groups < 1:
    raise errors.UsageError(
      f"split batch norm: groups={groups}, expected at least 1; change"
      " `groups`."
    )


class SplitBatchNormalization(tf.keras.layers.BatchNormalization):
  """Batch normalization that behaves as if `groups` replicas stood behind it.

  In training each contiguous group of B/G examples is normalized by its own
  statistics, which keeps one device from leaking, through the batch, which key
  belongs to which query (MoCo's CIFAR-10 notebook uses 8 groups). The moving
  averages move by the mean of the groups' statistics. Inference is plain.
  """

  def __init__(self, groups: int, **kwargs):
    """Takes the number of parts, which must divide the batch.

    Raises:
      UsageError: groups is below 1.
    """
    super().__init__(**kwargs)
    _check(groups)
    self.groups = groups

  def call(self, inputs, training=None):
    """[B, ..., C] -> the same shape.

    Raises:
      UsageError: B is not a multiple of `groups` (in training).
    """
    if not training or not self.trainable:
      return super().call(inputs, training=training)
    batch = inputs.shape[0]
    if batch is not None and batch % self.groups:
      raise errors.UsageError(
        f"split batch norm: a batch of {batch} cannot be cut into"
        f" groups={self.groups} equal parts; change BATCH_SIZE or `groups`."
      )
    images = inputs if inputs.shape.rank == 4 else inputs[:, None, None, :]
    outputs, means, variances = zip(
      *map(self._normalize, tf.split(images, self.groups)), strict=True
    )
    self._move(self.moving_mean, means)
    self._move(self.moving_variance, variances)
    outputs = tf.concat(outputs, axis=0)
    return outputs if inputs.shape.rank == 4 else outputs[:, 0, 0, :]

  def _normalize(self, group: tf.Tensor):
    # is_training=True returns the group's mean and its unbiased variance
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
  """Lets split and cross-replica batch norm work as plain batch norm.

  Both guard pretraining against a leak. Whoever fine-tunes has batches that
  need not be a multiple of our number of groups, and replicas of their own.

  Args:
    encoder: what is called, or traced, inside.
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
