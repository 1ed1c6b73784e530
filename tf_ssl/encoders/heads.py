"""Projection heads: feature [B, D] -> embedding [B, E], not normalized.

Weights and biases of dense layers have the initial values of torch.nn.Linear:
U(-1/sqrt(D), 1/sqrt(D)). Heads compute in float32 under any precision policy,
because they are small and the loss is sensitive to them.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl.encoders import batch_norm as batch_norms


class _Linear(tf.keras.layers.Dense):
  """Dense layer with the initial values of torch.nn.Linear."""

  def __init__(self, units: int, **kwargs):
    super().__init__(units, dtype="float32", **kwargs)

  def build(self, input_shape):
    bound = input_shape[-1] ** -0.5
    uniform = tf.keras.initializers.RandomUniform
    self.kernel_initializer = uniform(-bound, bound)
    self.bias_initializer = uniform(-bound, bound)
    super().build(input_shape)


class LinearHead(tf.keras.layers.Layer):
  """One linear layer: the head of MoCo v1 and PIRL, and a classifier."""

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
    """Creates the layers.

    Args:
      hidden_size: width of the hidden layer; None for D.
      embedding_size: E.
      name: name of the Keras layer.
    """
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


class BatchNormMlpHead(tf.keras.layers.Layer):
  """SimCLR's head: two linear layers, each with batch norm.

  A ReLU is between them (2048 -> 2048 -> 128). The linear layers have no bias.
  """

  def __init__(
    self,
    *,
    hidden_size: int | None = None,
    embedding_size: int = 128,
    batch_norm: Callable = batch_norms.plain,
    name="projection_head",
  ):
    """Creates the layers.

    Args:
      hidden_size: width of the hidden layer; None for D.
      embedding_size: E.
      batch_norm: function of `encoders.batch_norm` that builds a layer.
      name: name of the Keras layer.
    """
    super().__init__(dtype="float32", name=name)
    self.hidden_size = hidden_size
    self.embedding_size = embedding_size
    self.hidden_norm = batch_norm(dtype="float32", name="hidden_norm")
    self.output_layer = _Linear(embedding_size, use_bias=False, name="output")
    self.output_norm = batch_norm(dtype="float32", name="output_norm")

  def build(self, input_shape):
    width = self.hidden_size or input_shape[-1]
    self.hidden_layer = _Linear(width, use_bias=False, name="hidden")
    super().build(input_shape)

  def call(self, features, training=None):
    """[B, D] -> [B, E]."""
    hidden = self.hidden_norm(self.hidden_layer(features), training=training)
    output = self.output_layer(tf.nn.relu(hidden))
    return self.output_norm(output, training=training)


class JigsawHead(tf.keras.layers.Layer):
  """PIRL's g: a head for each patch, then a linear layer over all patches."""

  def __init__(
    self,
    *,
    patch_head: Callable = LinearHead,
    embedding_size: int = 128,
    name="jigsaw_head",
  ):
    """Creates the layers.

    Args:
      patch_head: function of a name that builds the head that patches share.
      embedding_size: E.
      name: name of the Keras layer.
    """
    super().__init__(dtype="float32", name=name)
    self.embedding_size = embedding_size
    self.patch_head = patch_head(name="patch_head")
    self.output_layer = _Linear(embedding_size, name="output")

  def call(self, features, training=None):
    """[B, P, D] -> [B, E]."""
    patches, size = features.shape[1:]
    flat = self.patch_head(tf.reshape(features, [-1, size]), training=training)
    joined = tf.reshape(flat, [-1, patches * flat.shape[1]])
    return self.output_layer(joined)
