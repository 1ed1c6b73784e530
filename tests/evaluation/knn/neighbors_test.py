"""Tests of tf_ssl.evaluation.knn.neighbors and running_best."""

import sys
import tracemalloc

import numpy as np
import pytest

from tf_ssl.evaluation.knn import neighbors


@pytest.fixture(name="small_tiles")
def fixture_small_tiles(monkeypatch):
  """Tiles of 32 test by 128 training features."""
  monkeypatch.setattr(neighbors, "_CPU", neighbors._Limits(2**12, 32, 32 * 128))


def _cosines(train, test):
  unit = [
    x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
    for x in (train.astype(np.float64), test.astype(np.float64))
  ]
  return unit[1] @ unit[0].T


def _check(train, test, k, *, is_exact=True):
  """Compares with a stable sort of all cosines; returns the number of chunks.

  Unless `is_exact`, neighbors closer than the rounding error may swap.
  """
  parts = list(neighbors.nearest(train, test, k=k))
  cosines = _cosines(train, test)
  expected = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
  found = np.concatenate([part.index for part in parts])
  if is_exact:
    np.testing.assert_array_equal(found, expected)
  else:
    assert all(len(set(row)) == k for row in found.tolist())
    np.testing.assert_allclose(
      np.take_along_axis(cosines, found, axis=1),
      np.take_along_axis(cosines, expected, axis=1),
      atol=2e-7,
    )
  np.testing.assert_allclose(
    np.concatenate([part.similarity for part in parts]),
    np.take_along_axis(cosines, expected, axis=1),
    atol=1e-6,
  )
  starts = np.cumsum([0, *(len(part.index) for part in parts)])
  assert [part.start for part in parts] == starts[:-1].tolist()
  return len(parts)


@pytest.mark.parametrize("k", [1, 3, 40, 300])
def test_random_features(small_tiles, k):
  rng = np.random.default_rng(k)
  train = rng.normal(size=(3001, 6)).astype(np.float32)
  test = rng.normal(size=(70, 6)).astype(np.float32)
  assert _check(train, test, k, is_exact=False) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_training_features_sorted_by_similarity(small_tiles, order):
  """Every tile is better than all before it, or every tile is worse."""
  angle = np.linspace(0.01, 3.1, 2000)[::order]
  train = np.stack([np.cos(angle), np.sin(angle)], axis=1)
  test = np.array([[1.0, 0.0], [1.0, 0.001]])
  _check(train, test, 10)


def test_all_neighbors_of_some_rows_in_one_tile(small_tiles):
  """Training features are often sorted by class."""
  rng = np.random.default_rng(0)
  centers = rng.normal(size=(20, 16))
  train = np.repeat(centers, 100, axis=0) + 0.1 * rng.normal(size=(2000, 16))
  test = centers[[19, 19, 19, 7, 0]] + 0.1 * rng.normal(size=(5, 16))
  _check(train, test, 30)


def test_ties_go_to_the_first_training_feature_across_tiles(small_tiles):
  rng = np.random.default_rng(1)
  # Four ones among sixteen zeros: cosines are quarters, without rounding.
  train = np.argsort(rng.random([1500, 16]), axis=1) < 4
  test = np.argsort(rng.random([40, 16]), axis=1) < 4
  _check(train.astype(np.float32), test.astype(np.float32), 50)


def test_k_may_equal_n_and_a_feature_may_be_zero():
  train = np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]])
  [part] = neighbors.nearest(train, np.array([[1.0, 0.0]]), k=3)
  assert part.index.tolist() == [[0, 1, 2]]
  np.testing.assert_allclose(part.similarity, [[0.6, 0.0, -1.0]], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_very_short_and_very_long_features_have_a_direction(scale):
  rng = np.random.default_rng(2)
  train = (rng.normal(size=(50, 4)) * scale).astype(np.float32)
  test = rng.normal(size=(5, 4)).astype(np.float32)
  _check(train, test, 5)


def test_memory_does_not_grow_with_a_memory_map(monkeypatch, tmp_path):
  limits = neighbors._Limits(2**16, 32, 2**16)
  monkeypatch.setattr(neighbors, "_CPU", limits)
  shape = (100_000, 128)  # 49 MiB
  train = np.lib.format.open_memmap(
    tmp_path / "train.npy", "w+", np.float32, shape
  )
  rng = np.random.default_rng(3)
  for start in range(0, shape[0], 10_000):
    train[start : start + 10_000] = rng.normal(size=(10_000, 128))
  train.flush()
  train = np.load(tmp_path / "train.npy", mmap_mode="r")
  next(neighbors.nearest(train[:1000], train[:40], k=5))  # Traces the graph.
  tracemalloc.start()
  try:
    part = next(neighbors.nearest(train, train[:40], k=5))
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert part.index[:, 0].tolist() == list(range(32))
  assert peak < 8 * 2**20  # Of NumPy; TensorFlow holds the tiles.


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
