"""Features of images as one .npz file or a folder of .npy files.

Both have M rows, those of the images that could be read, in order:

  features/NAME   [M, D] float32, one array per model
  names           [M] text, path of the image below the root (`os.fsencode`
                  gives its bytes), or its position in a shard
  index           [M] int64, ascending, position of the image among all images
  labels          [M] int32, class ids, -1 if unknown; absent without labels
  boxes           [M, 4] int32, region that was cropped, xmin ymin xmax ymax in
                  px, xmin = -1 for the full image; absent without boxes
  about           JSON text: models, preprocessing, size, class names, digest of
                  the images, and skipped images with reasons

In a folder each array is a .npy file, to be memory-mapped with
`numpy.load(path, mmap_mode="r")`, and `about.json` lists the files. NumPy alone
reads both formats.
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
from tf_ssl.models import image_model
from tf_ssl.ops import names, workdir

_ABOUT_FILE = "about.json"
_ARCHIVE = ".npz"
_PARTS = ".parts"  # Suffix of the folder with the parts of an archive.


class Written(NamedTuple):
  """The features that were written.

  Attributes:
    path: path of the archive or folder.
    num_images: number of images with features, M.
    widths: feature width D of each model by name.
    skipped: reasons by name, escaped, of the images that could not be read.
  """

  path: str
  num_images: int
  widths: Mapping[str, int]
  skipped: Mapping[str, str]


def open_source(
  source: str, *, require_labels: bool = False
) -> tuple[records_lib.ImageRecords, str]:
  """Finds images, with their labels if at least some have one.

  Args:
    source: images, in any form that `open_images.open_images` accepts.
    require_labels: whether a missing label is an error.

  Returns:
    The images, and the reason why labels are missing, or "".

  Raises:
    UsageError: an error of `open_images.open_images`.
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
  """Runs all models over all images, once, and writes the features.

  After a kill, the same call resumes and repeats at most a second of work. If
  all features are there already, it computes nothing.

  Args:
    models: models with different names.
    records: images.
    output: path FILE.npz, or path of a folder. The parts of an unfinished
      archive are in the folder FILE.npz.parts.
    image_size: side in px of the square that images are resized to.
    framing: "middle" or "whole"; see `numbered_images`.
    batch_size: number of images per batch and model.
    max_skipped_fraction: fraction of unreadable images above which the call
      fails.
    overwrite: whether features at `output` that were made from something else
      are replaced.
    command: command line to record in `about`.

  Raises:
    UsageError: an error of `store.extract`, or `output` was made from something
      else.
  """
  key = store.key_of(models, records, image_size, framing)
  key |= {"labels": _labels_digest(records)}
  is_archive = output.lower().endswith(_ARCHIVE)
  if is_archive:
    about = _about_of_archive(output)
    if about is not None and about.get("key") == json.loads(json.dumps(key)):
      return _written(output, about)
    errors.require(
      about is None or overwrite,
      f"the features in {output} were made from something else; change the "
      "output, or replace them with overwrite",
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
    "skipped": {names.escaped(k): v for k, v in features.skipped.items()},
  }
  arrays = _described(records, features.index)
  with workdir.writable(output, "the output"):
    if is_archive:
      stored = {f"features/{k}": v for k, v in features.by_model.items()}
      text = np.array(json.dumps(about, indent=2))
      with workdir.replacing_file(output) as path, open(path, "wb") as file:
        np.savez(file, **stored, **arrays, about=text)
      shutil.rmtree(folder)
    else:
      _add_to_folder(folder, models, arrays, about)
  return _written(output, about)


def read(path: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Reads the features that `write` wrote.

  Args:
    path: path of the archive or folder.

  Returns:
    The arrays by name, memory-mapped if `path` is a folder; and `about`.
  """
  if os.path.isdir(path):
    about = workdir.read_json(os.path.join(path, _ABOUT_FILE))
    return {
      name: np.load(os.path.join(path, file), mmap_mode="r")
      for name, file in about["files"].items()
    }, about
  with np.load(path, allow_pickle=False) as archive:
    arrays = {name: archive[name] for name in archive.files}
  return arrays, json.loads(str(arrays.pop("about")))


def _described(
  records: records_lib.ImageRecords, index: np.ndarray
) -> dict[str, np.ndarray]:
  """The arrays that describe the image of each row."""
  arrays = {
    "names": np.array([records.name(image) for image in index.tolist()]),
    "index": np.asarray(index),
  }
  for name, values in (("labels", records.labels), ("boxes", records.boxes)):
    if values is not None:
      arrays[name] = values[index]
  return arrays


def _add_to_folder(folder, models, arrays, about) -> None:
  """Adds the arrays that describe the images to a folder of features."""
  paths = store.paths_of(folder, models)
  names = ["index", *(f"features/{model.name}" for model in models)]
  places = {
    name: os.path.basename(path)
    for name, path in zip(names, paths, strict=True)
  }
  for name in ("names", "labels", "boxes"):
    place = os.path.join(folder, f"{name}.npy")
    if name not in arrays:  # A file of an earlier call.
      if os.path.exists(place):
        os.remove(place)
      continue
    places[name] = os.path.basename(place)
    with workdir.replacing_file(place) as path, open(path, "wb") as file:
      np.save(file, arrays[name])
  workdir.write_json(
    os.path.join(folder, _ABOUT_FILE), {"files": places, **about}
  )


def _about_of_archive(path: str) -> dict[str, Any] | None:
  """The description in an archive; None if there is no file.

  Raises:
    UsageError: the file is not an archive of features.
  """
  if not os.path.lexists(path):
    return None
  try:
    with np.load(path, allow_pickle=False) as archive:
      about = json.loads(str(archive["about"]))
      return about if isinstance(about, dict) else {}
  except Exception as error:  # NumPy raises many types for other files.
    raise errors.UsageError(
      f"{path} exists and is not a file of features; change the output"
    ) from error


def _written(path: str, about: Mapping[str, Any]) -> Written:
  return Written(path, about["num_rows"], about["widths"], about["skipped"])


def _labels_digest(records: records_lib.ImageRecords) -> str:
  labels = b"" if records.labels is None else records.labels.tobytes()
  names = json.dumps(records.class_names).encode()
  return hashlib.sha256(labels + names).hexdigest()
