"""Statistics of a dataset next to those of reference datasets."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.augment import crop as crop_lib
from tf_ssl.dataset_bias import (
  crop_statistics,
  image_statistics,
  object_boxes,
)
from tf_ssl.dataset_bias import remedy as remedy_lib
from tf_ssl.ops import progress

# From PIRL's and SimCLR's 0.08 and MoCo's 0.2 to crops of almost the image.
MIN_AREAS = (0.02, 0.05, 0.08, 0.14, 0.2, 0.35, 0.5, 0.7, 0.9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Settings of a diagnosis.

  Attributes:
    crop: areas and aspect ratios of the recipe's crops.
    min_areas: smallest crop areas of the curves, shares of the image; the
      recipe's own is added, and those above its largest area are dropped.
    pairs: pairs of views drawn from each image for each smallest area.
    shown: rule that decides whether a view shows an object.
    seed: seed of the random crops.
    reference_images: number of rendered pictures of each reference.
    view_size: side of a view of the croppers, pixels; object-aware crops widen
      smaller boxes to it.
  """

  crop: crop_lib.CropRange = crop_lib.CropRange()
  min_areas: tuple[float, ...] = MIN_AREAS
  pairs: int = 64
  shown: crop_statistics.Shown = crop_statistics.Shown()
  seed: int = 0
  reference_images: int = 100
  view_size: int = 224

  def __post_init__(self):
    """Checks the settings."""
    crop_statistics.check(self.crop, self.shown, self.pairs)
    errors.require(
      self.reference_images >= 2,
      f"reference_images={self.reference_images}: expected at least 2; raise "
      "reference_images",
    )
    errors.require(
      self.view_size >= 2,
      f"view_size={self.view_size}: expected at least 2 px; raise --view_size",
    )

  @property
  def curve(self) -> list[float]:
    """Smallest crop areas of the curves, ascending."""
    least, most = self.crop.area
    return sorted({a for a in self.min_areas if a <= most} | {least})


class Described(NamedTuple):
  """Statistics of one dataset of N images.

  Attributes:
    statistics: statistics of each of the N images.
    co_occurrence: classes that share images.
    inhabited: [M] int64, indices of the images with an object; only these are
      cropped.
    contents: what the recipe's views of these M images show.
    curve: {smallest crop area, ascending: {quantity: mean}}, with the
      quantities of `crop_statistics.QUANTITIES`; includes the recipe's area.
  """

  statistics: image_statistics.ImageStatistics
  co_occurrence: image_statistics.CoOccurrence
  inhabited: np.ndarray
  contents: crop_statistics.Contents
  curve: dict[float, dict[str, crop_statistics.Mean]]


class Diagnosis(NamedTuple):
  """Everything that a report shows.

  Attributes:
    dataset: the diagnosed dataset.
    settings: settings of the diagnosis.
    described: {name: statistics}, the dataset first, then the references.
    remedy: what each cropper does to the dataset, and which one to use.
    command: command line that the user typed; may be empty.
  """

  dataset: object_boxes.Dataset
  settings: Settings
  described: dict[str, Described]
  remedy: remedy_lib.Remedy
  command: str

  @property
  def own(self) -> Described:
    """Statistics of the diagnosed dataset."""
    return self.described[self.dataset.name]

  def at_recipe(self, name: str) -> dict[str, crop_statistics.Mean]:
    """{quantity: mean} of the named dataset under the recipe's own crops."""
    return self.described[name].curve[self.settings.crop.area[0]]


def crop_range(area: str | None, aspect: str | None) -> crop_lib.CropRange:
  """Reads a crop range from text such as "0.2,1".

  Args:
    area: smallest and largest area, shares of the image; None for MoCo's.
    aspect: smallest and largest width / height; None for MoCo's.

  Raises:
    UsageError: a text is not two numbers.
  """
  default = crop_lib.CropRange()
  return crop_lib.CropRange(
    default.area if area is None else _two("area", area),
    default.aspect if aspect is None else _two("aspect", aspect),
  )


def diagnose(
  dataset: object_boxes.Dataset,
  references: Mapping[str, object_boxes.ObjectBoxes],
  settings: Settings,
  *,
  boxes: str | None = None,
  images: str | None = None,
  split: str = "trainval",
  command: str = "",
) -> Diagnosis:
  """Computes all statistics, with a progress bar.

  Args:
    dataset: the dataset to diagnose.
    references: {name: objects} of the datasets to compare with.
    settings: settings of the diagnosis.
    boxes: source of the dataset's boxes that a training run can read; None if
      they are estimated.
    images: folder that the names of the boxes' source are relative to; without
      boxes, the source of the images.
    split: split of boxes in VOC's layout.
    command: command line for the report.
  """
  everything = {dataset.name: dataset.objects, **references}
  inhabited = [int((o.counts > 0).sum()) for o in everything.values()]
  total = sum(inhabited) * len(settings.curve)
  total += inhabited[0] * (len(remedy_lib.candidates(settings.view_size)) - 1)
  with progress.bar(
    "Cropping", total=total, unit="image", unit_scale=True
  ) as bar:
    described = {
      name: _describe(objects, settings, bar.update)
      for name, objects in everything.items()
    }
    own = described[dataset.name]
    remedy = remedy_lib.compare(
      dataset.objects.take(own.inhabited),
      settings.crop,
      plain=own.curve[settings.crop.area[0]],
      boxes=boxes,
      images=images,
      split=split,
      view_size=settings.view_size,
      pairs=settings.pairs,
      seed=settings.seed,
      shown=settings.shown,
      progress=bar.update,
    )
  return Diagnosis(dataset, settings, described, remedy, command)


def _two(name: str, text: str) -> tuple[float, float]:
  try:
    low, high = map(float, text.split(","))
  except ValueError:
    raise errors.UsageError(
      f"{name}={text!r}: expected the smallest and the largest value, such as "
      f"0.2,1; change --{name}"
    ) from None
  return low, high


def _describe(
  objects: object_boxes.ObjectBoxes,
  settings: Settings,
  advance: Callable[[int], object],
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
      progress=advance,
    )
    curve[area] = {
      name: crop_statistics.mean(found, name)
      for name in crop_statistics.QUANTITIES
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
