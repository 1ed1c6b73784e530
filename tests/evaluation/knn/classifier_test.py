"""Tests of tf_ssl.evaluation.knn.classifier, against references."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn import neighbors

from tf_ssl import errors
from tf_ssl.evaluation.knn import classifier


def _clusters(seed, num, *, classes=3, width=5, spread=1.2):
  rng = np.random.default_rng(seed)
  centers = np.random.default_rng(99).normal(size=(classes, width))
  labels = rng.integers(classes, size=num)
  features = centers[labels] + spread * rng.normal(size=(num, width))
  return features.astype(np.float32), labels


def _slow_accuracy(train, train_labels, test, test_labels, k, temperature):
  """Reference: the definition, one image and one neighbor at a time."""
  correct = 0
  for image, label in zip(test, test_labels, strict=True):
    similarity = []
    for other in train:
      length = np.linalg.norm(image) * np.linalg.norm(other)
      similarity.append(float(np.dot(image, other) / length))
    nearest = sorted(range(len(train)), key=lambda i: (-similarity[i], i))[:k]
    votes = {}
    for i in nearest:
      weight = np.exp(similarity[i] / temperature)
      votes[train_labels[i]] = votes.get(train_labels[i], 0.0) + weight
    correct += max(sorted(votes), key=lambda c: votes[c]) == label
  return correct / len(test)


@pytest.mark.parametrize("k", [1, 4, 20])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_accuracy_equals_the_loop_over_the_definition(k, temperature):
  train = _clusters(0, 60)
  test = _clusters(1, 40)

  accuracy = classifier.knn_accuracy(
    *train, *test, k=k, temperature=temperature
  )

  assert accuracy == _slow_accuracy(*train, *test, k, temperature)
  assert 0.3 < accuracy < 1


def test_a_high_temperature_gives_the_uniform_vote_of_scikit_learn():
  train = _clusters(2, 80)
  test = _clusters(3, 50)
  reference = neighbors.KNeighborsClassifier(7, metric="cosine").fit(*train)

  accuracy = classifier.knn_accuracy(*train, *test, k=7, temperature=1e6)

  # Weights are uniform up to 1e-6, which may decide a tied vote.
  assert accuracy == pytest.approx(reference.score(*test), abs=0.021)


def test_a_close_neighbor_outvotes_two_distant_ones_when_cold():
  train = np.array([[1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
  labels = np.array([4, 7, 7])

  def accuracy(temperature):
    return classifier.knn_accuracy(
      train, labels, np.array([[1.0, 0.0]]), [4], k=3, temperature=temperature
    )

  assert accuracy(0.1) == 1.0
  assert accuracy(100.0) == 0.0


def test_a_tiny_temperature_does_not_overflow():
  train = _clusters(4, 30)
  accuracy = classifier.knn_accuracy(*train, *train, k=5, temperature=1e-4)
  assert accuracy == 1.0


def test_equal_neighbors_are_taken_in_training_order():
  train = np.ones([4, 2], np.float32)
  labels = np.array([5, 3, 3, 3])
  assert classifier.knn_accuracy(train, labels, train[:1], [5], k=1) == 1.0


def test_equal_votes_go_to_the_smallest_class_id():
  train = np.ones([2, 2], np.float32)
  assert classifier.knn_accuracy(train, [9, 2], train[:1], [2], k=2) == 1.0


def test_chunks_do_not_change_the_answer(monkeypatch):
  train = _clusters(5, 50)
  test = _clusters(6, 33)
  whole = classifier.knn_accuracy(*train, *test, k=5)

  monkeypatch.setattr(classifier, "_MAX_VOTES", 12)  # 4 rows at a time.

  assert classifier.knn_accuracy(*train, *test, k=5) == whole


def test_tensors_are_accepted_and_a_class_may_be_missing_from_training():
  train = tf.constant([[1.0, 0.0], [0.0, 1.0]])
  accuracy = classifier.knn_accuracy(
    train, tf.constant([0, 1]), train, tf.constant([0, 8]), k=1
  )
  assert accuracy == 0.5


@pytest.mark.parametrize("k", [1, 7, 30])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_it_is_scikit_learns_classifier_with_the_same_weights(k, temperature):
  train = _clusters(7, 300, classes=8, spread=1.0)
  test = _clusters(8, 200, classes=8, spread=1.0)
  reference = neighbors.KNeighborsClassifier(
    k, metric="cosine", weights=lambda d: np.exp((1 - d) / temperature)
  ).fit(*train)

  found = classifier.classify(*train, *test, k=[k], temperature=[temperature])

  best = found[k, temperature].best
  np.testing.assert_array_equal(best, reference.predict(test[0]))
  assert 0.3 < found[k, temperature].accuracy() < 1


def test_ranks_are_those_of_a_slow_count_of_votes():
  train = _clusters(9, 120, classes=9, spread=2.0)
  test = _clusters(10, 60, classes=9, spread=2.0)

  found = classifier.classify(*train, *test, k=[3, 20], temperature=[0.1, 0.5])

  unit = [
    x / np.linalg.norm(x, axis=1, keepdims=True) for x, _ in (train, test)
  ]
  similarity = unit[1].astype(np.float64) @ unit[0].T
  assert set(found) == {(3, 0.1), (3, 0.5), (20, 0.1), (20, 0.5)}
  for (k, temperature), each in found.items():
    hits = 0
    for row, label in zip(similarity, test[1], strict=True):
      votes = np.zeros(9)
      for i in np.argsort(-row, kind="stable")[:k]:
        votes[train[1][i]] += np.exp(row[i] / temperature)
      named = [c for c in np.argsort(-votes, kind="stable") if votes[c] > 0]
      hits += label in named[:5]
    assert each.accuracy(5) == hits / len(test[1])
    assert each.accuracy(1) == classifier.knn_accuracy(
      *train, *test, k=k, temperature=temperature
    )
  assert found[3, 0.1].accuracy(5) < found[20, 0.1].accuracy(5)


def test_a_class_without_votes_is_never_predicted():
  train = np.eye(4, dtype=np.float32)
  found = classifier.classify(
    train, np.arange(4), train[:1], np.array([3]), k=[1], temperature=[0.1]
  )[1, 0.1]
  assert found.best.tolist() == [0]
  assert found.rank.tolist() == [4]


_GOOD = {
  "train_features": np.eye(3, dtype=np.float32),
  "train_labels": np.arange(3),
  "test_features": np.eye(3, dtype=np.float32),
  "test_labels": np.arange(3),
  "k": 2,
}


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"k": 4}, "k = 4 .* 3 "),
    ({"k": 0}, "k = 0 "),
    ({"temperature": 0.0}, "temperature is 0.0"),
    ({"temperature": float("nan")}, "temperature is nan"),
    ({"test_features": np.eye(3, 4)}, "train_features are 3 .*test_features 4"),
    ({"test_features": np.full([3, 3], np.nan)}, "3 of 3 .*test_features"),
    ({"train_labels": None}, "train_labels is None"),
    ({"train_labels": np.array([0, -1, 2])}, "1 of 3 train_labels"),
    ({"train_labels": np.array([0.0, 1.0, 2.0])}, "train_labels are float64"),
    ({"train_features": np.full([3, 3], np.inf)}, "3 of 3 .*train_features"),
    ({"train_labels": np.arange(2)}, r"train_labels \(2,\)"),
    ({"train_features": np.zeros([3, 0])}, "train_features"),
  ],
)
def test_invalid_arguments_are_named(change, message):
  with pytest.raises(errors.UsageError, match=message):
    classifier.knn_accuracy(**{**_GOOD, **change})


def test_an_empty_grid_is_refused():
  good = {k: v for k, v in _GOOD.items() if k != "k"}
  with pytest.raises(errors.UsageError, match=r"k \[\]"):
    classifier.classify(**good, k=[], temperature=[0.1])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
