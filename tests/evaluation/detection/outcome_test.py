"""Results of detection: means over seeds, classes without an object."""

import sys

import pytest
from scipy import stats

from tests.evaluation.detection import scenes_reference as scenes
from tf_ssl.evaluation.detection import coco_metrics, outcome

_CAR = [(3, 6, 10, 28, 28)]
_BOTH = [*_CAR, (18, 30, 24, 24, 32)]


def _outcome(folder, train, test, aps):
  """Of runs that reach these AP of cars; of dogs where there is one to find."""
  sets = {
    role: scenes.write(folder / role, boxes)
    for role, boxes in (("train", train), ("test", test))
  }
  found = {n: name for name, n in zip(("car", "dog"), (3, 18), strict=True)}
  shown = {found[box[0]] for boxes in test for box in boxes}
  (folder / "a.png").write_bytes(b"\x89PNG")
  overall = dict.fromkeys(coco_metrics.NAMES, 0.25) | {"AP_large": None}
  runs = [
    outcome.Run(
      seed,
      {
        "overall": overall | {"AP": ap},
        "by_class": {n: ap if n in shown else None for n in ("car", "dog")},
        "loss": 0.5,
        "skipped": {f"test/{seed}.png": "empty file"},
        "tested": len(test),
      },
      str(folder / "a.png"),
    )
    for seed, ap in enumerate(aps)
  ]
  return outcome.outcome(
    runs, **sets, title="", settings={}, data={}, skipped={}, notes=["first"]
  )


def test_a_class_without_an_object_does_not_count_and_is_noted(tmp_path):
  found = _outcome(tmp_path, train=[_BOTH], test=[_CAR], aps=[0.5])
  assert found.details["AP_percent_by_class"] == {"car": 50.0, "dog": None}
  assert found.notes[0] == "first"
  notes = " / ".join(found.notes)
  assert "1 of 2 classes have no object in the test images" in notes
  assert "no test object has the size for AP_large" in notes
  assert "in no train image" not in notes
  rows = found.tables[1].rows
  assert rows == [["car", 50.0, 1, 1], ["dog", None, 1, 0]]


def test_a_class_that_could_not_be_learned_is_noted(tmp_path):
  found = _outcome(tmp_path, train=[_CAR], test=[_BOTH], aps=[0.5])
  assert "1 classes of test objects are in no train image" in found.notes
  assert not any("have no object in the test" in note for note in found.notes)


def test_results_are_means_over_seeds_with_students_interval(tmp_path):
  found = _outcome(tmp_path, train=[_BOTH], test=[_BOTH], aps=[0.1, 0.3, 0.2])
  assert found.results["AP_percent"] == pytest.approx(20)
  assert "AP_large_percent" not in found.results
  half = stats.t.ppf(0.975, 2) * 10 / 3**0.5
  assert found.details["intervals_95"]["AP_percent"] == pytest.approx(
    [20, 20 - half, 20 + half]
  )
  assert sorted(found.skipped) == ["test/0.png", "test/1.png", "test/2.png"]
  assert [row[0] for row in found.tables[0].rows] == [
    *"012",
    "mean",
    "95 % interval, low",
    "95 % interval, high",
  ]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
