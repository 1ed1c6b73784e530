"""Training on a frozen model's features of crops: schedule, and going on."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation.linear import grid as linear_grid
from tf_ssl.evaluation.linear import linear_training
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import image_model, reader


def _model(calls=None, stop_after=None):
  """The mean color, 0..1; may be interrupted."""

  def run(images):
    if calls is not None:
      calls.append(len(images))
      if stop_after is not None and len(calls) > stop_after:
        raise KeyboardInterrupt
    return images.mean(axis=(1, 2)) / 255

  described = reader.Reader(
    kind="function",
    run=run,
    layer="mean",
    layer_chosen="all there is",
    digest="mean",
    preprocessing="0..255",
    is_numpy=True,
  )
  return image_model.ImageModel("mean", described)


@pytest.fixture(name="records")
def fixture_records(tmp_path):
  rng = np.random.default_rng(0)
  for i in range(12):
    folder = tmp_path / "images" / "ab"[i % 2]
    folder.mkdir(parents=True, exist_ok=True)
    color = [200, 60, 60] if i % 2 else [60, 60, 200]
    pixels = rng.normal(color, 40, [10, 12, 3]).clip(0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
  return image_folder.read(str(tmp_path / "images"), labeled=True)


_SCHEDULE = linear_training.Schedule(epochs=5, decay_epochs=(3,), batch_size=4)


def _train(model, records, file, schedule=_SCHEDULE, **options):
  grid = linear_grid.LinearGrid(3, 2, (0.1, 1.0), seed=0)
  linear_training.train(
    model, records, grid, schedule, file=str(file), image_size=8, seed=1,
    encoder_batch_size=3, **options,
  )  # fmt: skip
  return grid


def test_mocos_schedule_at_imagenets_size():
  moco = linear_training.Schedule()
  steps = moco.num_steps(1_281_167)
  assert steps == -(-100 * 1_281_167 // 256)
  factors = [moco.factor(step, 1_281_167) for step in range(0, steps, 1000)]
  epochs = np.arange(0, steps, 1000) * 256 / 1_281_167
  expected = np.where(epochs < 60, 1, np.where(epochs < 80, 0.1, 0.01))
  np.testing.assert_allclose(factors, expected)


def test_it_learns_and_the_model_sees_few_images_at_once(records, tmp_path):
  calls = []
  grid = _train(_model(calls), records, tmp_path / "grid.npz")
  assert grid.step == 15
  assert sum(calls[1:]) == 15 * 4 and max(calls) == 3  # the first is a probe
  features = np.array([[0.24, 0.24, 0.78], [0.78, 0.24, 0.24]], np.float32)
  assert grid.guesses(features, np.array([0, 1]), 1).accuracy() == 1.0


def test_stopped_it_goes_on_and_ends_the_same(records, tmp_path):
  whole = _train(_model(), records, tmp_path / "whole.npz")
  with pytest.raises(KeyboardInterrupt):
    _train(_model([], stop_after=13), records, tmp_path / "grid.npz")
  with np.load(tmp_path / "grid.npz") as saved:
    done = int(saved["step"])
  assert 0 < done < 15
  calls = []
  grid = _train(_model(calls), records, tmp_path / "grid.npz")
  assert sum(calls[1:]) == (15 - done) * 4
  np.testing.assert_array_equal(grid._by_classifier(), whole._by_classifier())
  calls = []
  _train(_model(calls), records, tmp_path / "grid.npz")  # nothing left to do
  assert len(calls) == 1


def test_too_many_unreadable_images_stop_it(records, tmp_path):
  for name in ("a/0.png", "a/2.png"):
    (tmp_path / "images" / name).write_bytes(b"no image")
  skipped = skipped_lib.SkippedFiles(None, records.num_images, 0.1)
  with pytest.raises(errors.UsageError, match="2 of 12 could not be used"):
    _train(_model(), records, tmp_path / "grid.npz", skipped=skipped)


def test_a_folder_that_is_not_there_is_named(records, tmp_path):
  with pytest.raises(errors.UsageError, match="none/grid.npz cannot be writt"):
    _train(_model(), records, tmp_path / "none" / "grid.npz")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
