"""Which cropper fits a dataset, by what its pairs of views show."""

import os
import shlex
from collections.abc import Callable
from typing import NamedTuple

from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import croppers
from tf_ssl.dataset_bias import crop_samplers, crop_statistics, object_boxes

# A cropper is chosen if it raises the share of pairs with the same foremost
# object by this much, and the overlap of two views by no more than this: views
# that are almost copies teach little. Choices of this project.
MIN_GAIN = 0.05
MAX_OVERLAP_GAIN = 0.1
# Folder of `tools.find_objects` in the lines to paste.
_OBJECTS = "objects"
_AREA, _SPLIT = 0.01, "trainval"  # As `known_objects.KnownObjects`.


class Candidate(NamedTuple):
  """A cropper that a training run can use.

  Attributes:
    name: name in tables and sentences.
    cropping: the cropper; None for RandomResizedCrop.
    fragment: name of its gin file in gin_configs/base; empty for none.
    bindings: further gin lines.
    note: origin of its simulated boxes, where they are not the objects'. Such a
      candidate is shown and never chosen.
  """

  name: str
  cropping: crop_samplers.Cropping | None
  fragment: str = ""
  bindings: tuple[str, ...] = ()
  note: str = ""


PLAIN = "RandomResizedCrop"


def candidates(view_size: int) -> tuple[Candidate, ...]:
  """The croppers of `augment.croppers`, the plain one first.

  Args:
    view_size: side of a view, pixels.
  """

  def of(cropper, **settings):
    return crop_samplers.Cropping(cropper, view_size, _AREA, **settings)

  return (
    Candidate(PLAIN, None),
    Candidate(
      "ContrastiveCrop",
      of(croppers.ContrastiveCrop(), around_all=True),
      "crops_contrastive",
      note="as if the encoder looked at all objects and at nothing else",
    ),
    Candidate(
      "object-aware crops",
      of(croppers.ObjectAwareCrop()),
      "crops_object_aware",
    ),
    Candidate(
      "object-aware crops with the scene",
      of(croppers.ObjectAwareCrop(scene=True)),
      "crops_object_aware",
      ("CROP_SCENE = True",),
    ),
    Candidate(
      "same-object crops",
      of(croppers.SameObjectCrop()),
      "crops_same_object",
    ),
    Candidate(
      "box-scale crops", of(croppers.BoxScaleCrop()), "crops_box_scale"
    ),
  )


class Remedy(NamedTuple):
  """What each cropper does to a dataset, and which one to use.

  Attributes:
    means: {name of the candidate: {quantity: mean}}, the plain one first.
    notes: {name of the candidate: its note}, for those that have one.
    chosen: name of the chosen candidate.
    gin: lines to paste into a gin file of training; none for the plain one.
  """

  means: dict[str, dict[str, crop_statistics.Mean]]
  notes: dict[str, str]
  chosen: str
  gin: tuple[str, ...]


def compare(
  objects: object_boxes.ObjectBoxes,
  crop_range: crop_lib.CropRange,
  *,
  plain: dict[str, crop_statistics.Mean],
  boxes: str | None,
  images: str | None = None,
  split: str = _SPLIT,
  view_size: int = 224,
  pairs: int = 64,
  seed: int = 0,
  shown: crop_statistics.Shown | None = None,
  progress: Callable[[int], object] = lambda images: None,
) -> Remedy:
  """Simulates all croppers over the boxes of a dataset and chooses one.

  Args:
    objects: boxes of images that each have at least one object.
    crop_range: areas and aspect ratios of the recipe's crops.
    plain: {quantity: mean} of RandomResizedCrop, already simulated.
    boxes: source of the boxes for the gin lines; None where they are estimated,
      so that `tools.find_objects` has to write them first.
    images: folder that the names of the boxes' source are relative to, None for
      that of a manifest; without boxes, the source of the images for that
      command, None for "photos/".
    split: split of boxes in VOC's layout.
    view_size: side of a view, pixels.
    pairs: number of pairs of views drawn from each image.
    seed: seed of the random crops.
    shown: rule that decides whether a view shows an object.
    progress: called with the number of images finished since its last call.
  """
  known = candidates(view_size)
  means = {PLAIN: plain}
  for candidate in known[1:]:
    contents = crop_statistics.simulate(
      objects,
      crop_range,
      cropping=candidate.cropping,
      pairs=pairs,
      seed=seed,
      shown=shown,
      progress=progress,
    )
    means[candidate.name] = {
      name: crop_statistics.mean(contents, name)
      for name in crop_statistics.QUANTITIES
    }
  notes = {c.name: c.note for c in known if c.note}
  chosen = choose({n: m for n, m in means.items() if n not in notes})
  [candidate] = [c for c in known if c.name == chosen]
  return Remedy(means, notes, chosen, _gin(candidate, boxes, images, split))


def choose(means: dict[str, dict[str, crop_statistics.Mean]]) -> str:
  """Name of the candidate to use.

  Of those whose two views overlap little more than those of the plain one, that
  with the most pairs that show the same object foremost; the plain one unless
  that is a gain.

  Args:
    means: {name of the candidate: {quantity: mean}}, with the plain one.
  """
  plain = means[PLAIN]
  allowed = [
    name
    for name, of in means.items()
    if of["overlap"].value <= plain["overlap"].value + MAX_OVERLAP_GAIN
  ]
  best = max(allowed, key=lambda name: means[name]["same_foremost"].value)
  gain = means[best]["same_foremost"].value - plain["same_foremost"].value
  return best if gain >= MIN_GAIN else PLAIN


def _gin(
  candidate: Candidate, boxes: str | None, images: str | None, split: str
) -> tuple[str, ...]:
  """Lines for a gin file, which load the boxes that were diagnosed."""
  if not candidate.fragment:
    return ()
  lines = [f'include "gin_configs/base/{candidate.fragment}.gin"']
  if candidate.fragment != "crops_contrastive":
    if boxes is None:
      flag = shlex.quote(f"--images={images or 'photos/'}")
      lines.append(
        f"# Write the boxes first: python -m tools.find_objects {flag}"
        f" --output_dir={_OBJECTS}"
      )
    lines.append(f"BOXES = {boxes or f'{_OBJECTS}/boxes.csv'!r}")
    if boxes is not None:
      lines += _box_lines(boxes, images, split)
  return (*lines, *candidate.bindings)


def _box_lines(boxes: str, images: str | None, split: str) -> list[str]:
  """Lines that name the folder and the split where the defaults are others."""
  lines = []
  if images is None and boxes.lower().endswith(".csv"):
    images = os.path.dirname(os.path.expanduser(boxes)) or "."
  if images is not None:
    lines.append(f"BOX_IMAGES = {images!r}")
  if split != _SPLIT:
    lines.append(f"BOX_SPLIT = {split!r}")
  return lines
