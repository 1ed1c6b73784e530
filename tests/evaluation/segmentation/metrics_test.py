"""IoU and pixel accuracy against scikit-learn and Keras."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from tf_ssl import errors
from tf_ssl.evaluation.segmentation import metrics as segmentation_metrics


def _masks(num_classes, seed):
  """Masks with void, and predictions that are often correct."""
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, num_classes, [2, 30, 40])
  wrong = rng.integers(0, num_classes, truth.shape)
  predicted = np.where(rng.random(truth.shape) < 0.6, truth, wrong)
  truth[rng.random(truth.shape) < 0.1] = -1
  return truth, predicted


@pytest.mark.parametrize("num_classes", [2, 5, 21])
def test_scores_are_those_of_scikit_learn_and_keras(num_classes):
  truth, predicted = _masks(num_classes, num_classes)
  counts = sum(
    segmentation_metrics.confusion(*pair, num_classes)
    for pair in zip(truth, predicted, strict=True)
  )
  flat, found = truth[truth >= 0], predicted[truth >= 0]
  np.testing.assert_array_equal(
    counts,
    metrics.confusion_matrix(flat, found, labels=range(num_classes)),
  )
  scores = segmentation_metrics.scores(counts)
  np.testing.assert_allclose(
    scores.iou, metrics.jaccard_score(flat, found, average=None)
  )
  assert scores.mean_iou == pytest.approx(
    metrics.jaccard_score(flat, found, average="macro")
  )
  assert scores.pixel_accuracy == pytest.approx(
    metrics.accuracy_score(flat, found)
  )
  keras = tf.keras.metrics.MeanIoU(num_classes)
  keras.update_state(flat, found)
  assert scores.mean_iou == pytest.approx(float(keras.result()), abs=1e-6)


def test_a_case_by_hand():
  """Two of class 0 found, one missed; one of class 1 found, one invented."""
  truth = np.array([[0, 0, 0, 1], [-1, -1, -1, -1]])
  predicted = np.array([[0, 0, 1, 1], [0, 1, 2, 3]])
  scores = segmentation_metrics.scores(
    segmentation_metrics.confusion(truth, predicted, 4)
  )
  np.testing.assert_allclose(scores.iou, [2 / 3, 1 / 2, np.nan, np.nan])
  assert scores.mean_iou == pytest.approx((2 / 3 + 1 / 2) / 2)
  assert scores.pixel_accuracy == pytest.approx(3 / 4)


def test_a_class_that_is_only_predicted_counts_as_zero():
  counts = segmentation_metrics.confusion([0, 0], [0, 1], 3)
  scores = segmentation_metrics.scores(counts)
  np.testing.assert_allclose(scores.iou, [0.5, 0.0, np.nan])
  assert scores.mean_iou == 0.25


def test_masks_that_cannot_be_compared_are_named():
  with pytest.raises(errors.UsageError, match=r"\(1, 2\).*\(2,\)"):
    segmentation_metrics.confusion([[0, 1]], [0, 1], 2)
  with pytest.raises(errors.UsageError, match="masks .* 5"):
    segmentation_metrics.confusion([5], [1], 2)
  with pytest.raises(errors.UsageError, match="predictions .* 2"):
    segmentation_metrics.confusion([0], [2], 2)
  with pytest.raises(errors.UsageError, match="all void|not all"):
    segmentation_metrics.scores(segmentation_metrics.confusion([-1], [0], 2))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
