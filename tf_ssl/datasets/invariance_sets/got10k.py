"""GOT-10k: videos of objects under varying occlusion.

Huang, Zhao & Huang 2019. There is one folder per video, with frames
00000001.jpg, ...; groundtruth.txt (x,y,w,h of the object in each frame);
cover.label (visible eighths of the object, 0 to 8, one line per frame);
absence.label; and meta_info.ini (with object_class).
"""

import os
import zlib

import numpy as np

from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

# From the code of Purushwalkam & Gupta 2020. Videos whose cover varies by fewer
# levels are skipped.
IMAGE_SIZE = 128
MIN_COVER_RANGE = 4
_SOURCE = "GOT-10k"
_PREFIX = "GOT-10k_"


def occlusion(
  root: str, *, seed: int = 0, keep_absent: bool = True
) -> invariance_sets.InvarianceSets:
  """Videos as sets: one random frame for each level of cover, cropped.

  Args:
    root: folder of the videos, such as GOT-10k's train/.
    seed: seed of the choice of frames, which depends on seed and video name
      only.
    keep_absent: whether to use frames that absence.label marks, as the code of
      Purushwalkam & Gupta does. Frames with an empty box are never used.

  Returns:
    The sets; the class is the video's object_class, the factor the number of
    visible eighths.

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
      images.skip(f"cover varies by less than {MIN_COVER_RANGE} levels", video)
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
    ValueError: the video cannot be used; the message is the reason.
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
  """Whole numbers [count] from 0 to `most`, one per line."""
  lines = _lines(folder, name)
  try:
    values = [int(line) for line in lines]
  except ValueError:
    values = [-1]
  if not all(0 <= value <= most for value in values):
    raise ValueError(f"a line of {name} is not 0 to {most}")
  if len(values) != count:
    raise ValueError(f"{name} and groundtruth.txt differ in length")
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
