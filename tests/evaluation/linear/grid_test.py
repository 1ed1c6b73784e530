"""Classifiers side by side: each becomes what it would become alone."""

import sys

import numpy as np
import pytest
from scipy import special

from tf_ssl import errors
from tf_ssl.evaluation.linear import grid as linear_grid

_RATES = (0.05, 0.5, 3.0)


def _batches(count, size=16, width=5, classes=4):
  rng = np.random.default_rng(0)
  centers = rng.normal(size=(classes, width))
  for i in range(count):
    labels = rng.integers(classes, size=size)
    features = centers[labels] + rng.normal(size=(size, width))
    yield features.astype(np.float32), labels, 1.0 if i < count / 2 else 0.1


def _trained(rates, count=30, seed=3):
  grid = linear_grid.LinearGrid(5, 4, rates, seed=seed)
  losses = [grid.train(*batch) for batch in _batches(count)]
  return grid, np.array(losses)


def _slow(rate, start, count=30):
  """SGD as PyTorch does it, in float64."""
  weights, biases = start.astype(np.float64), np.zeros(4)
  velocity = [np.zeros_like(weights), np.zeros_like(biases)]
  losses = []
  for features, labels, factor in _batches(count):
    scores = features.astype(np.float64) @ weights + biases
    shares = special.softmax(scores, axis=1)
    losses.append(-np.log(shares[np.arange(len(labels)), labels]).mean())
    error = (shares - np.eye(4)[labels]) / len(labels)
    velocity[0] = 0.9 * velocity[0] + features.T @ error
    velocity[1] = 0.9 * velocity[1] + error.sum(axis=0)
    weights = weights - rate * factor * velocity[0]
    biases = biases - rate * factor * velocity[1]
  return np.vstack([weights, biases]), losses


def test_each_equals_training_it_alone():
  together, losses = _trained(_RATES)
  for number, rate in enumerate(_RATES):
    alone, own = _trained((rate,))
    np.testing.assert_allclose(
      together._by_classifier()[number], alone._by_classifier()[0], atol=1e-5
    )
    np.testing.assert_allclose(losses[:, number], own[:, 0], atol=1e-5)


def test_each_equals_a_slow_loop():
  grid, losses = _trained(_RATES)
  start = np.random.default_rng(3).normal(0.0, 0.01, [5, 4])
  for number, rate in enumerate(_RATES):
    weights, expected = _slow(rate, start)
    np.testing.assert_allclose(
      grid._by_classifier()[number], weights, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(losses[:, number], expected, atol=1e-3)
  assert losses[-1, 1] < losses[0, 1] / 2


def test_one_that_diverges_is_named_and_leaves_the_others_alone():
  together, _ = _trained((0.05, 1e38))
  alone, _ = _trained((0.05,))
  assert together.has_diverged() == [False, True]
  np.testing.assert_allclose(
    together._by_classifier()[0], alone._by_classifier()[0], atol=1e-5
  )


def test_what_is_saved_is_gone_on_from(tmp_path):
  file = str(tmp_path / "grid.npz")
  whole, _ = _trained(_RATES)
  grid = linear_grid.LinearGrid(5, 4, _RATES, seed=3)
  for number, batch in enumerate(_batches(30)):
    if number == 17:
      grid.save(file)
      grid = linear_grid.LinearGrid(5, 4, _RATES, seed=8)
      grid.restore(file)
      assert grid.step == 17
    grid.train(*batch)
  np.testing.assert_array_equal(grid._by_classifier(), whole._by_classifier())


def test_a_damaged_file_is_named(tmp_path):
  file = tmp_path / "grid.npz"
  file.write_bytes(b"PK\x03\x04 and no more")
  with pytest.raises(errors.UsageError, match="grid.npz cannot be gone on"):
    linear_grid.LinearGrid(5, 4, _RATES, seed=0).restore(str(file))


def test_guesses_are_those_of_the_scores(monkeypatch):
  grid, _ = _trained(_RATES)
  [(features, labels, _)] = _batches(1, size=50)
  weights = grid._by_classifier()[1]
  scores = features @ weights[:-1] + weights[-1]
  monkeypatch.setattr(linear_grid, "_SCORES", 28)  # 7 rows at a time
  found = grid.guesses(features, labels, 1)
  np.testing.assert_array_equal(found.best, scores.argmax(axis=1))
  own = scores[np.arange(50), labels]
  np.testing.assert_array_equal(found.rank, (scores > own[:, None]).sum(1))
  assert found.accuracy() > 0.7


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
