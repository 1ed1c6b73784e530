"""Tests of tf_ssl.evaluation.linear.logistic, against scikit-learn."""

import sys

import numpy as np
import pytest
from sklearn import linear_model, pipeline, preprocessing

from tf_ssl.evaluation.linear import logistic


def _data(number, *, seed=0, width=6, classes=4):
  rng = np.random.default_rng(seed)
  centers = np.random.default_rng(9).normal(size=(classes, width))
  labels = rng.integers(classes, size=number)
  features = centers[labels] + 1.5 * rng.normal(size=(number, width))
  features = features * np.logspace(-2, 2, width) + 5  # Units of all scales.
  return features.astype(np.float32), labels


def _reference(features, labels, inverse_penalty):
  if labels.max() == 1:
    # For two classes scikit-learn has one column of weights: the difference of
    # our two, whose squared norms add up to half of its own.
    inverse_penalty *= 2
  return pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    linear_model.LogisticRegression(
      C=inverse_penalty, tol=1e-9, max_iter=10_000
    ),
  ).fit(features.astype(np.float64), labels)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("chunk", [2**23, 60])
def test_the_minimum_equals_scikit_learns(classes, chunk, monkeypatch):
  monkeypatch.setattr(logistic, "_CHUNK", chunk)
  monkeypatch.setattr(logistic, "_RESIDENT", 2**27 if chunk > 60 else 0)
  features, labels = _data(300, classes=classes)
  index = np.flatnonzero(np.arange(300) % 3)
  penalties = (0.001, 0.1, 10.0)
  fitted = list(
    logistic.fit(
      features,
      labels,
      index,
      num_classes=classes,
      inverse_penalties=penalties[::-1],
    )
  )
  assert [one.inverse_penalty for one in fitted] == list(penalties)
  rest = np.setdiff1d(np.arange(300), index)
  for one in fitted:
    assert one.has_converged
    reference = _reference(features[index], labels[index], one.inverse_penalty)
    found = one.predict(features[rest], labels[rest])
    np.testing.assert_array_equal(found.best, reference.predict(features[rest]))
    assert found.accuracy() == reference.score(features[rest], labels[rest])
    shares = reference.predict_proba(features[rest])
    own = shares[np.arange(len(rest)), labels[rest]]
    np.testing.assert_array_equal(
      found.rank, (shares > own[:, None]).sum(axis=1)
    )
    if classes > 2:  # scikit-learn has one column for two classes.
      np.testing.assert_allclose(
        one.weights[:-1].T, reference[-1].coef_, atol=2e-3
      )


def test_a_constant_unit_gets_no_weight():
  features, labels = _data(100)
  features[:, 2] = 0.3
  [one] = logistic.fit(
    features, labels, np.arange(100), num_classes=4, inverse_penalties=[1.0]
  )
  assert one.scaling.inverse[2] == 0
  np.testing.assert_array_equal(one.weights[2], 0)
  assert one.predict(features, labels).accuracy() > 0.5


def test_standardization_uses_the_chosen_rows_only():
  features, _ = _data(90)
  index = np.arange(0, 90, 2)
  scaling = logistic.scaling(features, index)
  scaled = scaling.apply(features[index])
  np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
  np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-4)


def test_too_few_iterations_are_reported():
  features, labels = _data(100)
  [one] = logistic.fit(
    features,
    labels,
    np.arange(100),
    num_classes=4,
    inverse_penalties=[10.0],
    max_iterations=2,
  )
  assert one.iterations == 2 and not one.has_converged and one.gradient > 1e-5


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
