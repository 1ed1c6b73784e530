"""Projection heads: feature [B, D] -> embedding [B, E], not yet unit length.

Dense layers start as torch.nn.Linear does: U(-1/sqrt(D), 1/sqrt(D)) for weight
and bias. They compute in float32 under any precision policy: they are small and
the loss is sensitive to them.
"""

import tensorflow as tf


class _Linear(tf.keras.layers.Dense):
  """Dense with torch.nn.Linear's initial values."""

  def __init__(self, units: int, **kwargs):
    super().__init__(units, dtype="float32", **kwargs)

  def build(self, input_shape):
    bound = input_shape[-1] ** -0.5
    uniform = tf.keras.initializers.RandomUniform
    self.kernel_initializer = uniform(-bound, bound)
    self.bias_initializer = uniform(-bound, bound)
    super().build(input_shape)


class LinearHead(tf.keras.layers.Layer):
  """One linear layer: MoCo v1 and PIRL."""

  def __init__(self, *, embedding_size: int = 128, name="projection_head"):
    super().__init__(dtype="float32", name=name)
    self.embedding_size = embedding_size
    self.output_layer = _Linear(embedding_size, name="output")

  def call(self, features, training=None):
    """[B, D] -> [B, E]."""
    del training
    return self.output_layer(features)


class MlpHead(tf.keras.layers.Layer):
  """Two linear layers with a ReLU between: MoCo v2 (2048 -> 2048 -> 128)."""

  def __init__(
    self,
    *,
    hidden_size: int | None = None,
    embedding_size: int = 128,
    name="projection_head",
  ):
    """Takes the width between the two; None for the feature's D."""
    super().__init__(dtype="float32", name=name)
    self.hidden_size = hidden_size
    self.embedding_size = embedding_size
    self.output_layer = _Linear(embedding_size, name="output")

  def build(self, input_shape):
    self.hidden_layer = _Linear(
      self.hidden_size or input_shape[-1], name="hidden"
    )
    super().build(input_shape)

  def call(self, features, training=None):
    """[B, D] -> [B, E]."""
    del training
    return self.output_layer(tf.nn.relu(self.hidden_layer(features)))
