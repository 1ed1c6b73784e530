"""EMP-SSL (Tong et al. 2023, arXiv 2304.03977): crops agree on their mean."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import coding_rate
from tf_ssl.methods import base, multi_crop
from tf_ssl.ops import cross_replica


class EmpSsl(base.ContrastiveModel):
  """Loss = -invariance_weight · D - R, averaged over the crops.

  D is the cosine of each crop's embedding to the mean of its image. R is the
  total coding rate of the global batch, for one crop of each image; it keeps
  embeddings apart, without negatives. In the notation of the paper,
  `invariance_weight` is λ and `squared_precision` ε².
  """

  view_type = batches.Crops

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    *,
    invariance_weight: float = 200.0,
    squared_precision: float = 0.2,
    name: str = "emp_ssl",
  ):
    """Creates the method; the defaults are those of the authors' code.

    Args:
      encoder: images [B, H, W, 3] -> feature [B, D].
      projection_head: feature [B, D] -> embedding [B, E].
      invariance_weight: weight of the cosine, above 0.
      squared_precision: squared distortion of the coding rate, above 0.
      name: name of the Keras model.

    Raises:
      UsageError: an argument is out of range.
    """
    super().__init__(encoder, projection_head, name=name)
    errors.require(
      invariance_weight > 0 < squared_precision,
      f"invariance_weight={invariance_weight},"
      f" squared_precision={squared_precision}: expected both above 0; change"
      " them",
    )
    self.invariance_weight = invariance_weight
    self.squared_precision = squared_precision

  def contrast(self, views: batches.Crops, training: bool) -> base.Contrast:
    """Both terms; `logits` compare the first crops with the images' means."""
    errors.require(
      views.crops.shape[1] >= 2,
      f"EMP-SSL got {views.crops.shape[1]} crops of each image; expected at"
      " least 2; change CROPS",
    )
    embeddings = multi_crop.embed_crops(self, views.crops, training)
    everywhere = tf.ensure_shape(  # Replicas gather tensors of unknown shape.
      cross_replica.gather(embeddings), [None, *embeddings.shape[1:]]
    )
    rate = tf.reduce_mean(
      coding_rate.total_coding_rate(
        tf.transpose(everywhere, [1, 0, 2]),
        squared_precision=self.squared_precision,
      )
    )
    similarity = coding_rate.similarity_to_mean(embeddings)
    return base.Contrast(
      -self.invariance_weight * similarity - rate,
      _logits(tf.stop_gradient(embeddings)),
      metrics={"similarity": similarity, "coding_rate": rate},
    )


def _logits(embeddings):
  """Similarities of first crops to the images' means, [B, 1+B]; own first."""
  means = multi_crop.targets_of(embeddings, "mean")[:, 0]
  similarity = tf.matmul(embeddings[:, 0], means, transpose_b=True)  # [B, B]
  own = tf.linalg.diag_part(similarity)
  others = tf.linalg.set_diag(similarity, tf.fill(tf.shape(own), -1.0))
  return tf.concat([own[:, None], others], axis=1)


def build_emp_ssl(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.BatchNormMlpHead,
  invariance_weight: float = 200.0,
  squared_precision: float = 0.2,
) -> EmpSsl:
  """Builds EMP-SSL for a run.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet18`.
    projection_head: function that builds a projection head.
    invariance_weight: λ, weight of the cosine; the authors' is 200.
    squared_precision: ε² of the coding rate; the authors' is 0.2.

  Raises:
    UsageError: an argument is out of range.
  """
  return EmpSsl(
    *base.build_pair(setup, encoder, projection_head),
    invariance_weight=invariance_weight,
    squared_precision=squared_precision,
  )
