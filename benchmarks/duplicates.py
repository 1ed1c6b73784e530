"""Measures how well and how fast near-duplicates are found.

    python -m benchmarks.duplicates --images=photos/ [--model=encoder.onnx]

Takes random images of a folder, plants an altered copy of some of them, and
prints the recall of each kind of alteration, the pairs that were not planted
(true duplicates of the folder, or false ones), the precision if all of those
were false, and images per second; with a model, recall and precision by its
features, too. Goal: 100,000 images in minutes, and every recompressed, scaled
or brightened copy.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks import ratios
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation.duplicates import encoder_check, fingerprints, search
from tf_ssl.models import load


def _without_margin(image: Image.Image, share: float) -> Image.Image:
  x, y = (round(share / 2 * side) for side in image.size)
  return image.crop((x, y, image.width - x, image.height - y))


def _recolored(image: Image.Image) -> Image.Image:
  hue, *rest = image.convert("HSV").split()
  turned = hue.point(lambda value: (value + 77) % 256)
  return Image.merge("HSV", (turned, *rest)).convert("RGB")


_ALL_FOUND = ("recompressed", "scaled", "brightened")  # The goal.
_KINDS = {
  "recompressed": lambda image: image,
  "scaled": lambda image: image.resize(
    [max(side * 3 // 4, 1) for side in image.size]
  ),
  "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
  "mirrored": ImageOps.mirror,
  "recolored": _recolored,
  "cropped by 4 %": lambda image: _without_margin(image, 0.04),
  "cropped by 10 %": lambda image: _without_margin(image, 0.1),
  "mirrored, cropped by 4 % and gray": lambda image: _without_margin(
    ImageOps.mirror(image), 0.04
  ).convert("L"),
}


def main() -> None:
  """Runs the benchmark and prints its results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", required=True)
  parser.add_argument("--count", type=int, default=1000)
  parser.add_argument("--copies", type=int, default=800)
  parser.add_argument("--distance", type=int, nargs="+", default=[8, 12, 16])
  parser.add_argument("--model", nargs="*", default=[])
  parser.add_argument("--image_size", type=int, default=64)
  parser.add_argument("--hashes", type=int, default=100_000)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    planted = _plant(arguments, pathlib.Path(folder))
    records = image_folder.read(folder)
    began, busy = time.perf_counter(), time.process_time()
    prints = fingerprints.of_records(records)
    seconds = time.perf_counter() - began
    busy = time.process_time() - busy
    count = records.num_images
    print(
      f"{count:,} images hashed: {count / seconds:,.0f} images/s,"
      f" {count / busy:,.0f} per CPU second"
    )
    names = [records.name(i) for i in range(count)]
    looks = {"gradients": None}
    for spec in arguments.model:
      model = load.load_model(spec, check_preprocessing=True)
      check = encoder_check.EncoderCheck(
        model, [records], image_size=arguments.image_size
      )
      print(check.text())
      looks[model.name] = check.look(records, records)
    for name, look in looks.items():
      for distance in arguments.distance:
        pairs = search.near(prints, distance=distance, look=look)
        print(f"{name}, {_quality(name, pairs, names, planted, distance)}")
  _compare_many(arguments.hashes)


def _quality(
  name: str, pairs: search.Pairs, names, planted, distance: int
) -> str:
  """Recall of each kind and precision, as text."""
  found = {
    tuple(sorted((names[a], names[b])))
    for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
  }
  recalls = []
  for kind, of_kind in planted.items():
    recall = ratios.keep(
      f"recall of {kind} copies by {name}, distance {distance}",
      np.mean([pair in found for pair in of_kind]),
      unit=ratios.PERCENT,
      at_least=1 if kind in _ALL_FOUND else None,
    )
    recalls.append(f"{kind} {recall.measured}")
  truth = {pair for of_kind in planted.values() for pair in of_kind}
  return (
    f"distance {distance}: recall {', '.join(recalls)};"
    f" {len(found - truth)} pairs not planted; precision at least"
    f" {len(found & truth) / max(len(found), 1):.1%}"
  )


def _compare_many(number: int) -> None:
  """Prints the time to compare random hashes with one another."""
  rng = np.random.default_rng(0)
  many = fingerprints.Fingerprints(
    np.arange(number),
    *rng.integers(2**63, size=[2, number], dtype=np.uint64),
    np.zeros([number, fingerprints.SIDE, fingerprints.SIDE, 3], np.uint8),
    {},
  )
  began, busy = time.perf_counter(), time.process_time()
  search.near(many)
  print(
    f"{number:,} hashes compared with one another in"
    f" {time.perf_counter() - began:.1f} s,"
    f" {time.process_time() - busy:.1f} CPU seconds"
  )


def _plant(arguments, folder: pathlib.Path) -> dict[str, list]:
  """Copies random images, some twice; returns the planted pairs by kind."""
  records = image_folder.read(arguments.images)
  rng = np.random.default_rng(0)
  chosen = rng.permutation(records.num_images)[: arguments.count]
  planted = {kind: [] for kind in _KINDS}
  for number, index in enumerate(chosen.tolist()):
    with Image.open(records.path(index)) as opened:
      image = opened.convert("RGB")
    name = f"{number:06d}.png"
    image.save(folder / name)
    if number >= arguments.copies:
      continue
    kind = list(_KINDS)[number % len(_KINDS)]
    suffix = ".jpg" if kind == "recompressed" else ".png"
    copy = folder / f"{number:06d}_copy{suffix}"
    _KINDS[kind](image).save(copy, quality=50)
    planted[kind].append(tuple(sorted((name, copy.name))))
  return planted


if __name__ == "__main__":
  main()
