"""Tests of tf_ssl.evaluation.linear.linear_fast, against scikit-learn."""

import sys

import numpy as np
import pytest
from PIL import Image
from sklearn import linear_model, pipeline, preprocessing

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.evaluation import labeled_sets, protocol
from tf_ssl.evaluation.linear import linear_fast, logistic

_PENALTIES = (0.0001, 0.001, 0.01, 0.1)


def _folder(path, seed, count):
  rng = np.random.default_rng(seed)
  for number, name in enumerate("abcd"):
    (path / name).mkdir(parents=True)
    pattern = np.random.default_rng(number).normal(128, 12, [4, 4, 3])
    pattern = pattern.repeat(2, axis=0).repeat(2, axis=1)
    for i in range(count):
      pixels = rng.normal(pattern, 45).clip(0, 255)
      Image.fromarray(pixels.astype(np.uint8)).save(path / name / f"{i}.png")
  return open_images.open_images(str(path), labeled=True)


@pytest.fixture(name="sets", scope="module")
def fixture_sets(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images")
  return {
    "train": _folder(folder / "train", 10, 20),
    "test": _folder(folder / "test", 11, 8),
  }


@pytest.fixture(name="outcome", scope="module")
def fixture_outcome(sets, tmp_path_factory):
  folder = tmp_path_factory.mktemp("out")
  return _run(_settings(sets), folder), folder


def _settings(sets, **changes):
  changes = {"image_size": 16, "inverse_penalties": _PENALTIES} | changes
  return linear_fast.LinearFast(**sets, **changes)


def _run(settings, folder, said=None):
  subject = protocol.Subject("mine=pixels")
  say = print if said is None else said.append
  return settings.run(subject, output_dir=str(folder), say=say)


def test_choice_and_accuracy_equal_scikit_learn(outcome, sets):
  outcome, folder = outcome
  train, test = (
    np.load(folder / "features" / role / "features-0-mine.npy")
    for role in ("train", "test")
  )
  matched = labeled_sets.match(**sets)
  labels = matched.train.labels
  accuracies = []
  for seed in (0, 1, 2):
    out = labeled_sets.hold_out(matched.train, 0.2, seed=seed)
    assert np.bincount(labels[out]).tolist() == [4, 4, 4, 4]

    def model(penalty):
      return pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        linear_model.LogisticRegression(C=penalty, max_iter=5000, tol=1e-8),
      )

    scores = [
      model(c).fit(train[~out], labels[~out]).score(train[out], labels[out])
      for c in _PENALTIES
    ]
    fit = outcome.details["fits"][f"seed {seed}"]
    assert [t["validation_top1_percent"] for t in fit["tried"]] == [
      pytest.approx(100 * score) for score in scores
    ]
    chosen = _PENALTIES[int(np.argmax(scores))]
    assert fit["inverse_penalty"] == chosen
    final = model(chosen).fit(train, labels)
    accuracies.append(final.score(test, matched.test.labels))
  assert outcome.results["top1_percent"] == pytest.approx(
    100 * np.mean(accuracies)
  )
  assert 30 < outcome.results["top1_percent"] < 100
  assert outcome.settings["seeds"] == [0, 1, 2]
  assert len(outcome.settings["chosen_inverse_penalty"]) == 3


def test_fits_are_kept_and_further_seeds_added(
  outcome, sets, tmp_path, monkeypatch
):
  first, folder = outcome
  fits = []
  ours = logistic.fit

  def counted(*arguments, **named):
    fits.append(named["inverse_penalties"])
    return ours(*arguments, **named)

  monkeypatch.setattr(logistic, "fit", counted)
  again = _run(_settings(sets), folder)
  assert not fits
  assert again.results == first.results
  said = []
  _run(_settings(sets, seeds=(0, 1, 2, 3)), folder, said)
  assert len(fits) == 2  # The grid, then the chosen penalty.
  assert said[3].startswith("seed 3: C ")
  _run(_settings(sets, validation_fraction=0.3, seeds=(0,)), folder, said)
  assert len(fits) == 4
  assert any("chosen_by" in line for line in said)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"inverse_penalties": ()}, "INVERSE_PENALTIES"),
    ({"inverse_penalties": (1.0, -1.0)}, "-1.0.*INVERSE_PENALTIES"),
    ({"seeds": (1, 1)}, "SEEDS"),
  ],
)
def test_settings_out_of_range_are_refused(change, message, sets):
  with pytest.raises(errors.UsageError, match=message):
    _settings(sets, **change)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_the_validation_fraction_must_be_between_0_and_1(
  fraction, sets, tmp_path
):
  settings = _settings(sets, validation_fraction=fraction)
  with pytest.raises(
    errors.UsageError, match=f"{fraction}.*VALIDATION_FRACTION"
  ):
    _run(settings, tmp_path)


def test_a_class_with_one_image_cannot_be_split(sets, tmp_path):
  labels = sets["train"].labels.copy()
  labels[labels == 3] = 2
  labels[0] = 3
  train = sets["train"]._replace(labels=labels)
  settings = _settings(sets | {"train": train})
  with pytest.raises(errors.UsageError, match="'d'.*VALIDATION_FRACTION"):
    _run(settings, tmp_path)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
