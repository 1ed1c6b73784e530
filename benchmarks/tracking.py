"""Measures quality and speed of region tracks, with ground-truth boxes.

    python -m benchmarks.tracking --videos=davis2016 --videos=otb

A folder contains NAME.mp4 and boxes/NAME.csv with the ground-truth box of one
object per frame: columns frame, xmin, ymin, xmax, ymax (pixels, the maximum
exclusive), blank if the object is absent. Prints pair precision and recall
(`track_quality`) at 0.5, 1 and 2 seconds: means over videos for each matcher
with and without flow, and for the ground-truth box that is not moved, and one
line per video for the default. The number in parentheses is the number of
videos with pairs, over which precision is averaged. With --encoder, regions are
described by its map C4.
"""

import argparse
import csv
import pathlib
import time
import warnings

import cv2
import numpy as np

from tf_ssl.features import encoder_regions as encoder_features
from tf_ssl.ops import boxes
from tf_ssl.video.decoding import decode
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import (
  region_features,
  region_proposals,
  shots,
  track_quality,
  track_scores,
  tracker,
)

SECONDS = (0.5, 1.0, 2.0)
RATE, WIDTH = 8.0, 240


def main() -> None:
  """Measures and prints the tables."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--videos", action="append", required=True)
  parser.add_argument("--defaults_only", action="store_true")
  parser.add_argument("--encoder", help="SavedModel instead of histograms")
  arguments = parser.parse_args()
  cv2.setNumThreads(1)
  films = [
    _Film(video, arguments.encoder)
    for folder in arguments.videos
    for video in videos.find_videos(folder)
  ]
  print(f"{'box not moved':24} {_mean([film.still() for film in films])}")
  default = tracker.Settings()
  for matcher in ("greedy", "mutual", "optimal"):
    for flow in (False, True):
      settings = default._replace(matcher=matcher, flow_prior=flow)
      if arguments.defaults_only and settings != default:
        continue
      rows = [film.quality(settings) for film in films]
      label = f"{matcher}{', flow' if flow else ''}"
      print(f"{label:24} {_mean(rows)}", flush=True)
      if settings == default:
        for film, row in zip(films, rows, strict=True):
          print(f"  {film.name:22} {_mean([row])}")
  count = sum(len(film.frames) for film in films)
  spent = np.array([film.seconds for film in films]).sum(0)
  proposing, observing, following = 1000 * spent / count
  print(
    f"ms of one core per frame: selective search {proposing:.0f}, features and"
    f" flow {observing - proposing:.0f}, tracking and selection"
    f" {following / films[0].runs:.0f}"
  )


class _Film:
  """One video, observed once, with its ground-truth boxes."""

  def __init__(self, video: videos.Video, encoder: str | None):
    self.name = video.name
    self.runs = 0
    frames = list(decode.iterate_frames(video, every_seconds=1.0 / RATE))
    height, width = frames[0].image.shape[:2]
    size = (WIDTH, round(height * WIDTH / width))
    self.frames = [
      cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
      for frame in frames
    ]
    truth = true_boxes(pathlib.Path(video.path), width / WIDTH)
    self.truth = {
      row: truth[frame.number]
      for row, frame in enumerate(frames)
      if frame.number in truth
    }
    self.describe = region_features.Histograms()
    if encoder is not None:
      self.describe = encoder_features.EncoderFeatures(encoder)
    self.seconds = np.zeros(3)  # Proposals, observing, tracking.

    def propose(image):
      began = time.process_time()
      found = region_proposals.selective_search(image)
      self.seconds[0] += time.process_time() - began
      return found

    began = time.process_time()
    self.shots = [
      (
        first,
        shots.observe(
          self.frames[first:end], propose=propose, describe=self.describe
        ),
      )
      for first, end in shots.find(self.frames)
    ]
    self.seconds[1] += time.process_time() - began

  def quality(self, settings: tracker.Settings) -> list[float]:
    """Returns precision and recall at each distance."""
    began = time.process_time()
    found = [
      track._replace(start=track.start + first)
      for first, shot in self.shots
      for track in tracker.follow_all(
        shot, rate=RATE, describe=self.describe, settings=settings
      )
    ]
    best = track_scores.best(found)
    self.seconds[2] += time.process_time() - began
    self.runs += 1
    result = []
    for seconds in SECONDS:
      quality = track_quality.pair_quality(
        best,
        self.truth,
        lag=round(seconds * RATE),
        num_frames=len(self.frames),
      )
      result += [quality.precision, quality.recall]
    return result

  def still(self) -> list[float]:
    """Returns the fraction of boxes that are still correct later."""
    result = []
    for seconds in SECONDS:
      lag = round(seconds * RATE)
      pairs = [
        (box, self.truth[row + lag])
        for row, box in self.truth.items()
        if row + lag in self.truth
      ]
      right = [boxes.aligned_iou(*np.array(pair)) >= 0.5 for pair in pairs]
      share = np.mean(right) if right else float("nan")
      result += [share, share]
    return result


def true_boxes(video: pathlib.Path, scale: float) -> dict[int, list[float]]:
  """Returns xmin, ymin, xmax, ymax by frame, divided by the scale."""
  with open(video.parent / "boxes" / f"{video.stem}.csv") as file:
    return {
      int(row["frame"]): [
        float(row[side]) / scale for side in ("xmin", "ymin", "xmax", "ymax")
      ]
      for row in csv.DictReader(file)
      if row["xmin"]
    }


def _mean(rows: list[list[float]]) -> str:
  table = np.array(rows)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # For empty means.
    mean = np.nanmean(table, axis=0)
  return " | ".join(
    f"{seconds:g} s: precision {mean[2 * k]:.2f}"
    f" ({(~np.isnan(table[:, 2 * k])).sum()}), recall {mean[2 * k + 1]:.2f}"
    for k, seconds in enumerate(SECONDS)
  )


if __name__ == "__main__":
  main()
