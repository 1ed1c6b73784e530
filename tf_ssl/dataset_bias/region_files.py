"""Regions that were found in images, kept for when the work is gone on with."""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl.ops import workdir


class Regions(NamedTuple):
  """The regions of one image.

  Attributes:
    size: [2] int, height and width of the image in pixels; zeros where it could
      not be read.
    boxes: [R, 4] pixels, xmin, ymin, xmax, ymax.
    features: [R, F] float32, what they look like.
    problem: why the image could not be read; empty where it could.
  """

  size: np.ndarray
  boxes: np.ndarray
  features: np.ndarray
  problem: str = ""


class RegionFiles:
  """Files of a folder, each with the regions of some images.

  What was found for other images, or in another way, is not seen.
  """

  def __init__(self, folder: str, key: dict[str, Any]):
    """Opens the files.

    Args:
      folder: where they lie; made if it is not there.
      key: all that decides what is found; JSON values.
    """
    text = json.dumps(key, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()[:12]
    self._folder = os.path.join(folder, name)
    os.makedirs(self._folder, exist_ok=True)

  def read(self, number: int) -> list[Regions] | None:
    """The regions of file `number`; None where there is none, or a bad one."""
    try:
      with np.load(self._path(number), allow_pickle=False) as data:
        sizes, counts, boxes, features, problems = (
          data[name] for name in _ARRAYS
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
      return None
    ends = np.cumsum(counts)[:-1]
    return [
      Regions(*columns[:-1], str(columns[-1]))
      for columns in zip(
        sizes,
        np.split(boxes, ends),
        np.split(features, ends),
        problems,
        strict=True,
      )
    ]

  def write(self, number: int, found: Sequence[Regions]) -> None:
    """Writes the regions of some images as a whole."""
    columns = (
      [regions.size for regions in found],
      [len(regions.boxes) for regions in found],
      np.concatenate([regions.boxes for regions in found]),
      np.concatenate([regions.features for regions in found]),
      [regions.problem for regions in found],
    )
    with (
      workdir.replacing_file(self._path(number)) as path,
      open(path, "wb") as file,
    ):
      np.savez(file, **dict(zip(_ARRAYS, columns, strict=True)))

  def _path(self, number: int) -> str:
    return os.path.join(self._folder, f"{number:06d}.npz")


_ARRAYS = ("sizes", "counts", "boxes", "features", "problems")
