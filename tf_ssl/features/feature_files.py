"""Features of images as files that NumPy alone reads: one .npz, or a folder.

Both hold the same M rows, those of the images that could be read, in the order
of the images:

  features/NAME   [M, D] float32, one array for each model
  names           [M] text: path of the image below the root, or its place in a
                  shard
  index           [M] int64, ascending: its number among all images
  labels          [M] int32, class ids, -1 where unknown; not there without any
  boxes           [M, 4] int32, the region that was cut out, xmin, ymin, xmax,
                  ymax in pixels, xmin = -1 for the whole image; not there
                  without any
  about           text, JSON: models, preprocessing, size, names of the classes,
                  digest of the images, and the images left out with reasons

In a folder each is a .npy file, to be mapped with
`numpy.load(path, mmap_mode="r")`, and `about.json` says which is which.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.features import store
from tf_ssl.features import store_state as state_lib
from tf_ssl.models import image_model
from tf_ssl.ops import workdir

ABOUT_FILE = "about.json"
_ARCHIVE = ".npz"
_PARTS = ".parts"  # a folder beside an archive, until that is written


class Written(NamedTuple):
  """What was written.

  Attributes:
    path: of the archive or folder.
    num_images: of which there are features, M.
    widths: from each model's name to D.
    skipped: from the names of images that could not be read to the reasons.
  """

  path: str
  num_images: int
  widths: Mapping[str, int]
  skipped: Mapping[str, str]


def open_source(
  source: str, *, require_labels: bool = False
) -> tuple[records_lib.ImageRecords, str]:
  """Finds images, with their labels where all or some have them.

  Args:
    source: as `open_images.open_images` takes it.
    require_labels: whether a missing label is an error.

  Returns:
    The images, and why labels are missing; empty where none are.

  Raises:
    UsageError: as `open_images.open_images`.
  """
  try:
    return open_images.open_images(
      source, labeled=True, named_by="--images"
    ), ""
  except errors.UsageError as error:
    if require_labels:
      raise
    return open_images.open_images(source, named_by="--images"), str(error)


def write(
  models: Sequence[image_model.ImageModel],
  records: records_lib.ImageRecords,
  output: str,
  *,
  image_size: int,
  framing: str = "middle",
  batch_size: int = 64,
  max_skipped_fraction: float = 0.05,
  overwrite: bool = False,
  command: str = "",
) -> Written:
  """Runs all models over all images, once, and writes what they give.

  Killed, the same call goes on: what is computed is on the disk a second later.
  Where all is there already, nothing is computed.

  Args:
    models: with different names.
    records: the images.
    output: FILE.npz, or a folder. Until an archive is written, what goes into
      it lies in the folder FILE.npz.parts.
    image_size: pixels a side that images are brought to.
    framing: "middle" or "whole"; see `numbered_images`.
    batch_size: images at once, of each model.
    max_skipped_fraction: the share of images above which those that cannot be
      read stop the work.
    overwrite: whether features of something else at `output` are replaced.
    command: with which it is called, for `about`.

  Returns:
    What was written.

  Raises:
    UsageError: as `store.extract`; or features of something else stand
      at `output`.
  """
  key = state_lib.key_of(models, records, image_size, framing)
  key |= {"labels": _labels_digest(records)}
  is_archive = output.lower().endswith(_ARCHIVE)
  if is_archive:
    about = _about_of_archive(output)
    if about is not None and about.get("key") == json.loads(json.dumps(key)):
      return _written(output, about)
    if about is not None and not overwrite:
      raise errors.UsageError(
        f"the features in {output} are of something else; choose another "
        "output, or replace them (overwrite)"
      )
  folder = output + _PARTS if is_archive else output
  features = store.extract(
    models,
    records,
    folder,
    image_size=image_size,
    framing=framing,
    batch_size=batch_size,
    max_skipped_fraction=max_skipped_fraction,
    replace_others=overwrite or is_archive,
  )
  about = {
    "key": key,
    "command": command,
    "root": records.root,
    "images": records_lib.digest(records),
    "class_names": list(records.class_names),
    "num_rows": len(features.index),
    "widths": {k: v.shape[1] for k, v in features.by_model.items()},
    "skipped": features.skipped,
  }
  arrays = _described(records, features.index)
  try:
    if is_archive:
      stored = {f"features/{k}": v for k, v in features.by_model.items()}
      with workdir.replacing_file(output) as path, open(path, "wb") as file:
        np.savez(
          file, **stored, **arrays, about=np.array(json.dumps(about, indent=2))
        )
      shutil.rmtree(folder)
    else:
      _write_beside(folder, models, arrays, about)
  except OSError as error:
    raise errors.UsageError(
      f"features cannot be written to {output}: {error.strerror or error}; "
      "choose a place on a disk with room that you may write to"
    ) from error
  return _written(output, about)


def _described(
  records: records_lib.ImageRecords, index: np.ndarray
) -> dict[str, np.ndarray]:
  """What is known about the image of each row."""
  arrays = {
    "names": np.array([records.name(image) for image in index.tolist()]),
    "index": np.asarray(index),
  }
  for name, values in (("labels", records.labels), ("boxes", records.boxes)):
    if values is not None:
      arrays[name] = values[index]
  return arrays


def _write_beside(folder, models, arrays, about) -> None:
  """Adds to a folder of features what is known about their images."""
  paths = state_lib.paths(folder, models)
  names = ["index", *(f"features/{model.name}" for model in models)]
  places = {
    name: os.path.basename(path)
    for name, path in zip(names, paths, strict=True)
  }
  for name in ("names", "labels", "boxes"):
    place = os.path.join(folder, f"{name}.npy")
    if name not in arrays:  # of an earlier call
      if os.path.exists(place):
        os.remove(place)
      continue
    places[name] = os.path.basename(place)
    with workdir.replacing_file(place) as path, open(path, "wb") as file:
      np.save(file, arrays[name])
  text = json.dumps({"files": places, **about}, indent=2)
  workdir.write_text(os.path.join(folder, ABOUT_FILE), text + "\n")


def _about_of_archive(path: str) -> dict[str, Any] | None:
  """What an archive says about itself; None where there is none.

  Raises:
    UsageError: something else stands there.
  """
  if not os.path.lexists(path):
    return None
  try:
    with np.load(path, allow_pickle=False) as archive:
      about = json.loads(str(archive["about"]))
      return about if isinstance(about, dict) else {}
  except Exception as error:  # whatever a file of another kind leads to
    raise errors.UsageError(
      f"{path} is there and is not a file of features; choose another output"
    ) from error


def _written(path: str, about: Mapping[str, Any]) -> Written:
  return Written(path, about["num_rows"], about["widths"], about["skipped"])


def _labels_digest(records: records_lib.ImageRecords) -> str:
  labels = b"" if records.labels is None else records.labels.tobytes()
  names = json.dumps(records.class_names).encode()
  return hashlib.sha256(labels + names).hexdigest()
