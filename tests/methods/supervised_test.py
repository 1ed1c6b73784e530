"""Methods that use labels: supervised, supervised contrastive, hybrid."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import resnet
from tf_ssl.methods import (
  base,
  hybrid,
  moco,
  npid,
  simclr,
  supervised,
  supervised_contrastive,
)
from tf_ssl.ops import optimizers

ENCODER = functools.partial(resnet.resnet18, width=1 / 16, stem="small")
SETUP = base.Setup(num_images=50, batch_size=8, image_size=8, num_classes=3)


def images(seed=0):
  return tf.random.stateless_normal([8, 8, 8, 3], [seed, 0])


def step(model, views):
  model.compile(optimizers.MomentumSgd(0.01))
  logs = model.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
  return {name: values[0] for name, values in logs.items()}


def test_a_classifier_learns_the_labels_of_one_batch():
  tf.keras.utils.set_random_seed(0)
  model = supervised.build_supervised(SETUP, encoder=ENCODER)
  model.compile(optimizers.MomentumSgd(0.1))
  labels = tf.constant([0, 1, 2, 0, 1, 2, 0, 1])
  dataset = tf.data.Dataset.from_tensors(batches.LabeledImage(images(), labels))
  history = model.fit(dataset.repeat(40), verbose=0, epochs=1).history
  first = model.contrast(batches.LabeledImage(images(), labels), True)
  assert float(first.loss) < 0.2 and history["contrastive_accuracy"][-1] == 1
  assert first.logits.shape == (8, 1 + 3)


def test_supervised_contrastive_without_labels_is_simclr():
  tf.keras.utils.set_random_seed(0)
  ours = supervised_contrastive.build_supervised_contrastive(
    SETUP, encoder=ENCODER
  )
  plain = simclr.SimClr(ours.encoder, ours.projection_head, temperature=0.1)
  unknown = batches.LabeledPair(images(1), images(2), tf.fill([8], -1))
  pair = batches.ImagePair(images(1), images(2))
  np.testing.assert_allclose(
    ours.contrast(unknown, True).loss,
    plain.contrast(pair, True).loss,
    rtol=1e-5,
  )
  known = unknown._replace(label=tf.constant([0, 0, 1, 1, 2, 2, 0, 1]))
  assert (
    abs(
      float(ours.contrast(known, True).loss - plain.contrast(pair, True).loss)
    )
    > 0.01
  )


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


@pytest.mark.parametrize(
  "build, message",
  [
    (
      lambda: supervised.build_supervised(
        SETUP._replace(num_classes=1), encoder=ENCODER
      ),
      "1 classes.*class folders",
    ),
    (lambda: build_hybrid(1.5), "weight=1.5"),
    (
      lambda: hybrid.build_hybrid(
        SETUP,
        contrastive=functools.partial(
          npid.build_npid, encoder=ENCODER, num_negatives=4
        ),
      ),
      "learns from IndexedImage: expected .* ImagePair",
    ),
    (
      lambda: simclr.build_simclr(SETUP, encoder=ENCODER, temperature=0.0),
      "temperature=0.0",
    ),
  ],
)
def test_invalid_arguments_are_refused(build, message):
  with pytest.raises(errors.UsageError, match=message):
    build()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
