"""Tests of tf_ssl.methods.supervised_contrastive."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.methods import base, simclr, supervised_contrastive

ENCODER = shallow_reference.resnet10
SETUP = base.Setup(num_images=50, batch_size=8, image_size=8, num_classes=3)


def _build(**options):
  tf.keras.utils.set_random_seed(0)
  return supervised_contrastive.build_supervised_contrastive(
    SETUP, encoder=ENCODER, **options
  )


def _views(labels):
  images = tf.random.stateless_normal([2, 8, 8, 8, 3], [0, 0])
  return batches.LabeledPair(images[0], images[1], tf.constant(labels))


def slow_l_out(views, classes, temperature):
  """Khosla et al. (2020), equation 2: the mean over anchors, one at a time."""
  losses = []
  for i, anchor in enumerate(views):
    others = [a for a in range(len(views)) if a != i]
    total = np.exp(views[others] @ anchor / temperature).sum()
    positives = [p for p in others if classes[p] == classes[i]]
    losses.append(
      -np.mean(
        [views[p] @ anchor / temperature - np.log(total) for p in positives]
      )
    )
  return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize(
  "labels", [[0, 1, 2, 0, 1, 2, 0, 1], [0, -1, 2, 0, -1, 2, -1, 1]]
)
def test_the_loss_is_the_papers(labels, temperature):
  model = _build(temperature=temperature)
  queries, keys, _ = model.embed_both(_views(labels), True)
  # An unknown label is a class of its own.
  classes = [c if c >= 0 else f"image {i}" for i, c in enumerate(labels)] * 2
  expected = slow_l_out(
    np.concatenate([queries, keys]).astype("d"), classes, temperature
  )
  contrast = model.contrast(_views(labels), True)
  np.testing.assert_allclose(contrast.loss, expected, rtol=1e-4)


def test_without_labels_it_is_simclr():
  ours = _build()
  plain = simclr.SimClr(ours.encoder, ours.projection_head, temperature=0.1)
  views = _views([-1] * 8)
  pair = batches.ImagePair(views.query, views.key)
  expected = plain.contrast(pair, True)
  found = ours.contrast(views, True)
  np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
  np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-4)
  known = ours.contrast(_views([0, 0, 1, 1, 2, 2, 0, 1]), True)
  assert abs(float(known.loss - expected.loss)) > 0.01


def test_a_temperature_of_zero_is_refused():
  with pytest.raises(errors.UsageError, match="temperature=0.0"):
    _build(temperature=0.0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
