"""Few examples: how they are drawn, and what scikit-learn makes of them."""

import sys

import numpy as np
import pytest

from tests.evaluation.svm import svm_reference
from tf_ssl import errors
from tf_ssl.evaluation.svm import (
  average_precision,
  fits,
  low_shot,
  svm_settings,
  voc07,
)

_COSTS = (0.1, 10.0)
_SETTINGS = svm_settings.SvmSettings(costs=_COSTS)


def _sides(count=120, classes=3, seed=0, noise=0.5):
  """Each class has 20 to 60 positives; a few examples are ignored."""
  rng = np.random.default_rng(seed)
  sides = []
  for _ in range(2):
    features = rng.normal(size=(count, 10)).astype(np.float32)
    strength = features[:, :classes] + noise * rng.normal(size=(count, classes))
    targets = (strength > 0.4).astype(np.int8)
    targets[:5] = -1
    sides.append(voc07.Side(features, np.arange(count), targets))
  return sides


def _evaluate(train, test, tmp_path, **options):
  options = {
    "ks": (1, 4),
    "draws": 2,
    "log": str(tmp_path / "log.jsonl"),
    "workers": 1,
    **options,
  }
  return low_shot.evaluate(train, test, _SETTINGS, **options)


@pytest.fixture(name="jobs")
def fixture_jobs(monkeypatch):
  """Gathers all that is trained."""
  jobs = []
  run = fits.run

  def noting(train, test, given, settings, **options):
    jobs.extend(given)
    return run(train, test, given, settings, **options)

  monkeypatch.setattr(fits, "run", noting)
  return jobs


def test_k_positives_and_their_share_of_negatives_are_drawn(tmp_path, jobs):
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


def test_draws_depend_on_their_seed_alone(tmp_path, jobs):
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


def test_every_number_is_scikit_learns_on_the_same_draw(tmp_path, jobs):
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


def test_ks_that_a_class_has_too_few_for_are_dropped(tmp_path):
  train, test = _sides()
  train.targets[:, 1] = 0
  train.targets[[7, 9, 11, 13], 1] = 1
  found = _evaluate(train, test, tmp_path, ks=(4, 1, 8, 5))
  assert found.ks == (1, 4) and found.dropped == (5, 8)
  with pytest.raises(errors.UsageError, match="a class has only 4 training"):
    _evaluate(train, test, tmp_path, ks=(5,))


def test_all_negatives_are_taken_where_there_are_too_few(tmp_path, jobs):
  train, test = _sides()
  train.targets[:, 0] = 1
  train.targets[:3, 0] = 0
  found = _evaluate(train, test, tmp_path, ks=(1, 2))
  assert found.short_of_negatives == (2,)
  np.testing.assert_array_equal(jobs[6].train_rows[:3], [0, 1, 2])
  assert len(jobs[6].train_rows) == 2 + 3


def test_classes_that_cannot_be_measured_are_left_out(tmp_path):
  train, test = _sides()
  train.targets[:, 1] = 0
  found = _evaluate(train, test, tmp_path)
  assert found.left_out == {1: "no positive training example"}
  np.testing.assert_array_equal(found.classes, [0, 2])
  train.targets[:] = 0
  with pytest.raises(errors.UsageError, match="none of 3 classes can be"):
    _evaluate(train, test, tmp_path)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"ks": ()}, "ks are"),
    ({"ks": (0, 1)}, "ks are"),
    ({"draws": 0}, "draws is 0; expected at least 1"),
  ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, options, message):
  with pytest.raises(errors.UsageError, match=message):
    _evaluate(*_sides(), tmp_path, **options)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
