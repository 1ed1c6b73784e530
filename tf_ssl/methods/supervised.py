"""Supervised classification, the baseline of self-supervised methods."""

from collections.abc import Callable

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import supervised
from tf_ssl.methods import base


class Supervised(base.ContrastiveModel):
  """Softmax cross-entropy over classes.

  `projection_head` outputs the class logits. Column 0 of a contrast's `logits`
  is the true class, so `contrastive_accuracy` is the accuracy on the batch.
  """

  view_type = batches.LabeledImage

  def contrast(self, views: batches.LabeledImage, training: bool):
    """The mean over the batch; every image must have a label."""
    features = self.encoder(views.image, training=training)
    logits = self.projection_head(features, training=training)  # [B, C]
    total, count = supervised.cross_entropy_sum(logits, views.label)
    return base.Contrast(
      total / count,
      supervised.true_class_first(logits, views.label),
      features=features,
    )


def build_supervised(setup: base.Setup, *, encoder: Callable) -> Supervised:
  """Builds a classifier for a run.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet50`.

  Raises:
    UsageError: the dataset has fewer than two classes.
  """

  def classifier(name):
    return heads.LinearHead(embedding_size=setup.num_classes, name=name)

  check_classes(setup)
  return Supervised(
    *base.build_pair(setup, encoder, classifier),
    name="supervised",
  )


def check_classes(setup: base.Setup) -> None:
  """Raises UsageError if the dataset has fewer than two classes."""
  errors.require(
    setup.num_classes >= 2,
    f"the images have {setup.num_classes} classes: expected at least 2; set"
    " IMAGES to class folders (CLASS/image.jpg) or a manifest with a column"
    " `label`, and set Pretraining.labels",
  )
