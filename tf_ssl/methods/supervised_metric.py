"""Supervised metric learning with any loss of (labels, embeddings)."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import info_nce, supervised
from tf_ssl.methods import base, simclr
from tf_ssl.ops import compat, cross_replica

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class SupervisedMetric(simclr.SimClr):
  """Embeddings of one class are close, those of different classes far apart.

  The loss sees both views of every image of the global batch. The two views of
  an image with an unknown label are a class of their own.
  """

  view_type = batches.LabeledPair

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    loss: Loss,
    *,
    name: str = "supervised_metric",
  ):
    """Creates the method.

    Args:
      encoder: images [B, H, W, 3] -> feature [B, D].
      projection_head: feature [B, D] -> embedding [B, E].
      loss: function of labels [2B] int32 and embeddings [2B, E] float32, unit
        length, rows i and B + i from one image. It returns [] or one value for
        each embedding, such as `tfa.losses.TripletSemiHardLoss()`.
      name: name of the Keras model.
    """
    super().__init__(encoder, projection_head, name=name)
    self.metric_loss = loss

  def contrast(self, views: batches.LabeledPair, training: bool):
    """The loss of the global batch, on each replica; `logits` are SimCLR's."""
    queries, keys, features = self.embed_both(views, training)
    all_queries, all_keys = map(cross_replica.gather, (queries, keys))
    rows = cross_replica.rows_of(queries)
    labels = supervised.own_class_if_unknown(views.label, rows)
    labels = cross_replica.gather(labels)
    loss = self.metric_loss(
      tf.concat([labels, labels], axis=0),
      tf.concat([all_queries, all_keys], axis=0),
    )
    logits = info_nce.nt_xent_logits(
      queries, keys, all_queries, all_keys, rows, temperature=self.temperature
    )
    return base.Contrast(tf.reduce_mean(loss), logits, features=features)


def build_supervised_metric(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.MlpHead,
  loss: Loss | None = None,
) -> SupervisedMetric:
  """Builds supervised metric learning for a run.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet50`.
    projection_head: function that builds a projection head.
    loss: loss of (labels, embeddings), as in `SupervisedMetric`. Default: the
      triplet loss with semi-hard negatives (Schroff et al. 2015) and margin 1
      of tensorflow-addons.

  Raises:
    UsageError: the default is asked for and tensorflow-addons is missing.
  """
  return SupervisedMetric(
    *base.build_pair(setup, encoder, projection_head),
    _triplet_semi_hard() if loss is None else loss,
  )


def similarity_loss(loss: Loss, *, temperature: float = 0.1) -> Loss:
  """Adapts a loss of similarities to a loss of embeddings.

  `tfa.losses.NpairsLoss()` (Sohn 2016) is one. It was made for embeddings of
  any length; the temperature replaces what unit length takes from it.

  Args:
    loss: function of labels [B] and similarities [B, B]: row i compares the
      query of image i with the keys of all images.
    temperature: divisor of the similarities, above 0.

  Returns:
    Loss for `SupervisedMetric`.

  Raises:
    UsageError: the temperature is out of range.
  """
  base.check_temperature(temperature)

  def of_embeddings(labels: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
    queries, keys = tf.split(embeddings, 2)
    similarities = tf.matmul(queries, keys, transpose_b=True) / temperature
    return loss(tf.split(labels, 2)[0], similarities)

  return of_embeddings


def _triplet_semi_hard() -> Loss:
  try:
    import tensorflow_addons as tfa
  except ImportError:
    raise errors.UsageError(
      "the triplet loss needs tensorflow-addons"
      f" ({compat.how_to_get('tensorflow-addons')}), or bind another loss of"
      " (labels, embeddings) to supervised_metric.build_supervised_metric.loss"
    ) from None
  return tfa.losses.TripletSemiHardLoss()
