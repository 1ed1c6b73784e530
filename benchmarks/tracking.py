"""Measures quality and speed of region tracks, with ground-truth boxes.

    python -m benchmarks.tracking --videos=davis2016 --videos=otb --cache=/tmp/t

A folder contains videos and their ground-truth boxes (`tracking_films`).
--rendered adds videos of several objects that turn and move under a moving
camera.

Every number is for a video that was left out: the weights of the links, the
minimum probability of a link and the calibration of the score (matcher
`chain`), or the minimum agreement (the other matchers), are chosen on the other
videos. The minima are those with the highest harmonic mean of precision and
recall at 1 s over the other videos, each tracked with weights fitted without
it. Settings that are no option here are the defaults.

Prints pair precision and recall (`track_quality`) at 0.5, 1 and 2 seconds as
means over videos with 95 % intervals: "precision" counts 0 for a video without
a pair; "of N" is the mean over the N videos with pairs. For `chain` also each
video at 1 s, and how the score compares with the measured precision. --fit
prints the constants of `chains`, fitted to all videos. With --encoder, regions
are described by its map C4; for `chain` in addition to the histograms. --cache
keeps what was observed in a folder between runs; delete it after a change of
the code. `tracking_parts` measures what each part of the tracker adds.
"""

import argparse
import tempfile
import time

import numpy as np
from scipy import special

from benchmarks import script, tracking_films
from tf_ssl.reporting import statistics
from tf_ssl.video.tracking import (
  chains,
  links,
  matching,
  region_tracks,
  track_scores,
)

MIN_AGREEMENTS = (0.2, 0.3, 0.4, 0.5)


def main() -> None:
  """Measures and prints the tables."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--matchers", nargs="*", default=["chain", "greedy"])
  parser.add_argument("--fit", action="store_true")
  parser.add_argument(
    "--min_links",
    nargs="*",
    type=float,
    default=[0.05, 0.1, 0.15, 0.2, 0.3],
    help="minimum probabilities of a link to choose from, ascending",
  )
  arguments = tracking_films.parse(parser)
  with tempfile.TemporaryDirectory() as temporary:
    films = tracking_films.read(arguments, temporary)
    print(f"{'box not moved':14} {means([film.still() for film in films])}")
    for matcher in arguments.matchers:
      if matcher == region_tracks.CHAIN:
        _chains(films, arguments.min_links, arguments.fit)
      else:
        for flow in (False, True) if matcher in matching.NAMES else ():
          _matched(films, matcher, flow)
    if region_tracks.CHAIN in arguments.matchers:
      _speed(films)


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
  print(f"{label:14} {means(rows)}", flush=True)
  _per_video(films, rows)


def _chains(films, min_links, with_fit: bool) -> None:
  """Prints the tables of the matcher `chain`."""
  examples = [film.examples() for film in films]
  models = models_left_out(examples)
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
    print(f"link >= {least:<6} {means(rows[:, option])}")
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
  print(f"{'chain':14} {means(tested)}")
  _per_video(films, tested)
  _calibration(scored)
  if with_fit:
    model = _fitted(examples)
    option = _choice(rows, None)
    weights = ", ".join(f"{weight:.3f}" for weight in model.weights)
    scale, offset = _calibrated(widest)
    print(f"MODEL = links.Model(({weights}), {model.bias:.3f})")
    print(
      f"MIN_LINK = {min_links[option]}\nCERTAINTY = ({scale:.3f}, {offset:.3f})"
    )


def models_left_out(examples) -> list[links.Model]:
  """Returns for each video the model of links fitted to all others.

  Args:
    examples: `Film.examples` of each video.
  """
  return [
    _fitted([one for k, one in enumerate(examples) if k != place])
    for place in range(len(examples))
  ]


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


def means(rows) -> str:
  """Returns a line with the means over videos of `Film.quality`."""
  table = np.array(rows)
  parts = []
  for k, seconds in enumerate(tracking_films.SECONDS):
    precision, recall = table[:, k, 0], np.nan_to_num(table[:, k, 1])
    known = precision[~np.isnan(precision)]
    parts.append(
      f"{seconds:g} s: precision {interval(np.nan_to_num(precision))},"
      f" {known.mean() if len(known) else 0:.2f} of {len(known)},"
      f" recall {interval(recall)}"
    )
  return " | ".join(parts)


def interval(values: np.ndarray) -> str:
  """Returns the mean with its 95 % interval."""
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
  script.run("tracking", main)
