"""Tests of tf_ssl.losses.coding_rate against eigenvalues in NumPy."""

import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.losses import coding_rate


def unit_rows(*shape):
  rows = np.random.default_rng(0).normal(size=shape)
  return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype("f")


def slow_rate(rows, squared_precision):
  """1/2 Σ log(1 + E / (B ε²) λ) over the eigenvalues λ of Z Zᵀ."""
  count, width = rows.shape
  eigenvalues = np.linalg.eigvalsh(rows.T.astype("d") @ rows.astype("d"))
  factor = width / (count * squared_precision)
  return 0.5 * np.log1p(factor * np.maximum(eigenvalues, 0)).sum()


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("count, width", [(5, 8), (8, 8), (20, 8)])
def test_the_rate_is_that_of_the_eigenvalues(count, width, in_graph):
  rows = unit_rows(3, count, width)

  def rate(rows):
    return coding_rate.total_coding_rate(rows, squared_precision=0.3)

  if in_graph:  # Of unknown batch size.
    rate = tf.function(rate, input_signature=[tf.TensorSpec([3, None, width])])
  expected = [slow_rate(each, 0.3) for each in rows]
  np.testing.assert_allclose(rate(tf.constant(rows)), expected, rtol=1e-5)


def test_equal_embeddings_have_the_rate_of_one_direction():
  same = np.tile(unit_rows(1, 8), [5, 1])
  found = coding_rate.total_coding_rate(same, squared_precision=0.2)
  assert float(found) == pytest.approx(0.5 * math.log(1 + 8 / 0.2), rel=1e-5)


def test_orthogonal_embeddings_have_the_largest_rate():
  found = coding_rate.total_coding_rate(tf.eye(8), squared_precision=0.2)
  assert float(found) == pytest.approx(4 * math.log(1 + 1 / 0.2), rel=1e-5)
  assert float(coding_rate.total_coding_rate(unit_rows(8, 8))) < float(found)


def test_the_similarity_is_the_mean_cosine_to_the_mean():
  views = unit_rows(4, 3, 6)
  expected = []
  for image in views.astype("d"):
    mean = image.mean(axis=0)
    expected += [view @ mean / np.linalg.norm(mean) for view in image]
  found = coding_rate.similarity_to_mean(views)
  np.testing.assert_allclose(found, np.mean(expected), rtol=1e-5)


def test_equal_views_have_similarity_1():
  views = np.repeat(unit_rows(4, 1, 6), 3, axis=1)
  assert float(coding_rate.similarity_to_mean(views)) == pytest.approx(1.0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
