"""SimCLR (Chen et al. 2020): the batch itself supplies the negatives."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.encoders import heads
from tf_ssl.losses import info_nce
from tf_ssl.methods import base
from tf_ssl.ops import cross_replica


class SimClr(base.ContrastiveModel):
  """A view is classified as its pair among the 2B views of the global batch."""

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    *,
    temperature: float = 0.1,
    name: str = "simclr",
  ):
    """Creates the method.

    Args:
      encoder: images [B, H, W, 3] -> feature [B, D].
      projection_head: feature [B, D] -> embedding [B, E].
      temperature: divisor of the similarities, above 0.
      name: name of the Keras model.

    Raises:
      UsageError: the temperature is out of range.
    """
    super().__init__(encoder, projection_head, name=name)
    base.check_temperature(temperature)
    self.temperature = temperature

  @classmethod
  def like(cls, plain: "SimClr", **options) -> "SimClr":
    """Creates a SimCLR of this class with the parts and settings of another.

    Args:
      plain: SimCLR whose encoder and head are used, not copied.
      **options: further arguments of this class.
    """
    return cls(
      plain.encoder,
      plain.projection_head,
      temperature=plain.temperature,
      **options,
    )

  def embed_both(self, views, training):
    """Embeds both views in one call, over which batch norm averages.

    Args:
      views: batch with `query` and `key`, [B, H, W, 3] each.
      training: whether batch norm uses and updates batch statistics.

    Returns:
      Embeddings [B, E] of queries and of keys; features [B, D] of queries.
    """
    images = tf.concat([views.query, views.key], axis=0)  # [2B, H, W, 3]
    features = self.encoder(images, training=training)
    embeddings = self.project(features, training=training)
    return *tf.split(embeddings, 2), tf.split(features, 2)[0]

  def contrast(self, views: batches.ImagePair, training: bool) -> base.Contrast:
    """Equation 1: the mean over the 2B views."""
    queries, keys, features = self.embed_both(views, training)
    logits = info_nce.nt_xent_logits(
      queries,
      keys,
      cross_replica.gather(queries),
      cross_replica.gather(keys),
      cross_replica.rows_of(queries),
      temperature=self.temperature,
    )
    return base.Contrast(
      info_nce.info_nce(logits),
      logits,
      features=features,
      embeddings=(queries, keys),
    )


def build_simclr(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.BatchNormMlpHead,
  temperature: float = 0.1,
) -> SimClr:
  """Builds SimCLR for a run.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet50`.
    projection_head: function that builds a projection head.
    temperature: divisor of the similarities; the paper's is 0.1 on ImageNet,
      0.5 on CIFAR-10.

  Raises:
    UsageError: an argument is out of range.
  """
  return SimClr(
    *base.build_pair(setup, encoder, projection_head),
    temperature=temperature,
  )
