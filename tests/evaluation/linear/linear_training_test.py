"""Tests of tf_ssl.evaluation.linear.linear_training."""

import sys

import numpy as np
import pytest
from PIL import Image
from scipy import special

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation.linear import linear_training
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import image_model, reader

_RATES = (0.05, 0.5, 3.0)


def _batches(count, size=16, width=5, classes=4):
  rng = np.random.default_rng(0)
  centers = rng.normal(size=(classes, width))
  for i in range(count):
    labels = rng.integers(classes, size=size)
    features = centers[labels] + rng.normal(size=(size, width))
    yield features.astype(np.float32), labels, 1.0 if i < count / 2 else 0.1


def _trained(rates, count=30, seed=3):
  grid = linear_training.LinearGrid(5, 4, rates, seed=seed)
  loss = [grid.train(*batch) for batch in _batches(count)]
  return grid, np.array(loss)


def _slow(rate, start, count=30):
  """Reference: PyTorch's SGD in float64."""
  weights, biases = start.astype(np.float64), np.zeros(4)
  velocity = [np.zeros_like(weights), np.zeros_like(biases)]
  loss = []
  for features, labels, factor in _batches(count):
    scores = features.astype(np.float64) @ weights + biases
    shares = special.softmax(scores, axis=1)
    loss.append(-np.log(shares[np.arange(len(labels)), labels]).mean())
    error = (shares - np.eye(4)[labels]) / len(labels)
    velocity[0] = 0.9 * velocity[0] + features.T @ error
    velocity[1] = 0.9 * velocity[1] + error.sum(axis=0)
    weights = weights - rate * factor * velocity[0]
    biases = biases - rate * factor * velocity[1]
  return np.vstack([weights, biases]), loss


def _model(calls=None, stop_after=None):
  """Features are mean colors, 0..1; may interrupt itself."""

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
    layer_chosen="only one",
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
  grid = linear_training.LinearGrid(3, 2, (0.1, 1.0), seed=0)
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


def test_it_learns_in_encoder_batches(records, tmp_path):
  calls = []
  grid = _train(_model(calls), records, tmp_path / "grid.npz")
  assert grid.step == 15
  assert (
    sum(calls[1:]) == 15 * 4 and max(calls) == 3
  )  # The first probes the width.
  features = np.array([[0.24, 0.24, 0.78], [0.78, 0.24, 0.24]], np.float32)
  assert grid.predict(features, np.array([0, 1]), 1).accuracy() == 1.0


def test_an_interrupted_training_resumes_bit_for_bit(records, tmp_path):
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
  _train(_model(calls), records, tmp_path / "grid.npz")  # Already finished.
  assert len(calls) == 1


def test_too_many_unreadable_images_are_an_error(records, tmp_path):
  for name in ("a/0.png", "a/2.png"):
    (tmp_path / "images" / name).write_bytes(b"no image")
  skipped = skipped_lib.SkippedFiles(None, records.num_images, 0.1)
  with pytest.raises(errors.UsageError, match="2 of 12"):
    _train(_model(), records, tmp_path / "grid.npz", skipped=skipped)


def test_divergence_of_all_classifiers_stops_the_training(records, tmp_path):
  grid = linear_training.LinearGrid(3, 2, (1e38, 3e38), seed=0)
  with pytest.raises(errors.UsageError, match="diverged; lower LEARNING_RATES"):
    linear_training.train(
      _model(),
      records,
      grid,
      _SCHEDULE,
      file=str(tmp_path / "a.npz"),
      image_size=8,
      seed=0,
    )


def test_a_missing_folder_is_named(records, tmp_path):
  with pytest.raises(errors.UsageError, match="none/grid.npz"):
    _train(_model(), records, tmp_path / "none" / "grid.npz")


def test_side_by_side_equals_training_alone():
  together, loss = _trained(_RATES)
  for number, rate in enumerate(_RATES):
    alone, own = _trained((rate,))
    np.testing.assert_allclose(
      together._by_classifier()[number], alone._by_classifier()[0], atol=1e-5
    )
    np.testing.assert_allclose(loss[:, number], own[:, 0], atol=1e-5)


def test_training_equals_pytorchs_sgd_in_numpy():
  grid, loss = _trained(_RATES)
  start = np.random.default_rng(3).normal(0.0, 0.01, [5, 4])
  for number, rate in enumerate(_RATES):
    weights, expected = _slow(rate, start)
    np.testing.assert_allclose(
      grid._by_classifier()[number], weights, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(loss[:, number], expected, atol=1e-3)
  assert loss[-1, 1] < loss[0, 1] / 2


def test_a_diverging_classifier_does_not_affect_the_others():
  together, _ = _trained((0.05, 1e38))
  alone, _ = _trained((0.05,))
  assert together.has_diverged() == [False, True]
  np.testing.assert_allclose(
    together._by_classifier()[0], alone._by_classifier()[0], atol=1e-5
  )


def test_a_restored_grid_continues_bit_for_bit(tmp_path):
  file = str(tmp_path / "grid.npz")
  whole, _ = _trained(_RATES)
  grid = linear_training.LinearGrid(5, 4, _RATES, seed=3)
  for number, batch in enumerate(_batches(30)):
    if number == 17:
      grid.save(file)
      grid = linear_training.LinearGrid(5, 4, _RATES, seed=8)
      grid.restore(file)
      assert grid.step == 17
    grid.train(*batch)
  np.testing.assert_array_equal(grid._by_classifier(), whole._by_classifier())


def test_a_damaged_checkpoint_is_named(tmp_path):
  file = tmp_path / "grid.npz"
  file.write_bytes(b"PK\x03\x04 and no more")
  with pytest.raises(errors.UsageError, match="grid.npz"):
    linear_training.LinearGrid(5, 4, _RATES, seed=0).restore(str(file))


def test_predictions_follow_the_scores(monkeypatch):
  grid, _ = _trained(_RATES)
  [(features, labels, _)] = _batches(1, size=50)
  weights = grid._by_classifier()[1]
  scores = features @ weights[:-1] + weights[-1]
  monkeypatch.setattr(linear_training, "_SCORES", 28)  # 7 rows at a time
  found = grid.predict(features, labels, 1)
  np.testing.assert_array_equal(found.best, scores.argmax(axis=1))
  own = scores[np.arange(50), labels]
  np.testing.assert_array_equal(found.rank, (scores > own[:, None]).sum(1))
  assert found.accuracy() > 0.7


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
