"""Supervised contrastive learning (Khosla et al. 2020)."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.encoders import heads
from tf_ssl.losses import info_nce, supervised
from tf_ssl.methods import base, simclr
from tf_ssl.ops import cross_replica


class SupervisedContrastive(simclr.SimClr):
  """SimCLR in which all views of one class are positives.

  The two views of an image with an unknown label are a class of their own.
  """

  view_type = batches.LabeledPair

  def contrast(self, views: batches.LabeledPair, training: bool):
    """L_out, the mean over the 2B views; `logits` are SimCLR's."""
    queries, keys, features = self.embed_both(views, training)
    all_queries, all_keys = map(cross_replica.gather, (queries, keys))
    rows = cross_replica.rows_of(queries)
    labels = supervised.own_class_if_unknown(views.label, rows)
    all_labels = cross_replica.gather(labels)
    everything = tf.concat([all_queries, all_keys], axis=0)
    classes = tf.concat([all_labels, all_labels], axis=0)
    batch = tf.shape(all_queries)[0]
    losses = [
      supervised.supervised_contrastive(
        mine,
        labels,
        everything,
        classes,
        places,
        temperature=self.temperature,
      )
      for mine, places in ((queries, rows), (keys, rows + batch))
    ]
    logits = info_nce.nt_xent_logits(
      queries, keys, all_queries, all_keys, rows, temperature=self.temperature
    )
    loss = tf.reduce_mean(tf.concat(losses, axis=0))
    return base.Contrast(loss, logits, features=features)


def build_supervised_contrastive(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.MlpHead,
  temperature: float = 0.1,
) -> SupervisedContrastive:
  """Builds supervised contrastive learning for a run.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet50`.
    projection_head: function that builds a projection head; the paper's is
      2048 -> 2048 -> 128.
    temperature: divisor of the similarities; 0.1 in the authors' code.

  Raises:
    UsageError: an argument is out of range.
  """
  return SupervisedContrastive(
    *base.build_pair(setup, encoder, projection_head),
    temperature=temperature,
    name="supervised_contrastive",
  )
