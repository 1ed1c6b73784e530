"""Measures whether an encoder recognizes an object over time.

    python -m benchmarks.object_alignment --videos=davis2016 --videos=otb \
      --model=frames=runs/a/saved_model --model=tracks=runs/b/saved_model

A folder contains NAME.mp4 and boxes/NAME.csv (see `tracking_films`). The
object's box is cropped at t and at t + k, for k = 0.5, 1 and 2 seconds, and
resized to --size pixels. Prints for the embedding and the feature of each
model, and for each k:

-   alignment: mean cosine a of an object with itself later; the alignment of
    Wang & Isola (2020) is 2 - 2a;
-   others: mean cosine with the objects of other videos; if all images have
    similar features, both are high;
-   retrieval: how often the object at t + k is nearer than one crop of each
    other video. Chance is one divided by the number of videos.
"""

import argparse
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from benchmarks import tracking_films

SECONDS = (0.5, 1.0, 2.0)
_EVERY = 0.25  # Seconds between the times t.
_LEAST = 8  # Pixels; boxes with a smaller side are skipped.


class Alignment(NamedTuple):
  """How alike an object is to itself later.

  Attributes:
    alignment: mean cosine of an object with itself later.
    others: mean cosine with the objects of other videos.
    retrieval: share of the times at which the object is nearer than one crop of
      each other video, 0..1.
  """

  alignment: float
  others: float
  retrieval: float


def main() -> None:
  """Measures and prints a table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--videos", action="append", required=True)
  parser.add_argument("--model", action="append", required=True)
  parser.add_argument("--size", type=int, default=32)
  arguments = parser.parse_args()
  crops = [
    crops_of(video, arguments.size)
    for folder in arguments.videos
    for video in sorted(pathlib.Path(folder).glob("*.mp4"))
  ]
  for text in arguments.model:
    name, _, path = text.rpartition("=")
    encoder = tf.saved_model.load(path)
    for space in ("embedding", "features"):
      words = [
        f"{seconds:g} s: alignment {found.alignment:.3f}, others"
        f" {found.others:.3f}, retrieval {100 * found.retrieval:.1f} %"
        for seconds, found in measure(getattr(encoder, space), crops).items()
      ]
      print(f"{name or path} {space}: {' | '.join(words)}", flush=True)


def crops_of(video: pathlib.Path, size: int) -> tuple[np.ndarray, np.ndarray]:
  """The object of a video every quarter of a second.

  Args:
    video: path of NAME.mp4, with boxes/NAME.csv beside it.
    size: side of the crops, pixels.

  Returns:
    Times [n], seconds, and crops [n, size, size, 3] uint8.
  """
  from tf_ssl.video.decoding import decode
  from tf_ssl.video.source import videos

  truth = tracking_films.true_boxes(video, 1.0)
  times, images = [], []
  for frame in decode.iterate_frames(
    videos.Video(str(video), video.name), every_seconds=_EVERY
  ):
    if frame.number not in truth:
      continue
    height, width = frame.image.shape[:2]
    x0, y0, x1, y1 = np.round(truth[frame.number]).astype(int)
    crop = frame.image[
      max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)
    ]
    if min(crop.shape[:2]) < _LEAST:
      continue
    images.append(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA))
    times.append(frame.time)
  return np.array(times), np.array(images)


def _unit(rows: np.ndarray) -> np.ndarray:
  return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _pairs(times: np.ndarray, seconds: float) -> np.ndarray:
  """Returns rows [m, 2] of crops at a distance in seconds."""
  later = np.argmin(np.abs(times[None] - times[:, None] - seconds), 1)
  fits = np.abs(times[later] - times - seconds) < _EVERY / 2
  return np.stack([np.arange(len(times)), later], 1)[fits]


def measure(
  space: Callable[[np.ndarray], tf.Tensor],
  crops: Sequence[tuple[np.ndarray, np.ndarray]],
) -> dict[float, Alignment]:
  """Compares the objects of videos over time.

  Args:
    space: function from images [n, size, size, 3] uint8 to vectors [n, d].
    crops: times and crops of each video, see `crops_of`.

  Returns:
    Means over the videos with pairs, for each distance in seconds. The crop of
    each other video is drawn at random, with seed 0.
  """
  vectors = [_unit(space(images).numpy()) for _, images in crops]
  return {
    seconds: _measure(vectors, [_pairs(times, seconds) for times, _ in crops])
    for seconds in SECONDS
  }


def _measure(vectors, pairs) -> Alignment:
  rng = np.random.default_rng(0)
  rows = []
  for number, found in enumerate(pairs):
    if not len(found):
      continue
    own, measured = vectors[number], []
    rest = [part for other, part in enumerate(vectors) if other != number]
    for first, second in found:
      drawn = np.stack([part[rng.integers(len(part))] for part in rest])
      same, different = own[first] @ own[second], drawn @ own[first]
      measured.append((same, different.mean(), same > different.max()))
    rows.append(np.mean(measured, 0))
  return Alignment(*np.mean(rows, 0).tolist())


if __name__ == "__main__":
  main()
