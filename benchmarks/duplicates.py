"""Measures how well and how fast near-duplicates are found.

    python -m benchmarks.duplicates --images=photos/

Takes random images of a folder, plants an altered copy of some of them, and
prints the recall of each kind of alteration, the pairs that were not planted
(true duplicates of the folder, or false ones), the precision if all of those
were false, and images per second. Goal: 100,000 images in minutes, and every
recompressed, scaled or brightened copy.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
from PIL import Image, ImageEnhance

from tf_ssl.datasets import image_folder
from tf_ssl.evaluation.duplicates import fingerprints, search

_KINDS = ("recompressed", "scaled", "brightened", "cropped by 4 %")


def main() -> None:
  """Runs the benchmark and prints its results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", required=True)
  parser.add_argument("--count", type=int, default=1000)
  parser.add_argument("--copies", type=int, default=200)
  parser.add_argument("--distance", type=int, nargs="+", default=[4, 8, 12])
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
  for distance in arguments.distance:
    pairs = search.near(prints, distance=distance)
    found = {
      tuple(sorted((names[a], names[b])))
      for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    }
    recalls = [
      f"{kind} {np.mean([p in found for p in of_kind]):.1%}"
      for kind, of_kind in planted.items()
    ]
    truth = {pair for of_kind in planted.values() for pair in of_kind}
    others = len(found - truth)
    print(
      f"distance {distance}: recall {', '.join(recalls)}; {others} pairs not"
      f" planted; precision at least {len(found & truth) / len(found):.1%}"
    )
  rng = np.random.default_rng(0)
  number = arguments.hashes
  many = fingerprints.Fingerprints(
    np.arange(number),
    rng.integers(2**63, size=number, dtype=np.uint64),
    np.zeros([number, 16, 16, 3], np.uint8),
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
    kind = _KINDS[number % len(_KINDS)]
    copy = folder / f"{number:06d}_copy.png"
    if kind == "recompressed":
      copy = copy.with_suffix(".jpg")
      image.save(copy, quality=50)
    elif kind == "scaled":
      image.resize([max(s * 3 // 4, 1) for s in image.size]).save(copy)
    elif kind == "brightened":
      ImageEnhance.Brightness(image).enhance(1.25).save(copy)
    else:
      x, y = (round(0.02 * s) for s in image.size)
      image.crop((x, y, image.width - x, image.height - y)).save(copy)
    planted[kind].append(tuple(sorted((name, copy.name))))
  return planted


if __name__ == "__main__":
  main()
