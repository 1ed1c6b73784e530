"""The VOC07 protocol from files to its outcome, on miniatures of VOC."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from tests.evaluation.svm import svm_reference, voc_reference
from tf_ssl import errors
from tf_ssl.datasets.annotations import voc
from tf_ssl.evaluation.svm import (
  annotated_examples,
  average_precision,
  fits,
  linear_svm,
  svm_settings,
)

_COSTS = (0.1, 10.0, 1000.0)


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
    svm=svm_settings.SvmSettings(costs=_COSTS),
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
  """The outcome of the whole protocol, and the folder that it worked in."""
  folder = tmp_path_factory.mktemp("measured")
  return _run(_protocol(data), folder)[0], folder


def _features(folder, role):
  (file,) = (folder / f"features/{role}").glob("features-0-*.npy")
  return np.load(file)


def test_the_numbers_are_those_of_the_transcription(data, measured):
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


def test_classes_that_a_model_sees_are_all_found(data, measured):
  protocol = _protocol(data, difficult_in_training="ignored")
  outcome, said = _run(protocol, measured[1])
  assert outcome.results["voc07_mean_ap_percent"] == 100
  assert outcome.results["area_mean_ap_percent"] == 100
  assert outcome.results["chance_voc07_mean_ap_percent"] < 60
  assert outcome.title == "Linear SVM on whole images" and not said


def test_boxes_that_a_model_sees_are_all_found(data, tmp_path):
  protocol = _protocol(
    data, boxes=True, min_size=8, context=0.0, difficult_in_training="ignored"
  )
  outcome, _ = _run(protocol, tmp_path)
  assert outcome.results["area_mean_ap_percent"] == 100
  assert outcome.title == "Linear SVM on boxes cut out"
  assert outcome.settings["examples"] == "boxes cut out"
  assert outcome.settings["box_min_size"] == 8
  assert outcome.settings["box_context"] == 0
  examples = outcome.data["train"]["examples"]
  assert (
    examples == data["trainval"].num_boxes > data["trainval"].num_images / 2
  )
  # A box has one class: so many positives, but for the difficult ones.
  ignored = outcome.data["train"]["ignored"]
  assert ignored == data["trainval"].difficult.sum() > 0
  assert outcome.data["train"]["positives"] == examples - ignored


def test_a_model_that_sees_nothing_is_at_chance(data, tmp_path):
  outcome, _ = _run(_protocol(data), tmp_path, voc_reference.noise)
  found = outcome.results["voc07_mean_ap_percent"]
  chance = outcome.results["chance_voc07_mean_ap_percent"]
  assert found == pytest.approx(chance, abs=12)
  assert found < 75


def test_the_outcome_carries_the_whole_protocol(measured):
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
  assert "40 % of the images in the test part" in outcome.notes[0]
  assert set(outcome.data) == {"train and test"}
  assert len(outcome.tables) == 2
  assert outcome.tables[0].rows[0][0] == "split 0"


def test_a_second_call_computes_nothing_anew(data, measured, monkeypatch):
  outcome, folder = measured

  def refuse(*arguments):
    raise AssertionError("computed anew")

  monkeypatch.setattr(fits, "fit", refuse)
  subject = voc_reference.subject(voc_reference.colors)
  monkeypatch.setattr(type(subject.frozen), "features", refuse)
  again = _protocol(data).run(subject, output_dir=str(folder), say=print)
  assert again.results == outcome.results


def test_classes_that_cannot_be_measured_are_named(data, measured):
  targets = data["test"].targets.copy()
  targets[:, 1] = np.minimum(targets[:, 1], 0)
  protocol = _protocol(data, test=data["test"]._replace(targets=targets))
  outcome, _ = _run(protocol, measured[1])
  assert outcome.skipped == {"class green": "no positive test example"}
  assert len(outcome.details["splits"][0]["classes"]) == 2


def test_svms_that_stop_early_are_told_of(data, measured):
  svm = svm_settings.SvmSettings(costs=_COSTS, max_iterations=1)
  outcome, _ = _run(dataclasses.replace(_protocol(data), svm=svm), measured[1])
  assert outcome.notes == [
    "30 of 30 SVMs stopped at 1 iterations before the tolerance of 0.0001 was "
    "reached"
  ]


def test_settings_that_cannot_be_are_refused_at_once(data):
  with pytest.raises(errors.UsageError, match="folds is 1"):
    dataclasses.replace(_protocol(data), folds=1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
