"""Videos with ground-truth boxes, on which region tracks are measured.

A folder contains NAME.mp4 and boxes/NAME.csv with the ground-truth box of one
object per frame: columns frame, xmin, ymin, xmax, ymax (pixels, the maximum
exclusive), blank if the object is absent. A file with the tracks of several
objects has a column track; the largest object counts.
"""

import argparse
import csv
import hashlib
import pathlib
import pickle
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from tf_ssl import errors
from tf_ssl.features import encoder_regions as encoder_features
from tf_ssl.ops import boxes
from tf_ssl.rendering import files
from tf_ssl.video.decoding import decode
from tf_ssl.video.mining import mining
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import (
  chains,
  links,
  region_features,
  region_proposals,
  region_tracks,
  shots,
  track_quality,
  tracker,
)

SECONDS = (0.5, 1.0, 2.0)
# Of rendered videos: size in pixels, length, frames per second, world.
_RENDERED_SIZE = (136, 240)
_RENDERED_SECONDS = 3.0
_RENDERED_RATE = 16.0
_SEED = 20
_RAW = (1.0, 0.0)  # A score that is not calibrated.


def parse(parser: argparse.ArgumentParser, argv=None) -> argparse.Namespace:
  """Adds the options that say which videos are measured, and parses all."""
  parser.add_argument("--videos", action="append", default=[])
  parser.add_argument("--rendered", type=int, default=0)
  parser.add_argument("--encoder", help="SavedModel that describes regions")
  parser.add_argument("--cache", help="folder for what was observed")
  parser.add_argument("--width", type=int, default=480)
  parser.add_argument("--motion_rate", type=float, default=16.0)
  arguments = parser.parse_args(argv)
  if not arguments.videos and not arguments.rendered:
    parser.error("--videos or --rendered is needed")
  return arguments


def read(arguments, temporary: str, variant: str = "") -> list["Film"]:
  """Returns the videos of the options.

  Args:
    arguments: values of the options, see `parse`.
    temporary: folder for rendered videos if there is no --cache.
    variant: name of a change of the tracker, which needs its own cache.

  Raises:
    UsageError: there are fewer than two videos, or one without boxes.
  """
  cv2.setNumThreads(1)
  folders = list(arguments.videos)
  if arguments.rendered:
    folder = pathlib.Path(arguments.cache or temporary, "rendered")
    render(folder, arguments.rendered)
    folders.append(str(folder))
  settings = mining.MiningSettings(
    width=arguments.width, motion_rate=arguments.motion_rate
  )
  found = [video for folder in folders for video in videos.find_videos(folder)]
  errors.require(
    len(found) >= 2,
    f"{len(found)} video: expected at least 2, because every result is for a"
    " video that is left out; add --videos or --rendered",
  )
  return [
    Film(video, arguments.encoder, arguments.cache, settings, variant)
    for video in found
  ]


def render(folder: pathlib.Path, count: int) -> None:
  """Renders videos with true boxes, unless they are there."""
  (folder / "boxes").mkdir(parents=True, exist_ok=True)
  for number in range(count):
    if not (folder / files.video_names(number)[1]).exists():
      for _ in files.write_video(
        folder,
        number,
        number,
        seed=_SEED,
        num_frames=round(_RENDERED_SECONDS * _RENDERED_RATE),
        image_size=_RENDERED_SIZE,
        fps=_RENDERED_RATE,
      ):
        pass


class Film:
  """One video with its ground-truth boxes, and what was observed in it.

  Attributes:
    name: file name of the video.
    rate: sampling rate, frames per second.
    truth: ground-truth box by sampled frame, pixels of the frames of tracking.
    num_frames: number of sampled frames.
  """

  def __init__(self, video, encoder, cache, settings, variant=""):
    self.name = video.name
    self._cache = None if cache is None else pathlib.Path(cache)
    self._key = f"{video.path} {encoder} {settings}{variant}"
    self._video = video
    self._settings = settings
    self.rate = self._settings.rate
    self._encoder = encoder
    self._frames = None
    self._made = {}
    self.truth, self.num_frames = self.observed("truth", self._read_truth)

  def describe(self):
    """Returns the function that describes regions."""
    if self._encoder is None:
      return region_features.Histograms()
    return encoder_features.EncoderFeatures(self._encoder)

  def observed(self, name: str, make: Callable[[], object]):
    """Returns the result of `make`, which is called once."""
    if name not in self._made:
      self._made[name] = self._cached(name, make)
    return self._made[name]

  def _cached(self, name, make):
    """Returns the result of `make`, from the cache if it is there."""
    path = None
    if self._cache is not None:
      digest = hashlib.sha1(f"{self._key} {name}".encode()).hexdigest()[:12]
      path = self._cache / f"{pathlib.Path(self.name).stem}-{digest}.pickle"
      if path.exists():
        return pickle.loads(path.read_bytes())
    result = make()
    if path is not None:
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(pickle.dumps(result))
    return result

  def frames(self):
    """Returns the sampled frames at the size of tracking, and those between."""
    if self._frames is None:
      images, between, numbers = [], [], []
      for frame, is_sampled in mining.with_between(
        lambda every_seconds: decode.iterate_frames(
          self._video, every_seconds=every_seconds
        ),
        rate=self.rate,
        settings=self._settings,
      ):
        small = mining.small(frame.image, self._settings)
        if is_sampled:
          images.append(small)
          between.append([])
          numbers.append((frame.number, frame.image.shape[1] / small.shape[1]))
        else:
          between[-1].append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
      self._frames = images, between, numbers
    return self._frames

  def _read_truth(self):
    images, _, numbers = self.frames()
    truth = true_boxes(pathlib.Path(self._video.path), numbers[0][1])
    rows = {
      row: truth[number]
      for row, (number, _) in enumerate(numbers)
      if number in truth
    }
    return rows, len(images)

  def key_frames(self):
    """Returns (first frame, key frames) of each shot, and the CPU seconds."""

    def make():
      images, between, _ = self.frames()
      searching = 0.0

      def propose(image):
        nonlocal searching
        began = time.process_time()
        found = region_proposals.several_searches(image)
        searching += time.process_time() - began
        return found

      describe = self.describe()
      began = time.process_time()
      found = [
        (
          first,
          region_tracks.observe(
            images[first:end],
            between[first:end],
            rate=self.rate,
            describe=describe,
            propose=propose,
            settings=tracker.Settings(),
          ),
        )
        for first, end in shots.find(images)
      ]
      return found, (searching, time.process_time() - began)

    return self.observed("chain", make)

  def matched(self, matcher: str, flow: bool) -> list[tracker.Track]:
    """Returns all tracks of another matcher."""
    return self.observed(
      f"{matcher} {flow}",
      lambda: tracker.track(
        self.frames()[0],
        rate=self.rate,
        describe=self.describe(),
        settings=tracker.Settings(matcher=matcher, flow_prior=flow),
      ),
    )

  def quality(self, tracks: Sequence[tracker.Track]) -> np.ndarray:
    """Returns [3, 3]: precision (NaN without pairs), recall, pairs."""
    result = []
    for seconds in SECONDS:
      one = self.pairs(tracks, seconds)
      result.append([one.precision, one.recall, one.pairs])
    return np.array(result)

  def pairs(self, tracks, seconds: float) -> track_quality.PairQuality:
    """Returns the counts of pairs at a distance in seconds."""
    return track_quality.pair_quality(
      tracks,
      self.truth,
      lag=round(seconds * self.rate),
      num_frames=self.num_frames,
    )

  def still(self) -> np.ndarray:
    """Returns [3, 3]: how often a box that is not moved is still correct."""
    result = []
    for seconds in SECONDS:
      lag = round(seconds * self.rate)
      pairs = [
        (box, self.truth[row + lag])
        for row, box in self.truth.items()
        if row + lag in self.truth
      ]
      right = [boxes.aligned_iou(*np.array(pair)) >= 0.5 for pair in pairs]
      share = np.mean(right) if right else float("nan")
      result.append([share, share, len(pairs)])
    return np.array(result)

  def measurements(self) -> tuple[str, ...]:
    """Returns the names of the measurements of a link."""
    return links.NAMES + (() if self._encoder is None else (links.LEARNED,))

  def examples(self):
    """Returns measurements [n, m] of links from the object, and [n] bool.

    A link counts if the region at one of its ends is on the object (IoU of at
    least 0.5); it is right if both are.
    """
    columns = len(self.measurements())
    tables, right = [np.zeros([0, columns])], [np.zeros(0, bool)]
    for first, observed in self.key_frames()[0]:
      for pair in zip(observed, observed[1:], strict=False):
        truth = [self.truth.get(first + one.time) for one in pair]
        if None in truth:
          continue
        on_a, on_b = (
          boxes.iou(one.boxes, np.array([box]))[:, 0] >= 0.5
          for one, box in zip(pair, truth, strict=True)
        )
        table, is_possible = links.measure(*pair)
        counted = is_possible & (on_a[:, None] | on_b[None])
        tables.append(table[counted])
        right.append((on_a[:, None] & on_b[None])[counted])
    return np.concatenate(tables), np.concatenate(right)

  def chains(self, model, min_link) -> list[tracker.Track]:
    """Returns all tracks of the matcher `chain`, with raw scores."""
    return [
      track._replace(start=track.start + first)
      for first, observed in self.key_frames()[0]
      for track in chains.find(
        observed,
        rate=self.rate,
        model=model,
        min_link=min_link,
        certainty=_RAW,
      )
    ]

  def best(self, tracks) -> list[tracker.Track]:
    """Returns the best tracks of the matcher `chain`."""
    return chains.best(tracks, limit=self._settings.tracks_per_stretch)


def true_boxes(video: pathlib.Path, scale: float) -> dict[int, list[float]]:
  """Returns xmin, ymin, xmax, ymax by frame, divided by the scale.

  Of several tracks, the one with the largest sum of areas is returned.

  Raises:
    UsageError: the video has no file of boxes.
  """
  found = {}
  path = video.parent / "boxes" / f"{video.stem}.csv"
  errors.require(
    path.is_file(), f"{video}: its boxes are missing; expected {path}"
  )
  with open(path) as file:
    for row in csv.DictReader(file):
      if row["xmin"]:
        found.setdefault(row.get("track"), {})[int(row["frame"])] = [
          float(row[side]) / scale for side in ("xmin", "ymin", "xmax", "ymax")
        ]
  areas = {
    track: boxes.area(np.array([*by_frame.values()])).sum()
    for track, by_frame in found.items()
  }
  return found[max(areas, key=areas.get)] if found else {}
