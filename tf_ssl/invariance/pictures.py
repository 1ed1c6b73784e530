"""Which pictures a report shows: of sets, and of what fires a unit."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.invariance import measurement, tables

_SIDE = 72  # px of a small picture
_GAP = 3
_SETS = 3
_IN_A_ROW = 8
_UNITS = 3


class Row(NamedTuple):
  """Pictures side by side.

  Attributes:
    caption: what they are.
    rows: [n] int, which of the images, as rows of the features.
  """

  caption: str
  rows: np.ndarray


def of_sets(result: measurement.SetsResult) -> list[Row]:
  """A few sets, spread over the classes, in the order of the factor."""
  measured = result.models[next(iter(result.models))].score.sets
  # Of as many classes as can be: every set at equal distances in class order.
  by_class = measured.ids[np.argsort(measured.set_classes, kind="stable")]
  places = np.linspace(0, len(by_class) - 1, min(_SETS, len(by_class)))
  sets, factor = result.data.sets[result.index], result.data.factor
  rows = []
  for number in by_class[places.round().astype(int)]:
    members = np.flatnonzero(sets == number)
    values = factor[result.index[members]]
    members = members[np.argsort(values, kind="stable")]
    spread = np.linspace(
      0, len(members) - 1, min(_IN_A_ROW, len(members))
    ).round()
    rows.append(Row(result.data.set_names[number], members[spread.astype(int)]))
  return rows


def of_units(result: measurement.SetsResult, model: str) -> list[Row]:
  """A model's most invariant units, with the images that fire them most.

  Each of another class, as long as there are classes.
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
    # The sign with which it fires for that class.
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
        order[:_IN_A_ROW],
      )
    )
    if len(rows) == _UNITS:
      break
  return rows


def strips(
  result: measurement.SetsResult, rows: Sequence[Row]
) -> list[tuple[str, str]]:
  """Draws the rows.

  Returns:
    For each row its caption and the picture as a data: address.
  """
  wanted = np.unique(np.concatenate([row.rows for row in rows]))
  small = _load(result.data.images, result.index[wanted])
  place = {int(index): i for i, index in enumerate(wanted)}
  found = []
  for row in rows:
    pictures = [small[place[int(index)]] for index in row.rows]
    found.append((row.caption, _data_address(_side_by_side(pictures))))
  return found


def _load(
  records: records_lib.ImageRecords, which: np.ndarray
) -> list[np.ndarray]:
  """Images as the models saw them, but small: [side, side, 3] uint8 each.

  One after the other and without a graph, which takes longer to trace than so
  few images to decode.
  """
  source = loading.Source(records)
  pictures = []
  for index in which:
    location = loading.Location(
      *(column[0] for column in source.locate(tf.constant([index])))
    )
    try:
      image = decoding.decode(source.read(location))
      y, x, h, w = loading.regions(
        location.box[None], tf.shape(image)[None, :2]
      )[0].numpy()
      region = Image.fromarray(image.numpy()[y : y + h, x : x + w])
      pictures.append(np.asarray(region.resize([_SIDE, _SIDE])))
    except tf.errors.OpError:  # gone since its features were computed
      pictures.append(np.full([_SIDE, _SIDE, 3], 200, np.uint8))
  return pictures


def _side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
  gap = np.full([_SIDE, _GAP, 3], 255, np.uint8)
  parts = [part for picture in pictures for part in (picture, gap)]
  return np.concatenate(parts[:-1], axis=1)


def _data_address(image: np.ndarray) -> str:
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, format="JPEG", quality=85)
  return address(buffer.getvalue(), "image/jpeg")


def address(data: bytes, kind: str) -> str:
  """A picture inside the page itself."""
  return f"data:{kind};base64,{base64.b64encode(data).decode()}"
