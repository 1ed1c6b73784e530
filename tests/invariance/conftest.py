"""A measurement of two models on three rendered invariances."""

import zlib

import numpy as np
import pytest

from tests.models import function_model_reference
from tf_ssl.datasets.invariance_sets import rendered_sets
from tf_ssl.invariance import measure, measurement, report

KINDS = ("illumination_colour", "instance", "position")
SIDE = 16


class Measured:
  """The results, their folder, and models to measure again."""

  def __init__(self, folder):
    self.kinds, self.side, self.folder = KINDS, SIDE, folder
    sets = [
      rendered_sets.rendered_sets(
        kind,
        num_sets=20,
        images_per_set=6,
        image_size=SIDE,
        background="fixed",
        cache_dir=str(folder / "cache"),
      )
      for kind in KINDS
    ]
    self.results = measure.measure(
      self.models(),
      measurement.Measurement(sets=sets, top_k=(5, 10), resamples=200),
      str(folder),
      command="the command",
    )
    report.write(self.results, str(folder))

  def models(self):
    """One that ignores the color of the light, and one of random numbers."""
    return [self.green_model(), self.model("<b>noise</b>", numbers)]

  def model(self, name, run):
    return function_model_reference.of(name, run, SIDE)

  def sets(self, kind):
    return next(one for one in self.results.sets if one.label == kind)

  def score(self, kind, model):
    return self.sets(kind).models[model]

  def green_model(self, name="green"):
    return self.model(name, green)


def numbers(images):
  """64 random numbers for each image, equal for equal images."""
  return np.stack(
    [
      np.random.default_rng(zlib.crc32(image.tobytes())).normal(size=64)
      for image in images.astype(np.uint8)
    ]
  )


def green(images):
  """Sees all changes but those of the light's color, which spares green."""
  return numbers(np.ascontiguousarray(images[..., 1]))


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
  return Measured(tmp_path_factory.mktemp("measured"))
