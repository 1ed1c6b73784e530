"""Sets of images as files, for programs that compute features themselves."""

import csv
import math
import os
import re
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.invariance import measurement, own_pictures
from tf_ssl.ops import workdir

_ARGUMENT = "output"


def prefix(label: str) -> str:
  """Folder of a list of sets: its label without special characters."""
  return re.sub(r"[^-0-9A-Za-z]", "_", label)


def background_prefix(number: int) -> str:
  """Folder of the images of backgrounds alone that some lists share."""
  return f"backgrounds-{number:02d}"


def image_name(folder: str, index: int) -> str:
  """Name of an image: its folder, and its number in the list of sets."""
  return f"{folder}/{index:06d}.png"


def write(
  settings: measurement.Measurement,
  output: str,
  *,
  say: Callable[[str], None] = lambda line: None,
) -> None:
  """Writes the images of all sets as they would be measured.

  The folder has LABEL/000000.png, square images of the size of the measurement,
  and for each list of sets LABEL.csv, a manifest that `sets_manifest` reads.

  Args:
    settings: sets, and the size of images.
    output: path of the folder, which must be empty or missing.
    say: takes a line about each list of sets.

  Raises:
    UsageError: the folder is not empty or cannot be written.
  """
  errors.require(
    not os.path.exists(output)
    or (os.path.isdir(output) and not os.listdir(output)),
    f"{_ARGUMENT}={output!r} is there already; expected an empty or new "
    f"folder; change {_ARGUMENT}",
  )
  if settings.pictures is not None:
    with workdir.writable(output, f"--{_ARGUMENT}"):
      _write_pictures(settings, output, say)
    return
  backgrounds: dict[tuple[str, int], str] = {}
  with workdir.writable(output, f"--{_ARGUMENT}"):
    for label, data in zip(settings.labels, settings.sets, strict=True):
      size = settings.image_size or data.image_size
      folder = prefix(label)
      written = _write_images(data.images, output, folder, size)
      names = {i: image_name(folder, i) for i in written}
      _write_manifest(data, output, folder, names)
      say(f"{folder}: {len(written)} images of {size}x{size} px")
      if data.backgrounds is not None:
        key = (data.backgrounds.root, size)
        if key not in backgrounds:
          backgrounds[key] = background_prefix(len(backgrounds))
          _write_images(data.backgrounds, output, backgrounds[key], size)
          say(f"{backgrounds[key]}: images without objects")


def _write_manifest(
  data: invariance_sets.InvarianceSets,
  output: str,
  folder: str,
  names: Mapping[int, str],
) -> None:
  """Writes FOLDER.csv with the images of `names`, by their numbers."""
  path = os.path.join(output, f"{folder}.csv")
  with open(path, "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["path", "set", "class", "value"])
    for i, name in names.items():
      value = data.factor[i]
      rows.writerow(
        [
          name,
          data.set_names[data.sets[i]],
          data.class_names[data.classes[i]],
          "" if math.isnan(value) else repr(float(value)),
        ]
      )


def _write_pictures(
  settings: measurement.Measurement,
  output: str,
  say: Callable[[str], None],
) -> None:
  """Writes all versions of the user's own pictures, one folder for all sets."""
  own, folder = settings.pictures, own_pictures.FOLDER
  versions, count = own.versions(), own.num_versions
  os.makedirs(os.path.join(output, folder))
  written = []
  for batch in numbered_images.numbered_images(
    own.records, image_size=versions.side, batch_size=16, framing="square"
  ):
    numbers = batch.index.numpy().tolist()
    for picture, pixels in zip(numbers, batch.image.numpy(), strict=True):
      for v, version in enumerate(versions.make(pixels, picture)):
        name = image_name(folder, picture * count + v)
        Image.fromarray(version).save(os.path.join(output, name))
      written.append(picture)
  for number, data in enumerate(settings.sets):
    columns = own.columns(number)
    _write_manifest(
      data,
      output,
      prefix(data.invariance),
      {
        picture * len(columns) + level: image_name(folder, picture * count + v)
        for picture in written
        for level, v in enumerate(columns.tolist())
      },
    )
  say(
    f"{folder}: {count} versions of {len(written)} pictures, "
    f"{own.image_size}x{own.image_size} px"
  )


def _write_images(
  images: records_lib.ImageRecords, output: str, folder: str, size: int
) -> list[int]:
  """Writes images; returns the numbers of those that can be read."""
  os.makedirs(os.path.join(output, folder))
  written = []
  for batch in numbered_images.numbered_images(
    images, image_size=size, batch_size=64, framing="whole"
  ):
    numbers = batch.index.numpy().tolist()
    for i, pixels in zip(numbers, batch.image.numpy(), strict=True):
      Image.fromarray(np.asarray(pixels)).save(
        os.path.join(output, image_name(folder, i))
      )
      written.append(i)
  return written
