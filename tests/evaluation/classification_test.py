"""Tests of tf_ssl.evaluation.classification."""

import sys

import numpy as np
import pytest
from scipy import stats

from tf_ssl.evaluation import classification, predictions, protocol
from tf_ssl.reporting import charts

_LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])


def _predictions(best, classes=3):
  scores = np.eye(classes)[np.array(best)]
  return predictions.from_scores(scores, _LABELS)


def _outcome(found, class_names, **options):
  own = protocol.Outcome("knn", "kNN", {}, {}, {"own": 1.0}, notes=["own"])
  return classification.outcome(found, _LABELS, class_names, own=own, **options)


def test_one_repetition_by_hand():
  found = _outcome([_predictions([0, 0, 0, 1, 1, 0, 0, 0])], ["a", "b", "c"])
  assert found.results == {
    "top1_percent": 50.0,
    "mean_per_class_percent": pytest.approx((75 + 50 + 0) / 3),
    "own": 1.0,
  }
  assert found.details["per_class_percent"] == {"a": 75.0, "b": 50.0, "c": 0.0}
  np.testing.assert_array_equal(
    found.details["confusion"], [[3, 1, 0], [1, 1, 0], [2, 0, 0]]
  )
  hardest, mistakes = found.tables
  assert hardest.rows == [["c", 0.0, 2], ["b", 50.0, 2], ["a", 75.0, 4]]
  assert mistakes.rows == [
    ["c", "a", 100.0],
    ["b", "a", 50.0],
    ["a", "b", 25.0],
  ]
  assert set(found.pictures) == {"confusion.png"}
  assert "repetitions" not in found.details


def test_constant_predictions_are_a_note():
  found = _outcome([_predictions([1] * 8)] * 2, ["a", "b", "c"], names="xy")
  assert any(
    note.startswith("knn: all test images are predicted as one class, 'b'")
    for note in found.notes
  )


def test_the_interval_of_the_test_images_is_wilsons_by_its_formula():
  found = _outcome([_predictions([0, 0, 0, 1, 1, 0, 0, 0])], ["a", "b", "c"])
  z, n, p = stats.norm.ppf(0.975), 8, 0.5
  middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
  half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
  interval = found.details["sampling_interval"]["top1_percent"]
  assert interval["low"] == pytest.approx(100 * (middle - half))
  assert interval["high"] == pytest.approx(100 * (middle + half))
  for end in ("low", "high"):
    assert f"{interval[end]:.1f}" in found.notes[0]


def test_several_repetitions_have_a_mean_and_students_interval():
  each = [
    _predictions([0, 0, 0, 0, 1, 1, 2, 2]),
    _predictions([0, 0, 0, 0, 1, 1, 0, 0]),
    _predictions([0, 0, 0, 0, 0, 0, 0, 0]),
  ]
  found = _outcome(each, ["a", "b", "c"], names=["seed 0", "seed 1", "seed 2"])
  assert found.results["top1_percent"] == 75.0
  half = stats.t.ppf(0.975, 2) * 25.0 / np.sqrt(3)
  interval = found.details["intervals_95"]["top1_percent"]
  assert interval == pytest.approx([75, 75 - half, 75 + half])
  assert found.details["repetitions"]["seed 1"]["top1_percent"] == 75.0
  assert found.details["per_class_percent"]["c"] == pytest.approx(100 / 3)
  assert found.tables[0].rows[0] == ["c", pytest.approx(100 / 3), 2]


def test_top_5_needs_more_than_five_classes():
  names = [f"c{i}" for i in range(7)]
  found = _outcome([_predictions([6] * 8, 7)], names)
  # After class 6 come classes 0 to 3.
  assert found.results["top5_percent"] == 100.0
  assert "top5_percent" not in classification.measures(
    _predictions([0] * 8), _LABELS, 3
  )


def test_a_class_whose_test_images_are_all_unreadable_is_named():
  found = _outcome(
    [_predictions([0, 0, 0, 0, 1, 1, 2, 2], 4)], ["a", "b", "c", "d"]
  )
  assert found.results["mean_per_class_percent"] == 100.0
  assert found.notes[-2].endswith(": d") and found.notes[-1] == "own"


@pytest.mark.parametrize("number", [2, 40, 300])
def test_the_chart_shows_percentages_of_the_true_class(number):
  counts = np.eye(number, dtype=int)
  counts[0] = 0
  counts[0, [0, -1]] = 1, 3
  names = [f"class {i}" for i in range(number)]
  figure = classification.confusion_chart(counts, names)
  axes = figure.axes[0]
  shown = np.asarray(axes.images[0].get_array())
  pooled = 1 if number < 250 else 2
  assert shown.shape == (-(-number // pooled),) * 2
  assert shown[0, -1] == 75.0 and shown[-1, -1] == 100.0
  assert shown[0, 0] == (25.0 if pooled == 1 else 100.0)
  assert (axes.get_xlabel(), axes.get_ylabel()) == (
    "predicted class",
    "true class",
  )
  ticks = [label.get_text() for label in axes.get_yticklabels()]
  assert ("class 1" in ticks) == (number <= 60)
  cells = sorted(text.get_text() for text in axes.texts)
  assert cells == (["100", "25", "75"] if number == 2 else [])


def test_a_shared_cell_shows_the_largest_percentage():
  percent = np.zeros([7, 7])
  percent[6, 0], percent[2, 3], percent[3, 2] = 5.0, 2.0, 3.0
  pooled = classification._largest(percent, 3)
  np.testing.assert_array_equal(pooled, [[0, 2, 0], [3, 0, 0], [5, 0, 0]])


def test_class_names_are_drawn_literally():
  # A dollar sign would begin a formula.
  figure = classification.confusion_chart(np.eye(2), ["$x^", "a\nb"])
  assert charts.png(figure).startswith(b"\x89PNG")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
