"""Contrastive loss of all images plus a supervised loss of the labeled ones."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import supervised
from tf_ssl.methods import base
from tf_ssl.methods import supervised as supervised_method
from tf_ssl.ops import cross_replica


class Hybrid(base.ContrastiveModel):
  """weight · cross-entropy of labeled images + (1 - weight) · contrastive loss.

  Both share one encoder: the classifier gets the features of the query views.
  """

  view_type = batches.LabeledPair

  def __init__(
    self,
    contrastive: base.ContrastiveModel,
    classifier: tf.keras.layers.Layer,
    *,
    weight: float = 0.5,
    name: str = "hybrid",
  ):
    """Creates the method.

    Args:
      contrastive: method that learns from `ImagePair`, such as MoCo.
      classifier: feature [B, D] -> logits [B, C].
      weight: weight of the supervised loss, 0..1.
      name: name of the Keras model.

    Raises:
      UsageError: the weight is out of range, or `contrastive` learns from
        other batches.
    """
    super().__init__(
      contrastive.encoder,
      contrastive.projection_head,
      name=name,
    )
    errors.require(
      0.0 <= weight <= 1.0, f"weight={weight}: expected 0..1; change `weight`"
    )
    errors.require(
      contrastive.view_type is batches.ImagePair,
      f"hybrid of {contrastive.name}, which learns from"
      f" {contrastive.view_type.__name__}: expected a method that learns from"
      " ImagePair, such as MoCo or SimCLR; change `contrastive`",
    )
    self.contrastive = contrastive
    self.classifier = classifier
    self.weight = weight

  def compile(self, optimizer, **kwargs):
    super().compile(optimizer, **kwargs)
    self.contrastive.optimizer = self.optimizer  # For its step count.
    self.contrastive.jit_compile = self.jit_compile

  def contrast(self, views: batches.LabeledPair, training: bool):
    """Both losses; without any label the supervised one is 0."""
    pair = batches.ImagePair(views.query, views.key)
    contrast = self.contrastive.contrast(pair, training)
    logits = self.classifier(contrast.features, training=training)  # [B, C]
    total, count = supervised.cross_entropy_sum(logits, views.label)
    # The mean over the labeled images of the global batch, on any replica.
    everywhere = cross_replica.mean(tf.stop_gradient(count))
    labeled = tf.math.divide_no_nan(total, everywhere)
    loss = self.weight * labeled + (1.0 - self.weight) * contrast.loss
    return contrast._replace(
      loss=loss,
      metrics={
        "supervised_loss": labeled,
        "contrastive_loss": contrast.loss,
        "supervised_accuracy": _accuracy(logits, views.label, everywhere),
      },
    )

  def on_encoder_initialized(self) -> None:
    self.contrastive.on_encoder_initialized()

  def on_train_step_begin(self) -> None:
    self.contrastive.on_train_step_begin()

  def on_train_step_end(self, to_remember) -> None:
    self.contrastive.on_train_step_end(to_remember)

  @property
  def learned_variables(self):
    return (
      self.contrastive.learned_variables + self.classifier.trainable_variables
    )

  @property
  def checkpoint_roots(self):
    return {**self.contrastive.checkpoint_roots, "classifier": self.classifier}


def _accuracy(logits, labels, count):
  """Fraction of the labeled images that are classified correctly."""
  known = labels >= 0
  logits = tf.boolean_mask(logits, known)
  first = supervised.true_class_first(logits, tf.boolean_mask(labels, known))
  right = tf.reduce_max(first[:, 1:], axis=1) < first[:, 0]
  return tf.math.divide_no_nan(tf.reduce_sum(tf.cast(right, tf.float32)), count)


def build_hybrid(
  setup: base.Setup, *, contrastive: Callable, weight: float = 0.5
) -> Hybrid:
  """Builds the hybrid of a classifier and a contrastive method.

  Args:
    setup: facts about the run.
    contrastive: function that builds the method, such as `moco.build_moco`.
    weight: weight of the supervised loss, 0..1.

  Raises:
    UsageError: an argument is out of range, or the dataset has fewer than two
      classes.
  """
  supervised_method.check_classes(setup)
  method = contrastive(setup)
  classifier = heads.LinearHead(
    embedding_size=setup.num_classes, name="classifier"
  )
  classifier(tf.zeros([1, method.encoder.feature_size]))
  return Hybrid(method, classifier, weight=weight)
