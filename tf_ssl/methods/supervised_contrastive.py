"""Supervised contrastive learning (Khosla et al. 2020)."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches
from tf_ssl.encoders import heads
from tf_ssl.losses import nt_xent, supervised
from tf_ssl.methods import base, simclr
from tf_ssl.ops import cross_replica


class SupervisedContrastive(simclr.SimClr):
  """SimCLR in which all views of one class are positives.

  Images of unknown label have their other view as the only positive.
  """

  view_type = batches.LabeledPair

  def contrast(self, views: batches.LabeledPair, training: bool):
    """L_out, the mean over the 2B views; `logits` are SimCLR's."""
    queries, keys, features = self.embed_both(views, training)
    all_queries, all_keys = map(cross_replica.gather, (queries, keys))
    rows = cross_replica.rows_of(queries)
    # An unknown label is a class of its own, which its two views share.
    labels = tf.where(views.label < 0, -2 - rows, views.label)
    all_labels = cross_replica.gather(labels)
    everything = tf.concat([all_queries, all_keys], axis=0)
    classes = tf.concat([all_labels, all_labels], axis=0)
    classes -= tf.reduce_min(classes)  # the loss takes negative ids for unknown
    batch = tf.shape(all_queries)[0]
    losses = [
      supervised.supervised_contrastive(
        mine,
        tf.gather(classes, rows),
        everything,
        classes,
        places,
        temperature=self.temperature,
      )
      for mine, places in ((queries, rows), (keys, rows + batch))
    ]
    logits = nt_xent.nt_xent_logits(
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
    setup: what the run is like.
    encoder: builds an encoder, such as `resnet.resnet50`.
    projection_head: builds a head; the paper's is 2048 -> 2048 -> 128.
    temperature: 0.1 in the authors' code.

  Raises:
    UsageError: an argument out of range.
  """
  return SupervisedContrastive(
    *base.build_pair(setup, encoder, projection_head),
    temperature=temperature,
    name="supervised_contrastive",
  )
