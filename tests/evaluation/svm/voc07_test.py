"""The VOC07 protocol against a transcription of METHODS 7."""

import sys

import numpy as np
import pytest
from sklearn import metrics

from tests.evaluation.svm import svm_reference
from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision, svm_settings, voc07

_COSTS = (0.01, 1.0, 50.0)
_SETTINGS = svm_settings.SvmSettings(costs=_COSTS)


def _sides(count=90, classes=3, noise=1.0, seed=0):
  """Two sides whose targets hang on features; some are ignored."""
  rng = np.random.default_rng(seed)
  sides = []
  for _ in range(2):
    features = rng.normal(size=(count, 10)).astype(np.float32)
    strength = features[:, :classes] + noise * rng.normal(size=(count, classes))
    targets = (strength > 0.5).astype(np.int8)
    targets[rng.random(targets.shape) < 0.05] = -1
    sides.append(voc07.Side(features, np.arange(count), targets))
  return sides


def _evaluate(train, test, tmp_path, settings=_SETTINGS, **options):
  options = {"log": str(tmp_path / "log.jsonl"), "workers": 1, **options}
  return voc07.evaluate(train, test, settings, **options)


@pytest.mark.parametrize("difficult", ["negative", "ignored"])
def test_it_equals_the_transcription(tmp_path, difficult):
  train, test = _sides()
  found = _evaluate(train, test, tmp_path, difficult=difficult)
  validated, chosen, scores = svm_reference.linear_svm(
    train.features,
    train.targets,
    test.features,
    _COSTS,
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
  assert found.fits == 3 * (3 * 3 + 1) and not found.left_out


def test_the_rows_of_a_side_are_those_that_count(tmp_path):
  train, test = _sides()
  whole = np.concatenate([test.features, train.features])
  expected = _evaluate(train, test, tmp_path)
  found = _evaluate(
    voc07.Side(whole, np.arange(90, 180), train.targets),
    voc07.Side(whole, np.arange(90), test.targets),
    tmp_path,
  )
  np.testing.assert_array_equal(found.precision.area, expected.precision.area)


def test_classes_that_features_show_are_all_found(tmp_path):
  # One unit for each class, on where it is shown: nothing could be easier.
  rng = np.random.default_rng(0)
  targets = (rng.random((60, 4)) < 0.3).astype(np.int8)
  features = (targets + 0.05).astype(np.float32)
  side = voc07.Side(features, np.arange(60), targets)
  found = _evaluate(side, side, tmp_path)
  np.testing.assert_array_equal(found.precision.eleven_points, np.ones(4))


def test_features_that_show_nothing_are_at_chance(tmp_path):
  rng = np.random.default_rng(0)
  sides = [
    voc07.Side(
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


def test_classes_that_cannot_be_measured_are_left_out_by_reason(tmp_path):
  train, test = _sides(classes=6)
  train.targets[:, 0] = 0
  train.targets[:, 1] = 1
  train.targets[2:, 2] = 0
  train.targets[:2, 2] = 1
  test.targets[:, 3] = np.minimum(test.targets[:, 3], 0)
  found = _evaluate(train, test, tmp_path)
  assert found.left_out == {
    0: "no positive training example",
    1: "no negative training example",
    2: "fewer positive training examples than the 3 folds",
    3: "no positive test example",
  }
  np.testing.assert_array_equal(found.classes, [4, 5])
  assert found.precision.area.shape == (2,)
  assert found.cross_validated.shape == (2, 3)


def test_no_class_that_can_be_measured_is_an_error(tmp_path):
  train, test = _sides(classes=2)
  train.targets[:] = 0
  with pytest.raises(
    errors.UsageError,
    match=r"none of 2 classes can be measured \(no positive training example\)",
  ):
    _evaluate(train, test, tmp_path)


def test_svms_that_stop_early_are_counted(tmp_path):
  train, test = _sides()
  settings = svm_settings.SvmSettings(costs=(1000.0,), max_iterations=2)
  found = _evaluate(train, test, tmp_path, settings)
  assert found.stopped == found.fits == 3 * (3 + 1)


def test_sides_that_do_not_fit_together_are_refused(tmp_path):
  train, test = _sides()
  for changed, message in (
    (
      test._replace(rows=test.rows[1:]),
      r"test features.*\(89,\) and \(90, 3",
    ),
    (test._replace(targets=test.targets[:, 0]), r"expected .* \[n, C\]"),
    (test._replace(targets=test.targets + 1), "test targets hold other values"),
    (test._replace(features=test.features[:, 1:]), "10 and 3 wide.* 9 and 3"),
    (test._replace(targets=test.targets[:, 1:]), "10 and 3 wide.* 10 and 2"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      _evaluate(train, changed, tmp_path)
  test.features[80, 2] = np.nan
  with pytest.raises(errors.UsageError, match="features from 0 on is NaN"):
    _evaluate(train, test, tmp_path)


def test_settings_that_cannot_be_are_refused(tmp_path):
  sides = _sides()
  with pytest.raises(errors.UsageError, match="folds is 1; expected at least"):
    _evaluate(*sides, tmp_path, folds=1)
  with pytest.raises(errors.UsageError, match="one of negative, ignored"):
    _evaluate(*sides, tmp_path, difficult="positive")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
