"""Tests of tf_ssl.evaluation.svm.low_shot_svm."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.svm import svm_reference, voc_reference
from tf_ssl import errors
from tf_ssl.datasets.annotations import voc
from tf_ssl.evaluation.svm import (
  annotated_examples,
  average_precision,
  low_shot_svm,
)
from tf_ssl.evaluation.svm import fits as svm_fits

_COSTS = (0.1, 10.0)
_SETTINGS = svm_fits.SvmSettings(costs=_COSTS)


@pytest.fixture(name="examples", scope="module")
def fixture_examples(tmp_path_factory):
  """Examples of a miniature of VOC."""
  root = tmp_path_factory.mktemp("voc")
  voc_reference.write(root)
  return annotated_examples.AnnotatedExamples(
    train=voc.read(str(root), split="trainval"),
    test=voc.read(str(root), split="test"),
    image_size=16,
  )


@pytest.fixture(name="outcome", scope="module")
def fixture_outcome(examples, tmp_path_factory):
  """Outcome for 1, 2, 8 and 900 positives, which no class has; 3 draws."""
  protocol = low_shot_svm.LowShotSvm(
    examples=examples,
    svm=_SETTINGS,
    ks=(1, 2, 8, 900),
    draws=3,
    workers=1,
  )
  subject = voc_reference.subject(voc_reference.colors)
  folder = tmp_path_factory.mktemp("out")
  return protocol.run(subject, output_dir=str(folder), say=print)


def test_a_result_is_the_mean_over_draws_at_the_best_cost(outcome):
  for short in ("voc07", "area"):
    assert [entry["k"] for entry in outcome.details[short]] == [1, 2, 8]
    for entry in outcome.details[short]:
      draws, by_cost = (
        entry["mean_ap_percent_by_draw"],
        entry["mean_ap_percent_by_cost"],
      )
      assert len(draws) == 3 and list(by_cost) == ["0.1", "10.0"]
      name = f"{short}_mean_ap_k{entry['k']}_percent"
      mean, low, high = outcome.details["intervals_95"][name]
      assert outcome.results[name] == mean
      assert mean == pytest.approx(np.mean(draws))
      assert mean == pytest.approx(max(by_cost.values()))
      assert by_cost[str(entry["cost"])] == pytest.approx(mean)
      half = 4.3027 * np.std(draws, ddof=1) / np.sqrt(3)
      assert high - mean == pytest.approx(half, abs=1e-3)
      assert mean - low == pytest.approx(half, abs=1e-3)


def test_more_positives_of_separable_classes_are_better(outcome):
  one, eight = (outcome.results[f"area_mean_ap_k{k}_percent"] for k in (1, 8))
  assert one < eight and eight > 90


def test_the_outcome_has_settings_notes_and_table(outcome):
  assert outcome.protocol == "low_shot_svm"
  settings = outcome.settings
  assert settings["positives_per_class"] == [1, 2, 8, 900]
  assert settings["negatives_per_class"] == "positives times (classes - 1)"
  assert settings["draws"] == 3 and settings["draw_seed"] == 0
  assert settings["difficult_in_training"] == "ignored"
  notes = " / ".join(outcome.notes)
  assert "k = 900 dropped" in notes
  assert "test examples" in notes
  json.dumps([list(outcome[:6]), outcome.tables, outcome.skipped])
  (table,) = outcome.tables
  assert [row[0] for row in table.rows] == [1, 2, 8]
  assert len(table.rows[0]) == len(table.columns) == 9


def test_the_curve_is_a_picture(outcome):
  picture = Image.open(io.BytesIO(outcome.pictures["low_shot.png"]))
  assert picture.format == "PNG" and picture.size[0] > 600


def test_several_splits_are_refused(examples):
  split = annotated_examples.AnnotatedExamples(train=examples.train)
  with pytest.raises(errors.UsageError, match=r"\(0, 1, 2\).*SPLIT_SEEDS"):
    low_shot_svm.LowShotSvm(examples=split)


def test_settings_out_of_range_are_refused_at_once(examples):
  with pytest.raises(errors.UsageError, match="draws is 0"):
    low_shot_svm.LowShotSvm(examples=examples, draws=0)


def _sides(count=120, classes=3, seed=0, noise=0.5):
  """Each class has 20 to 60 positives; a few examples are ignored."""
  rng = np.random.default_rng(seed)
  sides = []
  for _ in range(2):
    features = rng.normal(size=(count, 10)).astype(np.float32)
    strength = features[:, :classes] + noise * rng.normal(size=(count, classes))
    targets = (strength > 0.4).astype(np.int8)
    targets[:5] = -1
    sides.append(annotated_examples.Side(features, np.arange(count), targets))
  return sides


def _evaluate(train, test, tmp_path, **options):
  options = {
    "ks": (1, 4),
    "draws": 2,
    "log": str(tmp_path / "log.jsonl"),
    "workers": 1,
    **options,
  }
  return low_shot_svm.evaluate(train, test, _SETTINGS, **options)


@pytest.fixture(name="jobs")
def fixture_jobs(monkeypatch):
  """The jobs of all SVMs that are fitted."""
  jobs = []
  run = svm_fits.run

  def noting(train, test, given, settings, **options):
    jobs.extend(given)
    return run(train, test, given, settings, **options)

  monkeypatch.setattr(svm_fits, "run", noting)
  return jobs


def test_k_positives_and_negatives_of_other_classes_are_drawn(tmp_path, jobs):
  train, test = _sides()
  _evaluate(train, test, tmp_path)
  assert len(jobs) == 2 * 2 * 3
  for number, job in enumerate(jobs):
    k, c = (1, 4)[number // 6], number % 3
    assert len(set(job.train_rows.tolist())) == len(job.train_rows) == 3 * k
    targets = train.targets[job.train_rows, c]
    assert (targets == 1).sum() == k and (targets == 0).sum() == 2 * k
    np.testing.assert_array_equal(job.train_signs, 2 * targets - 1)
  assert len({tuple(job.train_rows) for job in jobs}) == len(jobs)


def test_draws_depend_only_on_seed_number_k_and_class(tmp_path, jobs):
  train, test = _sides()
  _evaluate(train, test, tmp_path, ks=(1, 4))
  _evaluate(train, test, tmp_path, ks=(4,))
  for first, again in zip(jobs[6:12], jobs[12:18], strict=True):
    np.testing.assert_array_equal(first.train_rows, again.train_rows)
  _evaluate(train, test, tmp_path, ks=(4,), seed=1)
  assert any(
    first.train_rows.tolist() != other.train_rows.tolist()
    for first, other in zip(jobs[6:12], jobs[18:24], strict=True)
  )


def test_every_precision_equals_scikit_learns_on_the_same_draw(tmp_path, jobs):
  train, test = _sides()
  found = _evaluate(train, test, tmp_path)
  assert found.ks == (1, 4) and found.precision.area.shape == (2, 2, 2, 3)
  unit, others = map(svm_reference.unit, (train.features, test.features))
  for number, job in enumerate(jobs):
    place = number // 6, number // 3 % 2
    for i, cost in enumerate(_COSTS):
      fitted = svm_reference.classifier(cost)
      fitted.fit(unit[job.train_rows], job.train_signs)
      expected = average_precision.average_precision(
        fitted.decision_function(others), test.targets[:, number % 3]
      )
      ours = [each[(*place, i, number % 3)] for each in found.precision]
      assert ours == pytest.approx(list(expected))


def test_more_examples_are_better(tmp_path):
  found = _evaluate(*_sides(400), tmp_path, ks=(1, 32), draws=3)
  means = found.precision.area.mean(axis=(1, 3)).max(axis=1)
  assert means[1] > means[0] + 0.1


def test_a_k_above_the_smallest_class_is_dropped(tmp_path):
  train, test = _sides()
  train.targets[:, 1] = 0
  train.targets[[7, 9, 11, 13], 1] = 1
  found = _evaluate(train, test, tmp_path, ks=(4, 1, 8, 5))
  assert found.ks == (1, 4) and found.dropped == (5, 8)
  with pytest.raises(errors.UsageError, match=r"\(5,\).* 4 "):
    _evaluate(train, test, tmp_path, ks=(5,))


def test_all_negatives_are_used_where_there_are_too_few(tmp_path, jobs):
  train, test = _sides()
  train.targets[:, 0] = 1
  train.targets[:3, 0] = 0
  found = _evaluate(train, test, tmp_path, ks=(1, 2))
  assert found.short_of_negatives == (2,)
  np.testing.assert_array_equal(jobs[6].train_rows[:3], [0, 1, 2])
  assert len(jobs[6].train_rows) == 2 + 3


def test_excluded_classes_have_a_reason(tmp_path):
  train, test = _sides()
  train.targets[:, 1] = 0
  found = _evaluate(train, test, tmp_path)
  assert found.excluded == {1: "no positive training example"}
  np.testing.assert_array_equal(found.classes, [0, 2])
  train.targets[:] = 0
  with pytest.raises(errors.UsageError, match="none of 3 "):
    _evaluate(train, test, tmp_path)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"ks": ()}, r"\(\).*KS"),
    ({"ks": (0, 1)}, r"\(0, 1\).*KS"),
    ({"draws": 0}, "draws is 0"),
  ],
)
def test_evaluate_checks_its_settings(tmp_path, options, message):
  with pytest.raises(errors.UsageError, match=message):
    _evaluate(*_sides(), tmp_path, **options)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
