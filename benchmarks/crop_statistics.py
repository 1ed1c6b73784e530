"""Measures how fast the statistics of random crops are computed.

    python -m benchmarks.crop_statistics

Images have 640 x 480 pixels and boxes like COCO's in number and size (7 objects
on average, some images with dozens); no image is read. For each smallest crop
area and number of pairs it prints images per second, the best of several runs,
next to a plain Python loop over crops and boxes that only decides which objects
each view shows, timed on a few images. Then it prints images per second of each
cropper of `augment.croppers`. The goal is 5,000 images/s per recipe and cropper
with 64 pairs of views per image.
"""

import argparse
import math
import random
import time

import numpy as np

from benchmarks import ratios
from tf_ssl.augment import crop
from tf_ssl.dataset_bias import crop_statistics, object_boxes, remedy

_WIDTH, _HEIGHT = 640, 480
_GOAL, _GOAL_PAIRS = 5000, 64  # Images per second, pairs of each image.


def main() -> None:
  """Runs the benchmark and prints its results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", type=int, default=20_000)
  parser.add_argument("--pairs", type=int, nargs="+", default=[16, 64, 128])
  parser.add_argument("--areas", type=float, nargs="+", default=[0.08, 0.2])
  parser.add_argument("--cropper_pairs", type=int, default=64)
  parser.add_argument("--slow_images", type=int, default=20)
  parser.add_argument("--repeats", type=int, default=3)
  arguments = parser.parse_args()
  objects = _objects(arguments.images)
  per_image = len(objects.boxes) / objects.num_images
  print(f"{objects.num_images:,} images, {per_image:.1f} objects in each")
  few = objects.take(np.arange(arguments.slow_images))
  for area in arguments.areas:
    crop_range = crop.CropRange(area=(area, 1.0))
    for pairs in arguments.pairs:
      crop_statistics.simulate(few, crop_range, pairs=pairs)  # Traces it.
      seconds = min(
        _seconds(objects, crop_range, pairs) for _ in range(arguments.repeats)
      )
      rate = objects.num_images / seconds
      slow = few.num_images / _slow_seconds(few, crop_range, pairs)
      ratio = _kept("the plain crops", area, pairs, rate)
      print(
        f"areas from {area:g}, {pairs} pairs: {ratio}, "
        f"{rate / slow:,.0f} x the plain loop's {slow:,.0f}"
      )
  crop_range = crop.CropRange(area=(arguments.areas[-1], 1.0))
  pairs = arguments.cropper_pairs
  for candidate in remedy.candidates(224)[1:]:
    cropping = candidate.cropping
    crop_statistics.simulate(few, crop_range, cropping=cropping, pairs=pairs)
    began = time.process_time()
    seconds = min(
      _seconds(objects, crop_range, pairs, cropping)
      for _ in range(arguments.repeats)
    )
    busy = (time.process_time() - began) / arguments.repeats
    rate = objects.num_images / seconds
    ratio = _kept(candidate.name, crop_range.area[0], pairs, rate)
    print(
      f"{candidate.name}, areas from {crop_range.area[0]:g}, {pairs} pairs: "
      f"{ratio}, {objects.num_images / busy:,.0f} per CPU second"
    )


def _kept(cropper: str, area: float, pairs: int, rate: float) -> ratios.Ratio:
  return ratios.keep(
    f"annotated images diagnosed with {cropper}, areas from {area:g}, {pairs}"
    " pairs",
    rate,
    unit="images/s",
    at_least=_GOAL if pairs == _GOAL_PAIRS else None,
  )


def _objects(num_images: int) -> object_boxes.ObjectBoxes:
  """Boxes with sizes distributed as in photographs."""
  rng = np.random.default_rng(0)
  counts = rng.geometric(1 / 7.3, num_images)
  total = counts.sum()
  image = [_WIDTH, _HEIGHT]
  sides = np.exp(rng.normal(math.log(0.15), 0.9, [total, 2])).clip(0.01, 1)
  low = rng.random([total, 2]) * (1 - sides)
  return object_boxes.from_rows(
    np.full([num_images, 2], image[::-1]),
    np.repeat(np.arange(num_images), counts),
    np.concatenate([low * image, (low + sides) * image], 1),
    rng.integers(80, size=total),
    tuple(map(str, range(80))),
  )


def _seconds(
  objects, crop_range: crop.CropRange, pairs: int, cropping=None
) -> float:
  began = time.perf_counter()
  crop_statistics.simulate(objects, crop_range, cropping=cropping, pairs=pairs)
  return time.perf_counter() - began


def _slow_seconds(objects, crop_range: crop.CropRange, pairs: int) -> float:
  """Seconds of a plain loop that decides which objects each view shows."""
  began = time.perf_counter()
  rule = crop_statistics.Shown()
  for image in range(objects.num_images):
    rows = slice(objects.offsets[image], objects.offsets[image + 1])
    boxes = objects.boxes[rows].tolist()
    for _ in range(pairs):
      views = [_window(crop_range), _window(crop_range)]
      for box in boxes:
        [_is_shown(box, view, rule) for view in views]
  return time.perf_counter() - began


def _window(crop_range: crop.CropRange) -> tuple[float, ...]:
  for _ in range(10):
    area = _WIDTH * _HEIGHT * random.uniform(*crop_range.area)
    aspect = math.exp(random.uniform(*map(math.log, crop_range.aspect)))
    width, height = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
    if 0 < width <= _WIDTH and 0 < height <= _HEIGHT:
      x = random.randint(0, _WIDTH - width)
      y = random.randint(0, _HEIGHT - height)
      return x, y, x + width, y + height
  return 0, 0, _WIDTH, _HEIGHT


def _is_shown(box, view, rule: crop_statistics.Shown) -> bool:
  width = min(box[2], view[2]) - max(box[0], view[0])
  height = min(box[3], view[3]) - max(box[1], view[1])
  common = max(width, 0) * max(height, 0)
  return common >= rule.min_inside * (box[2] - box[0]) * (
    box[3] - box[1]
  ) or common >= rule.min_filled * (view[2] - view[0]) * (view[3] - view[1])


if __name__ == "__main__":
  main()
