"""Tests of tf_ssl.evaluation.svm.linear_svm, on miniatures of VOC."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from sklearn import metrics

from tests.evaluation.svm import svm_reference, voc_reference
from tf_ssl import errors
from tf_ssl.datasets.annotations import voc
from tf_ssl.evaluation.svm import (
  annotated_examples,
  average_precision,
  fits,
  linear_svm,
)

pytestmark = pytest.mark.slow

_COSTS = (0.1, 10.0, 1000.0)
_GRID = (0.01, 1.0, 50.0)
_SETTINGS = fits.SvmSettings(costs=_GRID)


@pytest.fixture(name="data", scope="module")
def fixture_data(tmp_path_factory):
  """Trainval and test of a miniature of VOC."""
  root = tmp_path_factory.mktemp("voc")
  voc_reference.write(root)
  return {
    split: voc.read(str(root), split=split) for split in ("trainval", "test")
  }


def _protocol(data, **changes):
  settings = {"train": data["trainval"], "test": data["test"], "image_size": 16}
  return linear_svm.LinearSvm(
    examples=annotated_examples.AnnotatedExamples(**{**settings, **changes}),
    svm=fits.SvmSettings(costs=_COSTS),
    workers=1,
  )


def _run(protocol, folder, model=voc_reference.colors):
  said = []
  outcome = protocol.run(
    voc_reference.subject(model), output_dir=str(folder), say=said.append
  )
  json.dumps([list(outcome[:6]), outcome.tables, outcome.skipped], default=None)
  return outcome, said


@pytest.fixture(name="measured", scope="module")
def fixture_measured(data, tmp_path_factory):
  """The outcome of the protocol, and its output folder."""
  folder = tmp_path_factory.mktemp("measured")
  return _run(_protocol(data), folder)[0], folder


def _features(folder, role):
  (file,) = (folder / f"features/{role}").glob("features-0-*.npy")
  return np.load(file)


def test_the_outcome_equals_the_reference(data, measured):
  outcome, folder = measured
  # Difficult objects are negatives in training (the benchmark's code) and
  # ignored in the test; the miniature has some on both sides.
  assert (data["trainval"].targets == -1).any()
  assert (data["test"].targets == -1).any()
  validated, chosen, scores = svm_reference.linear_svm(
    _features(folder, "train"),
    data["trainval"].targets,
    _features(folder, "test"),
    _COSTS,
  )
  expected = average_precision.of_classes(scores, data["test"].targets)
  assert outcome.results["voc07_mean_ap_percent"] == pytest.approx(
    100 * expected.eleven_points.mean()
  )
  assert outcome.results["area_mean_ap_percent"] == pytest.approx(
    100 * expected.area.mean()
  )
  (split,) = outcome.details["splits"]
  assert split["scikit_learn_mean_ap_percent"] == pytest.approx(
    100 * expected.steps.mean()
  )
  for c, found in enumerate(split["classes"]):
    assert found["class"] == voc_reference.CLASSES[c]
    assert found["cost"] == chosen[c]
    assert found["voc07_ap_percent"] == pytest.approx(
      100 * expected.eleven_points[c]
    )
    assert list(found["cross_validated_ap_percent"].values()) == pytest.approx(
      (100 * validated[c]).tolist()
    )
    assert found["test_positives"] == (data["test"].targets[:, c] == 1).sum()


def test_image_classes_that_the_features_separate_reach_100(data, measured):
  protocol = _protocol(data, difficult_in_training="ignored")
  outcome, said = _run(protocol, measured[1])
  assert outcome.results["voc07_mean_ap_percent"] == 100
  assert outcome.results["area_mean_ap_percent"] == 100
  assert outcome.results["chance_voc07_mean_ap_percent"] < 60
  assert outcome.title == "Linear SVM on whole images" and not said


def test_box_classes_that_the_features_separate_reach_100(data, tmp_path):
  protocol = _protocol(
    data, boxes=True, min_size=8, context=0.0, difficult_in_training="ignored"
  )
  outcome, _ = _run(protocol, tmp_path)
  assert outcome.results["area_mean_ap_percent"] == 100
  assert outcome.title == "Linear SVM on cropped boxes"
  assert outcome.settings["examples"] == "boxes cut out"
  assert outcome.settings["box_min_size"] == 8
  assert outcome.settings["box_context"] == 0
  examples = outcome.data["train"]["examples"]
  assert (
    examples == data["trainval"].num_boxes > data["trainval"].num_images / 2
  )
  # A box has one class: all but the difficult ones are positives.
  ignored = outcome.data["train"]["ignored"]
  assert ignored == data["trainval"].difficult.sum() > 0
  assert outcome.data["train"]["positives"] == examples - ignored


def test_a_random_model_is_at_chance(data, tmp_path):
  outcome, _ = _run(_protocol(data), tmp_path, voc_reference.noise)
  found = outcome.results["voc07_mean_ap_percent"]
  chance = outcome.results["chance_voc07_mean_ap_percent"]
  assert found == pytest.approx(chance, abs=12)
  assert found < 75


def test_the_outcome_has_all_settings(measured):
  outcome, _ = measured
  assert outcome.protocol == "linear_svm"
  assert outcome.settings == {
    "examples": "whole images",
    "image_size": 16,
    "framing": "whole",
    "difficult_in_training": "negative",
    "difficult_in_test": "ignored",
    "split": "as given",
    "features": "of unit length (l2)",
    "classifier": "linear SVM (scikit-learn's LinearSVC, dual)",
    "loss": "squared hinge",
    "penalty": "l2",
    "costs": list(_COSTS),
    "class_weights": {"present": 2.0, "absent": 1.0},
    "tolerance": 1e-4,
    "max_iterations": 2000,
    "seed": 0,
    "cross_validation_folds": 3,
    "cost_chosen_by": "scikit-learn's average precision, mean over folds",
  }
  assert set(outcome.data) == {"train", "test"}
  assert outcome.data["test"]["count"] == 30
  assert outcome.data["test"]["source"] == "VOC test"
  assert len(outcome.data["test"]["annotations_sha256"]) == 64
  (table,) = outcome.tables
  assert [row[0] for row in table.rows] and len(table.rows) == 3
  assert "intervals_95" not in outcome.details


def test_one_annotated_set_is_split_by_image_for_each_seed(data, tmp_path):
  protocol = _protocol(data, test=None, split_seeds=(0, 3), test_fraction=0.4)
  outcome, said = _run(protocol, tmp_path)
  assert outcome.settings["split"] == "by image, at random"
  assert outcome.settings["split_seeds"] == [0, 3]
  assert outcome.settings["test_fraction"] == 0.4
  first, second = outcome.details["splits"]
  assert (first["name"], second["name"]) == ("split 0", "split 3")
  assert first["training_examples"] == 24 and first["test_examples"] == 16
  values = [first["voc07_mean_ap_percent"], second["voc07_mean_ap_percent"]]
  mean = outcome.results["voc07_mean_ap_percent"]
  assert mean == pytest.approx(np.mean(values))
  middle, low, high = outcome.details["intervals_95"]["voc07_mean_ap_percent"]
  assert low <= mean == middle <= high
  assert high - low == pytest.approx(
    12.7062 * abs(values[0] - values[1]), abs=0.01
  )
  assert [line.split(":")[0] for line in said] == ["split 0", "split 3"]
  assert "40 %" in outcome.notes[0]
  assert set(outcome.data) == {"train and test"}
  assert len(outcome.tables) == 2
  assert outcome.tables[0].rows[0][0] == "split 0"


def test_a_second_call_computes_nothing(data, measured, monkeypatch):
  outcome, folder = measured

  def refuse(*arguments):
    raise AssertionError("computed again")

  monkeypatch.setattr(fits, "fit", refuse)
  subject = voc_reference.subject(voc_reference.colors)
  monkeypatch.setattr(type(subject.frozen), "features", refuse)
  again = _protocol(data).run(subject, output_dir=str(folder), say=print)
  assert again.results == outcome.results


def test_excluded_classes_are_listed_as_skipped(data, measured):
  targets = data["test"].targets.copy()
  targets[:, 1] = np.minimum(targets[:, 1], 0)
  protocol = _protocol(data, test=data["test"]._replace(targets=targets))
  outcome, _ = _run(protocol, measured[1])
  assert outcome.skipped == {"class green": "no positive test example"}
  assert len(outcome.details["splits"][0]["classes"]) == 2


def test_svms_that_reach_the_limit_have_a_note(data, measured):
  svm = fits.SvmSettings(costs=_COSTS, max_iterations=1)
  outcome, _ = _run(dataclasses.replace(_protocol(data), svm=svm), measured[1])
  (note,) = outcome.notes
  assert "30 of 30" in note and "1 iterations" in note and "0.0001" in note


def test_settings_out_of_range_are_refused_at_once(data):
  with pytest.raises(errors.UsageError, match="folds is 1"):
    dataclasses.replace(_protocol(data), folds=1)


def _sides(count=90, classes=3, noise=1.0, seed=0):
  """Two sides whose targets depend on the features; some are ignored."""
  rng = np.random.default_rng(seed)
  sides = []
  for _ in range(2):
    features = rng.normal(size=(count, 10)).astype(np.float32)
    strength = features[:, :classes] + noise * rng.normal(size=(count, classes))
    targets = (strength > 0.5).astype(np.int8)
    targets[rng.random(targets.shape) < 0.05] = -1
    sides.append(annotated_examples.Side(features, np.arange(count), targets))
  return sides


def _evaluate(train, test, tmp_path, settings=_SETTINGS, **options):
  options = {"log": str(tmp_path / "log.jsonl"), "workers": 1, **options}
  return linear_svm.evaluate(train, test, settings, **options)


@pytest.mark.parametrize("difficult", ["negative", "ignored"])
def test_evaluate_equals_the_reference(tmp_path, difficult):
  train, test = _sides()
  found = _evaluate(train, test, tmp_path, difficult=difficult)
  validated, chosen, scores = svm_reference.linear_svm(
    train.features,
    train.targets,
    test.features,
    _GRID,
    ignored=difficult == "ignored",
  )
  np.testing.assert_allclose(found.cross_validated, validated, atol=1e-12)
  np.testing.assert_array_equal(found.costs, chosen)
  expected = average_precision.of_classes(scores, test.targets)
  for ours, theirs in zip(found.precision, expected, strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
  for c in range(3):
    kept = test.targets[:, c] >= 0
    assert found.precision.steps[c] == pytest.approx(
      metrics.average_precision_score(test.targets[kept, c], scores[kept, c])
    )
  assert found.fits == 3 * (3 * 3 + 1) and not found.excluded


def test_only_the_rows_of_a_side_are_used(tmp_path):
  train, test = _sides()
  whole = np.concatenate([test.features, train.features])
  expected = _evaluate(train, test, tmp_path)
  found = _evaluate(
    annotated_examples.Side(whole, np.arange(90, 180), train.targets),
    annotated_examples.Side(whole, np.arange(90), test.targets),
    tmp_path,
  )
  np.testing.assert_array_equal(found.precision.area, expected.precision.area)


def test_separable_classes_have_a_precision_of_1(tmp_path):
  # One unit for each class.
  rng = np.random.default_rng(0)
  targets = (rng.random((60, 4)) < 0.3).astype(np.int8)
  features = (targets + 0.05).astype(np.float32)
  side = annotated_examples.Side(features, np.arange(60), targets)
  found = _evaluate(side, side, tmp_path)
  np.testing.assert_array_equal(found.precision.eleven_points, np.ones(4))


def test_random_features_are_at_chance(tmp_path):
  rng = np.random.default_rng(0)
  sides = [
    annotated_examples.Side(
      rng.normal(size=(300, 8)).astype(np.float32),
      np.arange(300),
      (rng.random((300, 4)) < 0.2).astype(np.int8),
    )
    for _ in range(2)
  ]
  found = _evaluate(*sides, tmp_path)
  chance = average_precision.chance(sides[1].targets, draws=50)
  assert found.precision.steps.mean() == pytest.approx(
    chance.steps.mean(), abs=0.05
  )


def test_excluded_classes_have_a_reason(tmp_path):
  train, test = _sides(classes=6)
  train.targets[:, 0] = 0
  train.targets[:, 1] = 1
  train.targets[2:, 2] = 0
  train.targets[:2, 2] = 1
  test.targets[:, 3] = np.minimum(test.targets[:, 3], 0)
  found = _evaluate(train, test, tmp_path)
  assert found.excluded == {
    0: "no positive training example",
    1: "no negative training example",
    2: "fewer positive training examples than the 3 folds",
    3: "no positive test example",
  }
  np.testing.assert_array_equal(found.classes, [4, 5])
  assert found.precision.area.shape == (2,)
  assert found.cross_validated.shape == (2, 3)


def test_no_measurable_class_is_an_error(tmp_path):
  train, test = _sides(classes=2)
  train.targets[:] = 0
  with pytest.raises(
    errors.UsageError,
    match=r"none of 2 .*\(no positive training example\)",
  ):
    _evaluate(train, test, tmp_path)


def test_svms_that_reach_the_limit_are_counted(tmp_path):
  train, test = _sides()
  settings = fits.SvmSettings(costs=(1000.0,), max_iterations=2)
  found = _evaluate(train, test, tmp_path, settings)
  assert found.stopped == found.fits == 3 * (3 + 1)


def test_sides_that_do_not_match_are_refused(tmp_path):
  train, test = _sides()
  for changed, message in (
    (
      test._replace(rows=test.rows[1:]),
      r"test features.*\(89,\) and \(90, 3",
    ),
    (test._replace(targets=test.targets[:, 0]), r"test .*\(90,\) and \(90,\)"),
    (test._replace(targets=test.targets + 1), "test targets"),
    (test._replace(features=test.features[:, 1:]), "10 and 3 .* 9 and 3"),
    (test._replace(targets=test.targets[:, 1:]), "10 and 3 .* 10 and 2"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      _evaluate(train, changed, tmp_path)
  test.features[80, 2] = np.nan
  with pytest.raises(errors.UsageError, match="rows 0 to 89"):
    _evaluate(train, test, tmp_path)


def test_evaluate_checks_its_settings(tmp_path):
  sides = _sides()
  with pytest.raises(errors.UsageError, match="folds is 1"):
    _evaluate(*sides, tmp_path, folds=1)
  with pytest.raises(errors.UsageError, match="'positive'.*negative, ignored"):
    _evaluate(*sides, tmp_path, difficult="positive")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
