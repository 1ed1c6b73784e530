"""GOT-10k: videos in which things are covered more and less.

Huang, Zhao & Huang 2019. One folder per video, with frames 00000001.jpg and so
on, groundtruth.txt (x,y,w,h of the object in every frame), cover.label (how
many eighths of it are visible, 0 to 8, a line a frame), absence.label and
meta_info.ini (object_class among others).
"""

import os
import zlib

import numpy as np

from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 128  # Purushwalkam & Gupta's code.
MIN_COVER_RANGE = 4  # The same: videos of which less changes are left out.
_SOURCE = "GOT-10k"
_PREFIX = "GOT-10k_"


def occlusion(
  root: str, *, seed: int = 0, keep_absent: bool = True
) -> invariance_sets.InvarianceSets:
  """Videos as sets: one random frame for each level of cover, cut out.

  Args:
    root: the folder of the videos, such as GOT-10k's train/.
    seed: of the choice of frames; each video's depends on seed and name alone.
    keep_absent: whether frames count that absence.label marks, as they do in
      Purushwalkam & Gupta's code. Frames with an empty box are never chosen.

  Returns:
    The sets; the class is the video's object_class, the factor how many
    eighths are visible.

  Raises:
    UsageError: there are no such videos; says where to get them.
  """
  images = invariance_sets.Collector(os.path.expanduser(root))
  for video in missing.list_folder(images.root):
    if not video.startswith(_PREFIX):
      continue
    try:
      class_name, boxes, cover, absent = _annotations(
        os.path.join(images.root, video), keep_absent
      )
    except ValueError as error:
      images.skip(str(error), video)
      continue
    levels = np.unique(cover[~absent]).tolist()
    if not levels or levels[-1] - levels[0] < MIN_COVER_RANGE:
      images.skip(f"cover changes by less than {MIN_COVER_RANGE} levels", video)
      continue
    rng = np.random.default_rng([seed, zlib.crc32(os.fsencode(video))])
    for level in levels:
      frames = np.flatnonzero((cover == level) & ~absent)
      frames = [i for i in frames.tolist() if boxes[i] is not None]
      if not frames:
        images.skip("no box at a level of cover", f"{video}, cover {level}")
        continue
      frame = frames[int(rng.integers(len(frames)))]
      images.add(
        f"{video}/{frame + 1:08d}.jpg",
        set_name=video,
        class_name=class_name,
        value=level,
        box=boxes[frame],
      )
  return images.build(
    source=_SOURCE,
    invariance="occlusion",
    image_size=IMAGE_SIZE,
    factor=("visible part", "eighths", None),
    expected=(
      f"{_PREFIX}Train_000001/ to {_PREFIX}Train_009335/. Register at "
      "http://got-10k.aitestunion.com/downloads and download the training "
      "videos (nearly 70 GB with validation and test); or change GOT10K"
    ),
  )


def _annotations(folder: str, keep_absent: bool):
  """Class name, boxes [T] (None: empty), cover [T], absent [T] of a video.

  Raises:
    ValueError: with the reason why the video cannot be used.
  """
  class_name = None
  for line in _lines(folder, "meta_info.ini"):
    key, _, value = line.partition(":")
    if key.strip() == "object_class":
      class_name = value.strip()
  if not class_name:
    raise ValueError("no object_class in meta_info.ini")
  boxes = [_box(line) for line in _lines(folder, "groundtruth.txt")]
  cover = _numbers(folder, "cover.label", 8, len(boxes))
  absent = np.zeros(len(boxes), bool)
  if not keep_absent:
    absent = _numbers(folder, "absence.label", 1, len(boxes)) == 1
  return class_name, boxes, cover, absent


def _numbers(folder: str, name: str, most: int, count: int) -> np.ndarray:
  """Whole numbers [count] from 0 to `most`, one a line."""
  lines = _lines(folder, name)
  try:
    values = [int(line) for line in lines]
  except ValueError:
    values = [-1]
  if not all(0 <= value <= most for value in values):
    raise ValueError(f"a line of {name} is not 0 to {most}")
  if len(values) != count:
    raise ValueError(f"not as many lines in {name} as in groundtruth.txt")
  return np.array(values)


def _lines(folder: str, name: str) -> list[str]:
  try:
    with open(
      os.path.join(folder, name), encoding="utf-8", errors="replace"
    ) as stream:
      return stream.read().strip().splitlines()
  except OSError as error:
    raise ValueError(f"{name} cannot be read") from error


def _box(line: str) -> tuple[int, int, int, int] | None:
  try:
    x, y, width, height = map(float, line.split(","))
  except ValueError as error:
    raise ValueError("a line of groundtruth.txt is not x,y,w,h") from error
  return invariance_sets.pixel_box(x, y, x + width, y + height)
