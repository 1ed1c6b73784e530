"""Pictures of a report: example sets, and images that fire a unit."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.input_pipeline import thumbnails
from tf_ssl.invariance import measurement, own_pictures, tables
from tf_ssl.ops import jpeg
from tf_ssl.reporting import charts

_SIDE = 72  # Side of a thumbnail in pixels.
_SETS = 3  # Example sets of a list.
_IMAGES = 8  # Images in a row.
_UNITS = 3  # Units of a model.
_QUALITY = 85  # Of JPEG.


class Row(NamedTuple):
  """Images to show side by side.

  Attributes:
    caption: text below the images.
    rows: [n] int, rows of the features whose images are shown.
  """

  caption: str
  rows: np.ndarray


def of_sets(result: measurement.SetsResult) -> list[Row]:
  """A few sets, spread over the classes; images in the order of the factor."""
  measured = result.models[next(iter(result.models))].score.sets
  # Equal distances in the order of classes give the most classes.
  by_class = measured.ids[np.argsort(measured.set_classes, kind="stable")]
  places = np.linspace(0, len(by_class) - 1, min(_SETS, len(by_class)))
  sets, factor = result.data.sets[result.index], result.data.factor
  rows = []
  for number in by_class[places.round().astype(int)]:
    members = np.flatnonzero(sets == number)
    values = factor[result.index[members]]
    if result.data.levels is None:  # Versions are in order of strength.
      members = members[np.argsort(values, kind="stable")]
    spread = np.linspace(
      0, len(members) - 1, min(_IMAGES, len(members))
    ).round()
    rows.append(Row(result.data.set_names[number], members[spread.astype(int)]))
  return rows


def of_units(result: measurement.SetsResult, model: str) -> list[Row]:
  """The most invariant units of a model with the images that fire them most.

  At most one unit per class.
  """
  score = result.models[model].score
  fired, features = score.firing, result.features[model]
  rows, classes = [], set()
  for unit in tables.most_invariant_units(result.models[model]):
    best = int(score.unit_invariance[:, unit].argmax())
    if best in classes:
      continue
    classes.add(best)
    of_class = score.sets.set_classes == best
    values = np.asarray(features[:, unit])
    # Sign with which the unit fires for that class.
    low = (
      fired.below[0, of_class, unit].sum()
      > fired.above[0, of_class, unit].sum()
    )
    order = np.argsort(values if low else -values, kind="stable")
    percent = score.unit_invariance[best, unit]
    name = result.data.class_names[score.sets.classes[best]]
    sign = "low values" if low else "high values"
    rows.append(
      Row(
        f"unit {unit}: {percent:.0f} % for {name}, fires at {sign}",
        order[:_IMAGES],
      )
    )
    if len(rows) == _UNITS:
      break
  return rows


def strips(
  result: measurement.SetsResult,
  rows: Sequence[Row],
  *,
  own: own_pictures.OwnPictures | None = None,
) -> list[tuple[str, str]]:
  """Draws the rows.

  Args:
    result: results on the list of sets that the images are of.
    rows: images to draw.
    own: the user's own pictures, if the images are versions of them.

  Returns:
    The caption and a JPEG data URI of each row.
  """
  wanted = np.unique(np.concatenate([row.rows for row in rows]))
  numbers = result.index[wanted]
  if own is None:
    small = thumbnails.thumbnails(result.data.images, numbers, side=_SIDE)
  else:
    small = own.thumbnails(result.data, numbers, side=_SIDE)
  place = {int(index): i for i, index in enumerate(wanted)}
  found = []
  for row in rows:
    pictures = [small[place[int(index)]] for index in row.rows]
    picture = jpeg.encode(charts.side_by_side(pictures), quality=_QUALITY)
    found.append((row.caption, charts.data_uri(picture, "image/jpeg")))
  return found
