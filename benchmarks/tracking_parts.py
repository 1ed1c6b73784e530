"""Measures what each part of the tracker adds to the quality of its tracks.

    python -m benchmarks.tracking_parts --videos=davis2016 --videos=otb

For the videos of `tracking_films`, prints the row of `tracking` for the matcher
`chain` and its default minimum probability of a link: with all parts, without
each measurement of a link, and without each part of the tracker. In every row,
the weights of the links are fitted again, without the video that is left out.
The last column is the change of precision and recall at 1 s from all parts,
with 95 % intervals of the mean over videos (precision counts 0 for a video
without pairs).

--only measures some parts. With --cache, a part that was measured before takes
less time.
"""

import argparse
import contextlib
import functools
import tempfile
from collections.abc import Callable
from unittest import mock

import cv2
import numpy as np
from scipy import special

from benchmarks import script, tracking, tracking_films
from tf_ssl.video.tracking import (
  chains,
  key_frames,
  links,
  point_tracks,
  region_proposals,
  saliency,
)

MEASUREMENTS = "measurements"


def main(argv: list[str] | None = None) -> None:
  """Measures and prints the rows."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
    "--only",
    action="append",
    choices=[MEASUREMENTS, *PARTS],
    help="what to leave out; all of these by default",
  )
  arguments = tracking_films.parse(parser, argv)
  wanted = arguments.only or [MEASUREMENTS, *PARTS]
  with tempfile.TemporaryDirectory() as temporary:
    films = tracking_films.read(arguments, temporary)
    complete, line = _measure(films)
    print(f"{'all parts':46} {line}", flush=True)

    def show(label, rows, line):
      change = (rows - complete)[:, 1, :2].T
      change = ", ".join(tracking.interval(values) for values in change)
      print(f"{label:46} {line} | change at 1 s: {change}", flush=True)

    if MEASUREMENTS in wanted:
      for column, name in enumerate(films[0].measurements()):
        show(f"without measurement: {name}", *_measure(films, column))
    for part, leave_out in PARTS.items():
      if part in wanted:
        with leave_out():
          films = tracking_films.read(arguments, temporary, f" without {part}")
          show(f"without {part}", *_measure(films))


def _measure(films, column: int | None = None) -> tuple[np.ndarray, str]:
  """Measures the videos left out, without a measurement of a link.

  Args:
    films: the videos.
    column: the measurement; None for none.

  Returns:
    [V, 3, 3] `Film.quality` with precision 0 of a video without pairs, and a
    line of the means.
  """
  used = [
    (table if column is None else np.delete(table, column, 1), right)
    for table, right in (film.examples() for film in films)
  ]
  losses, rows = [], []
  for film, (table, right), model in zip(
    films, used, tracking.models_left_out(used), strict=True
  ):
    if len(right):
      logit = table @ np.array(model.weights) + model.bias
      signed = np.where(right, logit, -logit)
      losses.append(-special.log_expit(signed).mean())
    if column is not None:
      weights = np.insert(model.weights, column, 0.0)
      model = links.Model(tuple(weights.tolist()), model.bias)
    rows.append(film.quality(film.best(film.chains(model, chains.MIN_LINK))))
  loss = np.mean(losses) if losses else float("nan")
  line = f"log loss {loss:.3f} {tracking.means(rows)}"
  return np.nan_to_num(np.array(rows)), line


def _replaced(module, name: str, replacement):
  """Returns what makes a context in which a function is replaced."""
  return lambda: mock.patch.object(module, name, replacement)


def _no_boxes(*unused_args, **unused_kwargs) -> np.ndarray:
  return np.zeros([0, 4])


def _no_map(*unused_args, **unused_kwargs) -> tuple[None, None]:
  """A fit that found no motion of the background: it seems to stand still."""
  return None, None


def _not_moved(boxes, start, end, followed):
  """`point_tracks.moved` if nothing was known about the points."""
  del start, end, followed
  return boxes.copy(), np.zeros(len(boxes))


def _always_seen(first, second) -> np.ndarray:
  return np.ones([len(first.boxes), len(second.boxes)], bool)


# What leaves a part of the tracker out.
PARTS: dict[str, Callable[[], contextlib.AbstractContextManager]] = {
  "selective search": _replaced(
    region_proposals, "several_searches", _no_boxes
  ),
  "selective search at 240 and 120 px": _replaced(
    region_proposals, "several_searches", region_proposals.selective_search
  ),
  "salient regions": _replaced(saliency, "salient_regions", _no_boxes),
  "motion of the background": _replaced(cv2, "estimateAffine2D", _no_map),
  "carried regions": _replaced(
    key_frames, "observe", functools.partial(key_frames.observe, carried=0)
  ),
  "motion of points": _replaced(point_tracks, "moved", _not_moved),
  "an end behind occluders": _replaced(links, "is_seen", _always_seen),
}

if __name__ == "__main__":
  script.run("tracking_parts", main)
