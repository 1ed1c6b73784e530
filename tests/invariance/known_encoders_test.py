"""Encoders of rendered images whose invariances follow from what they see."""

import sys

import numpy as np
import pytest

from tests.models import function_model_reference
from tf_ssl.datasets.invariance_sets import rendered_sets
from tf_ssl.invariance import further, measure, measurement

pytestmark = pytest.mark.slow

SIDE, SETS, IMAGES, UNITS = 32, 30, 8, 40


def _corners(images):
  """Sees 3x3 px in each corner, which no object reaches."""
  rows = np.concatenate([images[:, :3], images[:, -3:]], axis=1)
  return np.concatenate([rows[:, :, :3], rows[:, :, -3:]], axis=2)


def _color(images):
  """Sees the mean color of the object on black, wherever and however large."""
  is_object = images.max(axis=-1, keepdims=True) > 0
  count = np.maximum(is_object.sum(axis=(1, 2)), 1)
  mean = (images * is_object).sum(axis=(1, 2)) / count
  return mean / np.maximum(mean.sum(axis=1, keepdims=True), 1)


def _size(images):
  """Sees the share of the image that the object on black covers."""
  share = (images.max(axis=-1) > 0).mean(axis=(1, 2))
  return np.exp(
    -((np.log(share + 1e-3)[:, np.newaxis] - np.linspace(-4, 0, 9)) ** 2)
  )


def _model(name, see):
  def run(images):
    seen = see(np.asarray(images, np.float32)).reshape([len(images), -1])
    rng = np.random.default_rng(0)
    return (seen @ rng.normal(size=[seen.shape[1], UNITS])).astype(np.float32)

  return function_model_reference.of(name, run, SIDE)


def _measured(folder, invariance, background, **encoders):
  data = rendered_sets.rendered_sets(
    invariance,
    num_sets=SETS,
    images_per_set=IMAGES,
    image_size=SIDE,
    background=background,
    cache_dir=str(folder / "cache"),
  )
  results = measure.measure(
    [_model(name, see) for name, see in encoders.items()],
    measurement.Measurement(sets=[data], top_k=(5,), resamples=100),
    str(folder / background),
  )
  return results.sets[0].models


def test_an_encoder_that_sees_only_the_background_is_found_out(tmp_path):
  found = _measured(tmp_path, "viewpoint", "fixed", corners=_corners)["corners"]
  assert found.score.scores[5] > 90
  assert found.background[5].low > 95
  # With the background that changes by default, it is not invariant at all.
  found = _measured(tmp_path, "viewpoint", "changing", corners=_corners)[
    "corners"
  ]
  assert found.score.scores[5] < found.chance.scores[5] + 10
  assert further.verdict(found, 5) == "neither"


def test_invariant_and_equivariant_encoders_are_found_out(tmp_path):
  found = _measured(tmp_path, "scale", "black", color=_color, size=_size)
  assert further.verdict(found["color"], 5) == "invariant"
  assert found["color"].decoded.r2 < 0.3
  assert further.verdict(found["size"], 5).startswith("equivariant (R² 0.")
  assert found["size"].decoded.r2 > 0.6
  assert (
    found["size"].whole.correlation < 0.5 < found["color"].whole.correlation
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
