"""Tests of tf_ssl.methods.hybrid."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.methods import base, hybrid, moco, npid
from tf_ssl.ops import optimizers

ENCODER = shallow_reference.resnet10
SETUP = base.Setup(num_images=50, batch_size=8, image_size=8, num_classes=3)


def images(seed=0):
  return tf.random.stateless_normal([8, 8, 8, 3], [seed, 0])


def step(model, views):
  model.compile(optimizers.MomentumSgd(0.01), run_eagerly=True)
  logs = model.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
  return {name: values[0] for name, values in logs.items()}


def build_hybrid(weight):
  tf.keras.utils.set_random_seed(0)
  contrastive = functools.partial(
    moco.build_moco, encoder=ENCODER, queue_size=16
  )
  return hybrid.build_hybrid(SETUP, contrastive=contrastive, weight=weight)


def test_the_hybrid_is_the_weighted_sum_of_both_losses():
  labels = tf.constant([0, -1, 2, -1, -1, 1, -1, -1])
  views = batches.LabeledPair(images(1), images(2), labels)
  model = build_hybrid(0.25)
  logs = step(model, views)
  np.testing.assert_allclose(
    logs["loss"],
    0.25 * logs["supervised_loss"] + 0.75 * logs["contrastive_loss"],
    rtol=1e-5,
  )
  assert int(model.contrastive.queue.head) == 8  # it still remembers keys
  again = build_hybrid(0.25)
  pair = batches.ImagePair(images(1), images(2))
  np.testing.assert_allclose(
    step(again.contrastive, pair)["loss"], logs["contrastive_loss"], rtol=1e-5
  )


def test_only_labeled_images_have_a_supervised_loss():
  labels = tf.constant([0, -1, 2, -1, -1, 1, -1, -1])
  views = batches.LabeledPair(images(1), images(2), labels)
  model = build_hybrid(1.0)
  model.compile(optimizers.MomentumSgd(0.01))
  contrast = model.contrast(views, training=True)
  logits = model.classifier(contrast.features).numpy()[[0, 2, 5]]
  each = np.log(np.exp(logits).sum(1)) - logits[range(3), [0, 2, 1]]
  np.testing.assert_allclose(contrast.loss, each.mean(), rtol=1e-5)


def test_a_batch_without_labels_has_only_the_contrastive_loss():
  views = batches.LabeledPair(images(1), images(2), tf.fill([8], -1))
  logs = step(build_hybrid(0.5), views)
  assert logs["supervised_loss"] == 0
  np.testing.assert_allclose(
    logs["loss"], 0.5 * logs["contrastive_loss"], rtol=1e-6
  )


def test_the_classifier_is_trained_with_the_contrastive_parts():
  model = build_hybrid(0.5)
  inner = {v.ref() for v in model.contrastive.learned_variables}
  learned = {v.ref() for v in model.learned_variables}
  assert inner < learned and len(learned) == len(inner) + 2
  assert {"queue", "key_backbone", "classifier"} <= set(model.checkpoint_roots)


def test_the_supervised_accuracy_counts_labeled_images_only():
  labels = tf.constant([0, -1, 2, -1, -1, 1, -1, -1])
  views = batches.LabeledPair(images(1), images(2), labels)
  model = build_hybrid(0.5)
  model.compile(optimizers.MomentumSgd(0.01))
  contrast = model.contrast(views, training=True)
  logits = model.classifier(contrast.features).numpy()[[0, 2, 5]]
  correct = np.mean(logits.argmax(axis=1) == [0, 2, 1])
  np.testing.assert_allclose(contrast.metrics["supervised_accuracy"], correct)


@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_a_weight_out_of_range_is_refused(weight):
  with pytest.raises(errors.UsageError, match=f"weight={weight}"):
    build_hybrid(weight)


def test_a_method_that_learns_from_other_batches_is_refused():
  contrastive = functools.partial(
    npid.build_npid, encoder=ENCODER, num_negatives=4
  )
  with pytest.raises(
    errors.UsageError, match="IndexedImage.*ImagePair.*`contrastive`"
  ):
    hybrid.build_hybrid(SETUP, contrastive=contrastive)


def test_a_dataset_of_one_class_is_refused():
  with pytest.raises(errors.UsageError, match="1 classes"):
    hybrid.build_hybrid(
      SETUP._replace(num_classes=1),
      contrastive=functools.partial(moco.build_moco, encoder=ENCODER),
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
