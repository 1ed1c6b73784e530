"""SimCLR (Chen et al. 2020): the batch itself supplies the negatives."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import info_nce, nt_xent
from tf_ssl.methods import base
from tf_ssl.ops import cross_replica


class SimClr(base.ContrastiveModel):
  """Every view must find its twin among the 2B views of the global batch."""

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    *,
    temperature: float = 0.1,
    name: str = "simclr",
  ):
    """Takes the parts.

    Args:
      encoder: trained by gradient.
      projection_head: likewise.
      temperature: divides similarities, above 0.
      name: of the Keras model.

    Raises:
      UsageError: the temperature is out of range.
    """
    super().__init__(encoder, projection_head, name=name)
    if not temperature > 0.0:
      raise errors.UsageError(
        f"temperature={temperature}: expected above 0; change `temperature`."
      )
    self.temperature = temperature

  def embed_both(self, views, training):
    """Both sides in one call, as the batch norms of the paper see them.

    Returns:
      Embeddings [B, E] of queries and of keys; features [B, D] of queries.
    """
    images = tf.concat([views.query, views.key], axis=0)  # [2B, H, W, 3]
    features = self.encoder(images, training=training)
    embeddings = self.project(features, training=training)
    return *tf.split(embeddings, 2), tf.split(features, 2)[0]

  def contrast(self, views: batches.ImagePair, training: bool) -> base.Contrast:
    """Equation 1, the mean over the 2B views."""
    queries, keys, features = self.embed_both(views, training)
    logits = nt_xent.nt_xent_logits(
      queries,
      keys,
      cross_replica.gather(queries),
      cross_replica.gather(keys),
      cross_replica.rows_of(queries),
      temperature=self.temperature,
    )
    return base.Contrast(info_nce.info_nce(logits), logits, features=features)


def build_simclr(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.BatchNormMlpHead,
  temperature: float = 0.1,
) -> SimClr:
  """Builds SimCLR for a run.

  Args:
    setup: what the run is like.
    encoder: builds an encoder, such as `resnet.resnet50`.
    projection_head: builds a head, such as `heads.BatchNormMlpHead`.
    temperature: 0.1 on ImageNet, 0.5 on CIFAR-10.

  Raises:
    UsageError: an argument out of range.
  """
  return SimClr(
    *base.build_pair(setup, encoder, projection_head),
    temperature=temperature,
  )
