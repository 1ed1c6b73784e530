"""Tests of tf_ssl.evaluation.linear.linear_probe."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.evaluation import predictions, protocol
from tf_ssl.evaluation.linear import linear_probe, linear_training
from tf_ssl.models import image_model, reader

pytestmark = pytest.mark.slow

_COLORS = {"a": [180, 90, 90], "b": [90, 180, 90], "c": [90, 90, 180]}


def _subject(calls=None, stop_after=None):
  """Features are mean colors around 0; may interrupt itself."""

  def run(images):
    if calls is not None:
      calls.append(len(images))
      if stop_after is not None and len(calls) > stop_after:
        raise KeyboardInterrupt
    return images.mean(axis=(1, 2)) / 40 - 3

  described = reader.Reader(
    kind="function",
    run=run,
    layer="mean",
    layer_chosen="only one",
    digest="mean",
    preprocessing="0..255",
    is_numpy=True,
  )
  subject = protocol.Subject("mine=nowhere")
  subject.__dict__["frozen"] = image_model.ImageModel("mine", described)
  return subject


def _folder(path, seed, count):
  rng = np.random.default_rng(seed)
  for name, color in _COLORS.items():
    (path / name).mkdir(parents=True)
    for i in range(count):
      shade = rng.normal(color, 55)
      pixels = rng.normal(shade, 20, [8, 8, 3]).clip(0, 255)
      Image.fromarray(pixels.astype(np.uint8)).save(path / name / f"{i}.png")
  return open_images.open_images(str(path), labeled=True)


@pytest.fixture(name="sets", scope="module")
def fixture_sets(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images")
  return {
    "train": _folder(folder / "train", 0, 20),
    "test": _folder(folder / "test", 1, 10),
  }


_SCHEDULE = linear_training.Schedule(epochs=2, decay_epochs=(1,), batch_size=16)


def _run(sets, folder, *, subject=None, said=None, **changes):
  settings = linear_probe.LinearProbe(
    **sets,
    **{
      "learning_rates": (1e-6, 0.3, 1e38),
      "schedule": _SCHEDULE,
      "image_size": 8,
      "batch_size": 8,
    }
    | changes,
  )
  return settings.run(
    subject or _subject(),
    output_dir=str(folder),
    say=print if said is None else said.append,
  )


@pytest.fixture(name="whole", scope="module")
def fixture_whole(sets, tmp_path_factory):
  """Outcome of two seeds, sizes of the model's batches, folder."""
  folder, calls = tmp_path_factory.mktemp("out"), []
  outcome = _run(sets, folder, subject=_subject(calls), seeds=(0, 1))
  return outcome, calls, folder


def test_the_rate_is_chosen_on_held_out_images(whole):
  outcome, calls, _ = whole
  slow, good, wild = outcome.details["learning_rates"]
  assert wild["has_diverged"] and "test_top1_percent" not in wild
  assert slow["validation_top1_percent"] < good["validation_top1_percent"]
  assert outcome.settings["chosen_learning_rate"] == 0.3
  assert outcome.results["top1_percent"] == good["test_top1_percent"] > 60
  assert set(outcome.details["repetitions"]) == {"seed 0", "seed 1"}
  assert outcome.tables[0].rows[1][-1] == "chosen"
  assert outcome.settings["seeds"] == [0, 1]
  assert not any("chosen on the test" in note for note in outcome.notes)
  # Each whole image once, then two epochs of 54 images for each seed: one pass
  # serves all learning rates.
  assert sum(calls[1:]) == 60 + 30 + 2 * 7 * 16


def test_a_choice_on_the_test_images_is_reported(sets, tmp_path):
  outcome = _run(
    sets, tmp_path, validation_fraction=0.0, learning_rates=(1e-6, 0.1, 0.3)
  )
  assert outcome.settings["chosen_by"] == "the test images"
  assert any("chosen on the test images" in note for note in outcome.notes)
  assert not (tmp_path / "features" / "train").exists()
  best = max(
    row["test_top1_percent"] for row in outcome.details["learning_rates"]
  )
  assert outcome.results["top1_percent"] == best


def test_an_interrupted_probe_resumes_with_the_same_result(
  sets, whole, tmp_path
):
  outcome, calls, folder = whole
  shutil.copytree(folder / "features", tmp_path / "features")
  for stop_after in (12, 10):
    with pytest.raises(KeyboardInterrupt):
      _run(sets, tmp_path, subject=_subject([], stop_after), seeds=(0, 1))
  last = []
  again = _run(sets, tmp_path, subject=_subject(last), seeds=(0, 1))
  assert 1 < len(last) < 2 * 7 * 2  # Not from the start.
  assert again.results == outcome.results
  assert again.details["learning_rates"] == outcome.details["learning_rates"]


def test_another_setting_deletes_the_classifiers_and_is_named(
  sets, whole, tmp_path
):
  shutil.copytree(whole[2], tmp_path, dirs_exist_ok=True)
  said, calls = [], []
  _run(sets, tmp_path, subject=_subject(calls), said=said, min_area=0.5)
  assert "training_crop" in said[0]
  assert sum(calls[1:]) == 7 * 16  # One seed; the features were kept.


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"learning_rates": ()}, "LEARNING_RATES"),
    ({"learning_rates": (1.0, 0.0)}, r"\[1.0, 0.0\].*LEARNING_RATES"),
    ({"seeds": ()}, "SEEDS"),
    ({"schedule": _SCHEDULE._replace(epochs=0)}, "EPOCHS"),
    (
      {"schedule": _SCHEDULE._replace(batch_size=55)},
      "55 .*54 .*BATCH_SIZE",
    ),
    ({"validation_fraction": 1.5}, "1.5.*VALIDATION_FRACTION"),
  ],
)
def test_settings_out_of_range_are_refused_before_any_image_is_read(
  change, message, sets, tmp_path
):
  with pytest.raises(errors.UsageError, match=message):
    _run(sets, tmp_path, **change)
  assert not any(tmp_path.iterdir())


def _predictions(share):
  """Correct for a fraction of ten images."""
  rank = (np.arange(10) >= 10 * share).astype(np.int64)
  return predictions.Predictions(rank, rank)


def _choose(validation, test, *, on_test=False, values=(1.0, 2.0, 3.0)):
  tested = [
    linear_probe.Tested(
      own, [None if share is None else _predictions(share) for share in shares]
    )
    for own, shares in zip(validation, test, strict=True)
  ]
  return linear_probe.choose(values, tested, on_test=on_test)


def test_the_best_validation_mean_is_chosen():
  found = _choose(
    [[0.5, 0.6, 0.9], [0.5, 0.7, 0.1]], [[0.9, 0.3, 0.1], [0.9, 0.5, 0.1]]
  )
  assert found.number == 1
  assert found.details[1] == {
    "learning_rate": 2.0,
    "has_diverged": False,
    "validation_top1_percent": pytest.approx(65.0),
    "test_top1_percent": pytest.approx(40.0),
  }
  assert [row[-1] for row in found.table.rows] == ["", "chosen", ""]
  assert not found.notes


def test_ties_go_to_the_first_and_diverged_ones_never_win():
  found = _choose(
    [[None, 0.6, 0.6], [1.0, 0.6, 0.6]], [[None, 0.1, 0.2], [0.9, 0.1, 0.2]]
  )
  assert found.number == 1
  assert found.table.rows[0] == [1.0, None, None, "diverged"]


def test_notes_name_a_choice_on_the_test_images_or_at_the_end_of_the_grid():
  found = _choose([[0.1, 0.2, 0.3]], [[0.1, 0.2, 0.3]], on_test=True)
  on_test, at_the_end = found.notes
  assert "test images" in on_test
  assert "3, is the largest" in at_the_end and "LEARNING_RATES" in at_the_end
  assert found.table.columns == ["learning rate", "test top-1, %", ""]


def test_a_single_rate_needs_no_note():
  found = _choose([[0.1]], [[0.1]], on_test=True, values=(30.0,))
  assert found.number == 0 and not found.notes


def test_an_error_tells_if_all_diverge():
  with pytest.raises(errors.UsageError, match="diverged.*LEARNING_RATES"):
    _choose([[None, None, None]], [[None, None, None]])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
