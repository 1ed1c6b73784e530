"""The classifier that is fine-tuned with an encoder."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from tests.models import tiny_encoder_reference
from tf_ssl.evaluation.fine_tuning import classifier


def _images(count=4):
  rng = np.random.default_rng(0)
  return tf.constant(rng.integers(0, 256, [count, 32, 32, 3], np.uint8))


def test_scores_are_a_linear_function_of_the_features():
  encoder = tiny_encoder_reference.tiny()
  model = classifier.Classifier(encoder, num_classes=3, frozen=False)
  model.draw_head(1)
  weights, biases = model.head_variables
  assert weights.shape == (32, 3) and abs(float(biases[0])) == 0
  assert 0.008 < float(tf.math.reduce_std(weights)) < 0.012
  features = encoder.features(tf.cast(_images(), tf.float32), False)
  np.testing.assert_allclose(
    model.scores(_images()), features @ weights + biases, rtol=1e-5, atol=1e-6
  )
  drawn = weights.numpy()
  model.draw_head(1)
  np.testing.assert_array_equal(weights, drawn)


def test_with_a_head_of_zeros_the_loss_is_that_of_chance():
  encoder = tiny_encoder_reference.tiny()
  model = classifier.Classifier(encoder, num_classes=5, frozen=True)
  loss = model.loss(_images(), tf.constant([0, 1, 2, 3]))
  assert float(loss) == pytest.approx(np.log(5), rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_hits_are_scikit_learns_top_k(k):
  rng = np.random.default_rng(k)
  scores, labels = rng.normal(size=[50, 7]), rng.integers(0, 7, 50)
  expected = metrics.top_k_accuracy_score(
    labels, scores, k=k, normalize=False, labels=range(7)
  )
  assert classifier.hits(scores, labels, k) == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
