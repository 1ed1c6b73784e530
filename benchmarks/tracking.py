"""Measures quality and speed of region tracks, with ground-truth boxes.

    python -m benchmarks.tracking --videos=davis2016 --videos=otb --cache=/tmp/t

A folder contains NAME.mp4 and boxes/NAME.csv with the ground-truth box of one
object per frame: columns frame, xmin, ymin, xmax, ymax (pixels, the maximum
exclusive), blank if the object is absent. A file with the tracks of several
objects has a column track; the largest object counts. --rendered adds videos of
several objects that turn and move under a moving camera.

Every number is for a video that was left out: the weights of the links, the
minimum probability of a link and the calibration of the score (matcher
`chain`), or the minimum agreement (the other matchers), are chosen on the other
videos. The minima are those with the highest harmonic mean of precision and
recall at 1 s over the other videos, each tracked with weights fitted without
it. Settings that are no option here are the defaults.

Prints pair precision and recall (`track_quality`) at 0.5, 1 and 2 seconds as
means over videos with 95 % intervals: "precision" counts 0 for a video without
a pair; "of N" is the mean over the N videos with pairs. For `chain` also each
video at 1 s, the result without each measurement of a link (--ablate), and how
the score compares with the measured precision. --fit prints the constants of
`chains`, fitted to all videos. With --encoder, regions are described by its map
C4; for `chain` in addition to the histograms. --cache keeps what was observed
in a folder between runs; delete it after a change of the code.
"""

import argparse
import csv
import hashlib
import pathlib
import pickle
import tempfile
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from scipy import special

from tf_ssl.features import encoder_regions as encoder_features
from tf_ssl.ops import boxes
from tf_ssl.rendering import files
from tf_ssl.reporting import statistics
from tf_ssl.video.decoding import decode
from tf_ssl.video.mining import mining
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import (
  chains,
  links,
  matching,
  region_features,
  region_proposals,
  region_tracks,
  shots,
  track_quality,
  track_scores,
  tracker,
)

SECONDS = (0.5, 1.0, 2.0)
MIN_AGREEMENTS = (0.2, 0.3, 0.4, 0.5)
# Of rendered videos: size in pixels, length, frames per second, world.
_RENDERED_SIZE = (136, 240)
_RENDERED_SECONDS = 3.0
_RENDERED_RATE = 16.0
_SEED = 20
_RAW = (1.0, 0.0)  # A score that is not calibrated.


def main() -> None:
  """Measures and prints the tables."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--videos", action="append", default=[])
  parser.add_argument("--rendered", type=int, default=0)
  parser.add_argument("--matchers", nargs="*", default=["chain", "greedy"])
  parser.add_argument("--encoder", help="SavedModel that describes regions")
  parser.add_argument("--cache", help="folder for what was observed")
  parser.add_argument("--width", type=int, default=480)
  parser.add_argument("--motion_rate", type=float, default=16.0)
  parser.add_argument("--fit", action="store_true")
  parser.add_argument("--ablate", action="store_true")
  parser.add_argument(
    "--min_links",
    nargs="*",
    type=float,
    default=[0.05, 0.1, 0.15, 0.2, 0.3],
    help="minimum probabilities of a link to choose from, ascending",
  )
  arguments = parser.parse_args()
  if not arguments.videos and not arguments.rendered:
    parser.error("--videos or --rendered is needed")
  cv2.setNumThreads(1)
  with tempfile.TemporaryDirectory() as temporary:
    if arguments.rendered:
      folder = pathlib.Path(arguments.cache or temporary, "rendered")
      render(folder, arguments.rendered)
      arguments.videos.append(str(folder))
    _measure(arguments)


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


def _measure(arguments) -> None:
  films = [
    _Film(
      video,
      arguments.encoder,
      arguments.cache,
      mining.MiningSettings(
        width=arguments.width, motion_rate=arguments.motion_rate
      ),
    )
    for folder in arguments.videos
    for video in videos.find_videos(folder)
  ]
  print(f"{'box not moved':14} {_means([film.still() for film in films])}")
  for matcher in arguments.matchers:
    if matcher == region_tracks.CHAIN:
      _chains(films, arguments.min_links, arguments.fit, arguments.ablate)
    else:
      for flow in (False, True) if matcher in matching.NAMES else ():
        _matched(films, matcher, flow)
  if region_tracks.CHAIN in arguments.matchers:
    _speed(films)


class _Film:
  """One video with its ground-truth boxes."""

  def __init__(self, video, encoder, cache, settings):
    self.name = video.name
    self._cache = None if cache is None else pathlib.Path(cache)
    self._key = f"{video.path} {encoder} {settings}"
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
  """
  found = {}
  with open(video.parent / "boxes" / f"{video.stem}.csv") as file:
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


def _matched(films, matcher: str, flow: bool) -> None:
  """Prints a row for a matcher of `tracker`."""
  rows = np.array(
    [
      [
        film.quality(track_scores.best(tracks, min_agreement=least))
        for least in MIN_AGREEMENTS
      ]
      for film in films
      for tracks in [film.matched(matcher, flow)]
    ]
  )
  chosen = [_choice(rows, place) for place in range(len(films))]
  label = f"{matcher}{', flow' if flow else ''}"
  rows = [row[option] for row, option in zip(rows, chosen, strict=True)]
  print(f"{label:14} {_means(rows)}", flush=True)
  _per_video(films, rows)


def _chains(films, min_links, with_fit: bool, ablate: bool) -> None:
  """Prints the tables of the matcher `chain`."""
  examples = [film.examples() for film in films]
  models = [
    _fitted([e for k, e in enumerate(examples) if k != place])
    for place in range(len(films))
  ]
  found = [
    [film.best(film.chains(model, least)) for least in min_links]
    for film, model in zip(films, models, strict=True)
  ]
  rows = np.array(
    [
      [film.quality(tracks) for tracks in options]
      for film, options in zip(films, found, strict=True)
    ]
  )
  for option, least in enumerate(min_links):
    print(f"link >= {least:<6} {_means(rows[:, option])}")
  counts = [
    [_counts(film, tracks) for tracks in options]
    for film, options in zip(films, found, strict=True)
  ]
  widest = [one[0] for one in counts]  # With tracks of all scores.
  scored, tested = [], []
  for place in range(len(films)):
    option = _choice(rows, place)
    scale, offset = _calibrated(
      [one for k, one in enumerate(widest) if k != place]
    )
    scored.append(
      [
        (special.expit(scale * logit + offset), one)
        for logit, one in counts[place][option]
      ]
    )
    tested.append(rows[place, option])
  print(f"{'chain':14} {_means(tested)}")
  _per_video(films, tested)
  _calibration(scored)
  if ablate:
    _ablate(films, examples)
  if with_fit:
    model = _fitted(examples)
    option = _choice(rows, None)
    weights = ", ".join(f"{weight:.3f}" for weight in model.weights)
    scale, offset = _calibrated(widest)
    print(f"MODEL = links.Model(({weights}), {model.bias:.3f})")
    print(
      f"MIN_LINK = {min_links[option]}\nCERTAINTY = ({scale:.3f}, {offset:.3f})"
    )


def _fitted(examples) -> links.Model:
  """Fits the model of links; every video has the same weight."""
  weights = [
    np.full(len(right), 1 / max(len(right), 1)) for _, right in examples
  ]
  return links.fit(
    np.concatenate([table for table, _ in examples]),
    np.concatenate([right for _, right in examples]),
    np.concatenate(weights),
  )


def _counts(film, tracks):
  """Returns (raw logit, counts of pairs at 1 s) of each track."""
  return [
    (
      float(special.logit(np.clip(track.score, 1e-9, 1 - 1e-9))),
      film.pairs([track], 1.0),
    )
    for track in tracks
  ]


def _calibrated(counts) -> tuple[float, float]:
  """Fits the logit of a pair's precision at 1 s to the raw logit of a track.

  Args:
    counts: `_counts` of each video; every video has the same weight.
  """
  values, right, weights = [], [], []
  for film in counts:
    total = sum(one.pairs for _, one in film)
    for logit, one in film:
      if one.pairs:
        values += [logit] * 2
        right += [True, False]
        weights += [one.correct / total, (one.pairs - one.correct) / total]
  model = links.fit(
    np.array(values)[:, None], np.array(right), np.array(weights)
  )
  return model.weights[0], model.bias


def _choice(rows: np.ndarray, left_out: int | None) -> int:
  """Returns the option with the best mean of the videos but one.

  Args:
    rows: [V, O, 3, 3], qualities of the videos with each option.
    left_out: the video that does not count; None for none.
  """
  others = np.arange(len(rows)) != (-1 if left_out is None else left_out)
  at_1 = np.nan_to_num(rows[others, :, 1, :2]).mean(0)  # [O, 2]
  return int((at_1.prod(1) / np.maximum(at_1.sum(1), 1e-9)).argmax())


def _means(rows) -> str:
  table = np.array(rows)
  parts = []
  for k, seconds in enumerate(SECONDS):
    precision, recall = table[:, k, 0], np.nan_to_num(table[:, k, 1])
    known = precision[~np.isnan(precision)]
    parts.append(
      f"{seconds:g} s: precision {_interval(np.nan_to_num(precision))},"
      f" {known.mean() if len(known) else 0:.2f} of {len(known)},"
      f" recall {_interval(recall)}"
    )
  return " | ".join(parts)


def _interval(values: np.ndarray) -> str:
  one = statistics.mean_interval(values)
  if one.low is None:
    return f"{one.mean:.2f}"
  half = one.high - one.mean
  return f"{one.mean:.2f} ± {half:.2f}"


def _per_video(films, rows) -> None:
  for film, row in zip(films, rows, strict=True):
    precision, recall, pairs = row[1]
    shown = "none" if np.isnan(precision) else f"{precision:.2f}"
    print(
      f"  {film.name:24} 1 s: precision {shown}, recall {recall:.2f}"
      f" ({pairs:.0f} pairs)",
      flush=True,
    )


def _calibration(scored) -> None:
  """Prints the measured precision of tracks by their score."""
  edges = (0.0, 0.5, 0.6, 0.7, 0.8, 1.0)
  for low, high in zip(edges, edges[1:], strict=False):
    pairs = [
      (score, one)
      for film in scored
      for score, one in film
      if low <= score < high and one.pairs
    ]
    count = sum(one.pairs for _, one in pairs)
    if count:
      said = sum(score * one.pairs for score, one in pairs) / count
      right = sum(one.correct for _, one in pairs) / count
      print(
        f"  score {low:.1f} to {high:.1f}: mean {said:.2f}, measured precision"
        f" {right:.2f} ({count} pairs, {len(pairs)} tracks)"
      )


def _ablate(films, examples) -> None:
  """Prints the result of videos left out, without each measurement.

  The minimum probability of a link is the default in all rows.
  """
  names = films[0].measurements()
  for column in (None, *range(len(names))):
    used = [
      (table if column is None else np.delete(table, column, 1), right)
      for table, right in examples
    ]
    losses, rows = [], []
    for place, (film, (table, right)) in enumerate(
      zip(films, used, strict=True)
    ):
      model = _fitted([e for k, e in enumerate(used) if k != place])
      if len(right):
        logit = table @ np.array(model.weights) + model.bias
        signed = np.where(right, logit, -logit)
        losses.append(-special.log_expit(signed).mean())
      if column is not None:
        weights = np.insert(model.weights, column, 0.0)
        model = links.Model(tuple(weights.tolist()), model.bias)
      tracks = film.best(film.chains(model, chains.MIN_LINK))
      rows.append(film.quality(tracks))
    label = "all" if column is None else f"without {names[column]}"
    print(
      f"  {label:32} log loss {np.mean(losses):.3f} {_means(rows)}", flush=True
    )


def _speed(films) -> None:
  """Prints the CPU time of `chain`, of observation and of linking."""
  spent = [film.key_frames()[1] for film in films]
  count = sum(film.num_frames for film in films)
  searching, observing = 1000 * np.array(spent).sum(0) / count
  began = time.process_time()
  for film in films:
    film.best(film.chains(None, chains.MIN_LINK))
  linking = 1000 * (time.process_time() - began) / count
  total = observing + linking
  print(
    f"chain, ms of one core per frame: selective search {searching:.0f}, motion"
    f" and features {observing - searching:.0f}, linking {linking:.0f};"
    f" {1000 / total:.1f} frames/s, selective search {searching / total:.0%}"
  )


if __name__ == "__main__":
  main()
