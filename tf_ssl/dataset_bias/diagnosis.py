"""A dataset diagnosed: its statistics beside those of reference pictures."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tqdm

from tf_ssl import errors
from tf_ssl.augment import crop as crop_lib
from tf_ssl.dataset_bias import (
  crop_statistics,
  image_statistics,
  object_boxes,
  view_contents,
)
from tf_ssl.dataset_bias import subject as subject_lib

# From PIRL's and SimCLR's 0.08 and MoCo's 0.2 to no crop worth the name.
MIN_AREAS = (0.02, 0.05, 0.08, 0.14, 0.2, 0.35, 0.5, 0.7, 0.9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """How to look at a dataset.

  Attributes:
    crop: what the recipe's views are drawn from.
    min_areas: smallest areas of the curves, which end where the largest area of
      the recipe is reached; its own smallest area is always among them.
    pairs: of views, drawn of each image for each smallest area.
    shown: when an object counts as shown.
    seed: of the crops.
    reference_images: pictures of each reference, of which boxes are rendered.
  """

  crop: crop_lib.CropRange = crop_lib.CropRange()
  min_areas: tuple[float, ...] = MIN_AREAS
  pairs: int = 64
  shown: view_contents.Shown = view_contents.Shown()
  seed: int = 0
  reference_images: int = 100

  def __post_init__(self):
    crop_statistics.check(self.crop, self.shown, self.pairs)
    if self.reference_images < 2:
      raise errors.UsageError(
        f"reference_images={self.reference_images}: expected at least 2; raise "
        "reference_images"
      )

  @property
  def curve(self) -> list[float]:
    """The smallest areas, rising."""
    least, most = self.crop.area
    return sorted({a for a in self.min_areas if a <= most} | {least})


class Described(NamedTuple):
  """One dataset's numbers.

  Attributes:
    statistics: of all N images.
    co_occurrence: of all.
    inhabited: [M] int64, the images with an object: those that are cropped.
    contents: what the recipe's views of these M images show.
    curve: from smallest areas, rising, to the mean of each quantity of
      `view_contents.MEANING`; the recipe's own is among them.
  """

  statistics: image_statistics.ImageStatistics
  co_occurrence: image_statistics.CoOccurrence
  inhabited: np.ndarray
  contents: view_contents.Contents
  curve: dict[float, dict[str, crop_statistics.Mean]]


class Diagnosis(NamedTuple):
  """All that a report tells.

  Attributes:
    subject: what was diagnosed.
    settings: how.
    described: from names, the subject's first, then those of the references, to
      their numbers.
    command: what the user typed; may be empty.
  """

  subject: subject_lib.Subject
  settings: Settings
  described: dict[str, Described]
  command: str

  @property
  def own(self) -> Described:
    """The subject's numbers."""
    return self.described[self.subject.name]

  def at_recipe(self, name: str) -> dict[str, crop_statistics.Mean]:
    """The means of a dataset for the recipe itself."""
    return self.described[name].curve[self.settings.crop.area[0]]


def crop_range(area: str | None, aspect: str | None) -> crop_lib.CropRange:
  """A recipe's crops from text, such as "0.2,1"; MoCo's where it is None.

  Raises:
    UsageError: text that is not two numbers.
  """
  usual = crop_lib.CropRange()
  return crop_lib.CropRange(
    usual.area if area is None else _two("area", area),
    usual.aspect if aspect is None else _two("aspect", aspect),
  )


def diagnose(
  subject: subject_lib.Subject,
  references: Mapping[str, object_boxes.ObjectBoxes],
  settings: Settings,
  *,
  command: str = "",
) -> Diagnosis:
  """Computes everything; prints a bar over images and recipes.

  Args:
    subject: what to diagnose.
    references: by name, what to hold it up to.
    settings: how.
    command: for the report.
  """
  everything = {subject.name: subject.objects, **references}
  total = sum(int((o.counts > 0).sum()) for o in everything.values())
  with tqdm.tqdm(
    total=total * len(settings.curve),
    desc="Cropping",
    unit="image",
    unit_scale=True,
    mininterval=0.5,
  ) as bar:
    described = {
      name: _describe(objects, settings, bar.update)
      for name, objects in everything.items()
    }
  return Diagnosis(subject, settings, described, command)


def _two(name: str, text: str) -> tuple[float, float]:
  try:
    low, high = map(float, text.split(","))
  except ValueError:
    raise errors.UsageError(
      f"{name}={text!r}: expected the smallest and the largest, such as 0.2,1; "
      f"change --{name}"
    ) from None
  return low, high


def _describe(
  objects: object_boxes.ObjectBoxes,
  settings: Settings,
  progress: Callable[[int], object],
) -> Described:
  inhabited = np.flatnonzero(objects.counts)
  cropped = objects.take(inhabited)
  least, most = settings.crop.area
  curve, contents = {}, None
  for area in settings.curve:
    found = crop_statistics.simulate(
      cropped,
      settings.crop._replace(area=(area, most)),
      pairs=settings.pairs,
      seed=settings.seed,
      shown=settings.shown,
      progress=progress,
    )
    curve[area] = {
      name: crop_statistics.mean(found, name) for name in view_contents.MEANING
    }
    if area == least:
      contents = found
  return Described(
    statistics=image_statistics.of_images(objects),
    co_occurrence=image_statistics.co_occurrence(objects),
    inhabited=inhabited,
    contents=contents,
    curve=curve,
  )
