"""Rows of Open Images' files of boxes, parsed in blocks and checked."""

import csv
import io
import os
from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tf_ssl.ops import encodings, numerals, progress, spelling

_SIDES = ("XMin", "YMin", "XMax", "YMax")
_TEXTS = ("ImageID", "LabelName", "Confidence", "IsGroupOf")
COLUMNS = (
  *("ImageID", "LabelName", "Confidence"),
  *("XMin", "XMax", "YMin", "YMax", "IsGroupOf"),
)
_BEYOND = "a cell beyond the header"  # As where two rows share a line.
_FLAGS = (0, 1, -1)  # No, yes, unknown.
_BLOCK = 2**25  # Characters that are parsed at a time.
_MAX_HEADER = 2**16
# Boxes may leave their image, but by no more than its size: then the unit is
# pixels. A choice of this project.
_LEAST, _MOST = -1.0, 2.0


class Rows(NamedTuple):
  """M boxes of images in the folder.

  Attributes:
    lines: [M] int64, line of each box in the file.
    images: [M] int64, number of its image, see `Table.ids`.
    classes: [M] int64, number of its class, see `Table.classes`.
    fractions: [M, 4] float64, xmin, ymin, xmax, ymax, fractions of the image.
    crowd: [M] bool, whether it covers a group of objects.
  """

  lines: np.ndarray
  images: np.ndarray
  classes: np.ndarray
  fractions: np.ndarray
  crowd: np.ndarray


def header(file: str) -> list[str]:
  """Returns the names of a file's columns, without quotes.

  Args:
    file: path of any file.

  Raises:
    OSError: the file cannot be read.
  """
  with _open(file) as stream:
    line = stream.readline(_MAX_HEADER)
  return [cell.strip().strip('"') for cell in line.split(",")]


def blocks(file: str, columns: list[str]) -> Iterator[tuple[int, pd.DataFrame]]:
  """Yields the number of the first line, and the cells, of many lines.

  Args:
    file: path of the CSV file.
    columns: names of its columns, which include `COLUMNS`.

  Raises:
    OSError: the file cannot be read.
    ParserError: it is not CSV.
  """
  names = {str(columns.index(name)): name for name in _TEXTS + _SIDES}
  beyond = str(len(columns))
  names[beyond] = _BEYOND
  # Each block has a header: pandas refuses one that has only short lines.
  numbers = ",".join(map(str, range(len(columns) + 1)))
  size = os.path.getsize(file)
  with (
    _open(file) as stream,
    progress.bar(
      "Reading boxes",
      total=size,
      unit="B",
      unit_scale=True,
      disable=size <= 2 * _BLOCK,
    ) as bar,
  ):
    stream.readline()
    line = 2
    while text := stream.read(_BLOCK):
      text += stream.readline()
      block = pd.read_csv(
        io.StringIO("\n".join((numbers, text.replace('"', "")))),
        usecols=list(names),
        index_col=False,
        dtype={i: "category" for i in names if names[i] not in _SIDES},
        na_filter=False,
        quoting=csv.QUOTE_NONE,
        low_memory=False,  # One type per column.
        skip_blank_lines=False,
        float_precision="high",
      )
      yield line, block.rename(columns=names)
      line += text.count("\n")
      bar.update(len(text))


def _open(file: str) -> io.TextIOWrapper:
  return open(file, encoding=encodings.of(file), errors="replace")


class Table:
  """What the rows of a file say, block by block.

  Attributes:
    ids: number of each ImageID, in the order of the file.
    classes: number of each LabelName that a box has, in the order of the file.
    unusable: rows of images in the folder that are no boxes: the number of the
      image, None without ImageID; the reason; the line and what is wrong.
    absent: lines of rows, of images in the folder, of Confidence 0.
  """

  def __init__(self, present: Container[str]):
    """Starts without rows.

    Args:
      present: ids of the images in the folder.
    """
    self._present = present
    self._elsewhere: list[np.ndarray] = []
    self._rows: list[Rows] = []
    self.ids: dict[str, int] = {}
    self.classes: dict[str, int] = {}
    self.unusable: list[tuple[int | None, str, str]] = []
    self.absent: list[int] = []

  def add(self, first_line: int, block: pd.DataFrame) -> None:
    """Adds the rows of a block from `blocks`."""
    lines = first_line + np.arange(len(block))
    images = _numbers(block["ImageID"], self.ids)
    here = _of_each(block["ImageID"], lambda i: i in self._present, bool)
    self._elsewhere.append(images[~here & (images >= 0)].astype(np.int32))
    fractions = np.stack([_coordinates(block[s]) for s in _SIDES], axis=1)
    confidence = _of_each(block["Confidence"], numerals.number, float)
    group = _of_each(block["IsGroupOf"], numerals.number, float)
    damaged = {
      "ImageID": images < 0,
      "LabelName": ~_of_each(block["LabelName"], bool, bool),
      "Confidence": ~np.isfinite(confidence),
      **dict(zip(_SIDES, ~np.isfinite(fractions).T, strict=True)),
      "IsGroupOf": ~np.isin(group, _FLAGS),
      _BEYOND: _of_each(block[_BEYOND], bool, bool),
    }
    whole = ~np.any([*damaged.values()], axis=0)
    near = ((_LEAST <= fractions) & (fractions <= _MOST)).all(axis=1)
    self._tell_damaged(
      block,
      lines,
      images,
      damaged,
      np.flatnonzero(~whole & (here | (images < 0))),
    )
    for i in np.flatnonzero(whole & ~near & here).tolist():
      box = ",".join(f"{side:g}" for side in fractions[i])
      self.unusable.append(
        (
          int(images[i]),
          "a box that is not in fractions of its image",
          f"line {lines[i]} ({box})",
        )
      )
    shown = whole & near & (confidence > 0)
    self.absent += lines[whole & near & here & ~shown].tolist()
    classes = np.full(len(block), -1)
    classes[shown] = _numbers(block["LabelName"][shown], self.classes)
    kept = np.flatnonzero(shown & here)
    self._rows.append(
      Rows(
        lines[kept],
        images[kept],
        classes[kept],
        fractions[kept],
        group[kept] == 1,
      )
    )

  def _tell_damaged(
    self,
    block: pd.DataFrame,
    lines: np.ndarray,
    images: np.ndarray,
    damaged: dict[str, np.ndarray],
    rows: np.ndarray,
  ) -> None:
    """Notes the first damaged cell of each row; blank rows are passed over."""
    columns = list(damaged)
    first = np.argmax([damaged[name][rows] for name in columns], axis=0)
    cells = block.iloc[rows].astype(str)
    blank = (cells == "").all(axis=1).to_numpy()
    for i in np.flatnonzero(~blank).tolist():
      row, name = rows[i], columns[first[i]]
      self.unusable.append(
        (
          None if images[row] < 0 else int(images[row]),
          "a damaged row",
          f"line {lines[row]} ({name}: {cells[name].iat[i][:40]!r})",
        )
      )

  def elsewhere(self) -> np.ndarray:
    """Returns the number of the image of each row of an image elsewhere."""
    return np.concatenate([np.zeros(0, np.int32), *self._elsewhere])

  def rows(self) -> Rows:
    """Returns all boxes of images in the folder."""
    none = np.zeros(0, np.int64)
    empty = Rows(none, none, none, np.zeros((0, 4)), np.zeros(0, bool))
    columns = zip(empty, *self._rows, strict=True)
    return Rows(*map(np.concatenate, columns))


def _numbers(column: pd.Series, known: dict[str, int]) -> np.ndarray:
  """Numbers texts in the order in which they occur; -1 for empty ones.

  Args:
    column: [n] texts, as categories.
    known: numbers of earlier texts, which is extended.
  """
  codes = column.cat.codes.to_numpy()
  texts = [spelling.key(text.strip()) for text in column.cat.categories]
  numbers = np.full(len(texts), -1)
  for code in pd.unique(codes).tolist():
    if texts[code]:
      numbers[code] = known.setdefault(texts[code], len(known))
  return numbers[codes]


def _of_each(
  column: pd.Series, function: Callable[[str], Any], kind: type
) -> np.ndarray:
  """[n] values of a function of texts, called once for each; None is NaN."""
  texts = column.cat.categories
  values = [function(spelling.key(text.strip())) for text in texts]
  return np.array(values, kind)[column.cat.codes.to_numpy()]


def _coordinates(column: pd.Series) -> np.ndarray:
  """[n] float64: numbers, and NaN for anything else."""
  if column.dtype == bool:  # A column of True and False.
    return np.full(len(column), np.nan)
  return pd.to_numeric(column, errors="coerce").to_numpy(float)
