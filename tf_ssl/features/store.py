"""Features of many images by several models, in one pass, on disk.

Images are streamed; only the list of images grows with their number. After a
kill, the same call resumes. The state file counts rows that are on disk, and
records everything that the features depend on, so that features of different
models or images are never mixed.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.features import growing_array
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor, image_model, inference, load
from tf_ssl.ops import progress, workdir

_SKIPPED_FILE = "features-skipped.tsv"
_STATE_FILE = "features-state.json"
_INDEX_FILE = "features-index.npy"
_LOCK_FILE = "features-lock"
_FILES = r"features-(state\.json|skipped\.tsv|.*\.npy)"  # Without the lock.
_ARGUMENT = "the output folder"
_SAVE_SECONDS = 1.0  # The most work that a kill loses.


class Versions(NamedTuple):
  """Several images that are made of each image, which is decoded once.

  Attributes:
    count: number of versions of an image, V.
    side: side in px of the square that the middle of an image is resized to,
      from which they are made.
    make: function from [side, side, 3] uint8 and the number of the image to its
      versions, [V, h, w, 3] uint8; called by several threads.
    key: text that identifies what `make` does.
  """

  count: int
  side: int
  make: Callable[[np.ndarray, int], np.ndarray]
  key: str


class Features(NamedTuple):
  """Features of M of N images, or of M of N * V versions.

  Attributes:
    by_model: features [M, D] float32 of each model by name, memory-mapped.
    index: [M] int64, ascending, positions of the rows' images in the records;
      of version v of image i, i * V + v.
    skipped: reasons by name of the images that could not be read; they have no
      row.
    images_per_second: speed of the extraction, reading included; None if all
      features were there.
  """

  by_model: dict[str, np.ndarray]
  index: np.ndarray
  skipped: dict[str, str]
  images_per_second: float | None = None


def extract(
  models: Sequence[image_model.ImageModel],
  records: records_lib.ImageRecords,
  folder: str,
  *,
  image_size: int,
  label: str = "",
  framing: str = "whole",
  batch_size: int = 64,
  max_skipped_fraction: float = 0.05,
  replace_others: bool = True,
  versions: Versions | None = None,
) -> Features:
  """Runs all models over all images, once.

  A second call with the same models, images and settings resumes, or returns
  the features on disk. Every image has a row or a reason.

  Args:
    models: models with different names.
    records: images; those with boxes are cropped first.
    folder: path of the folder to write; created if missing.
    image_size: side in px of the square that images are resized to. A model
      that requires another size resizes them again.
    label: name of the images next to the progress bar, or "".
    framing: "whole" or "middle"; see `numbered_images`.
    batch_size: number of images per batch and model.
    max_skipped_fraction: fraction of unreadable images above which the call
      fails.
    replace_others: whether features in the folder that were made from
      something else are replaced, with a warning, instead of an error.
    versions: makes several images of each, which form a batch; `framing` and
      `batch_size` do not apply then. None for the images as they are.

  Returns:
    The features, from the files `folder`/*.npy, which NumPy reads.

  Raises:
    UsageError: no image, two models with one name, NaN or infinite features,
      too many unreadable images, or a folder that cannot be written, is in use,
      or has features that were made from something else.
  """
  names = [model.name for model in models]
  load.check_names(names)
  errors.require(
    records.num_images, "the dataset has no images; expected at least one"
  )
  key = key_of(models, records, image_size, framing)
  if inference.precision():
    key["precision"] = inference.precision()
  if versions is not None:
    key |= {"versions": versions.key, "framing": "square"}
  count = 1 if versions is None else versions.count
  rate = None
  try:
    os.makedirs(folder, exist_ok=True)
    with workdir.locked(folder, _ARGUMENT, name=_LOCK_FILE):
      paths = paths_of(folder, models)
      state = _resume(folder, key, paths, replace_others)
      skipped = skipped_lib.SkippedFiles(
        os.path.join(folder, _SKIPPED_FILE),
        records.num_images,
        max_skipped_fraction,
      )
      if not state["finished"]:
        dataset = numbered_images.numbered_images(
          records,
          image_size=image_size if versions is None else versions.side,
          batch_size=batch_size if versions is None else 1,
          start=state["done"] // count,
          framing=key["framing"],
          skipped=skipped,
        )
        batches = _computed(models, records, dataset, skipped, versions)
        total = records.num_images * count
        rate = _run(models, batches, total, folder, state, label)
      index, *found = (np.load(path, mmap_mode="r") for path in paths)
      _name_the_missing(records, index // count, skipped)
      return Features(
        dict(zip(names, found, strict=True)), index, skipped.reasons, rate
      )
  except OSError as error:
    raise workdir.unwritable(folder, _ARGUMENT, error) from error


def paths_of(
  folder: str, models: Sequence[image_model.ImageModel]
) -> list[str]:
  """The paths of the indices and of each model's features."""
  names = [re.sub(r"[^-.0-9A-Za-z]", "_", model.name) for model in models]
  return [
    os.path.join(folder, name)
    for name in [
      _INDEX_FILE,
      *(f"features-{i}-{name}.npy" for i, name in enumerate(names)),
    ]
  ]


def key_of(
  models: Sequence[image_model.ImageModel],
  records: records_lib.ImageRecords,
  image_size: int,
  framing: str,
) -> dict[str, Any]:
  """Everything that features depend on, by name; arguments as in `extract`."""
  return {
    "models": [
      {
        k: v
        for k, v in model.description._asdict().items()
        if k not in ("path", "preprocessing_check", "layer_of")
      }
      for model in models
    ],
    "images": _digest(records),
    "image_size": image_size,
    "framing": framing,
  }


def _digest(records: records_lib.ImageRecords) -> str:
  """SHA-256 of the images' files and boxes, in their order."""
  sha256 = hashlib.sha256()
  for array in [
    records.files,
    records.sizes,
    records.boxes,
    *(records.shards or ()),
  ]:
    if isinstance(array, np.ndarray):
      sha256.update(f"{array.dtype}{array.shape}".encode())
      data = array.tobytes() if array.dtype != object else b"\0".join(array)
      sha256.update(data)
    else:
      sha256.update(f"{array}".encode())
  return sha256.hexdigest()


def _resume(
  folder: str, key: dict[str, Any], paths: list[str], replace_others: bool
) -> dict[str, Any]:
  """Reads the state, or starts a new one and removes other features."""
  key = json.loads(json.dumps(key))  # Tuples are lists in JSON.
  state_path = os.path.join(folder, _STATE_FILE)
  state = workdir.read_json(state_path)
  changed = []
  if isinstance(state, dict) and {"key", "done", "rows", "finished"} <= {
    *state
  }:
    before = state["key"]
    changed = [
      name for name in {**before, **key} if before.get(name) != key.get(name)
    ]
    if not all(map(os.path.exists, paths)):
      changed.append("files")
    if not changed:
      if not state["finished"]:
        logging.info("%s: resuming at image %d", folder, state["done"])
      return state
  elif os.path.exists(state_path):
    changed = [f"{_STATE_FILE} (not readable)"]
  if changed:
    message = (
      f"the features in {folder} were made from something else (different: "
      f"{', '.join(changed)})"
    )
    errors.require(
      replace_others,
      f"{message}; change {_ARGUMENT}, or replace them with overwrite",
    )
    logging.warning("%s; they are replaced", message)
  for name in os.listdir(folder):
    if re.fullmatch(_FILES, name):
      os.remove(os.path.join(folder, name))
  return {"key": key, "done": 0, "rows": 0, "finished": False}


def _run(models, batches, total, folder, state, label) -> float:
  """Appends the missing rows, and marks the folder as finished.

  Args:
    models: models of the features.
    batches: iterator of `_computed`.
    total: number of images, or of versions.
    folder: path of the folder.
    state: content of the state file, changed in place.
    label: name of the images, or "".

  Returns:
    Images per second.
  """
  state_path = os.path.join(folder, _STATE_FILE)
  arrays = _open(models, folder, state["rows"])
  started = saved = time.monotonic()
  first = state["done"]

  def save(**changes) -> None:
    for array in arrays:
      array.flush()
    state.update(rows=arrays[0].rows, **changes)
    workdir.write_json(state_path, state)

  with (
    contextlib.ExitStack() as stack,
    progress.bar(
      f"Features, {label}" if label else "Features",
      total=total,
      done=state["done"],
      unit="image",
    ) as bar,
  ):
    for array in arrays:
      stack.callback(array.close)
    done = state["done"]
    try:
      for index, found in batches:
        for array, rows in zip(arrays, [index, *found], strict=True):
          array.append(rows)
        bar.update(int(index[-1]) + 1 - done)
        done = int(index[-1]) + 1
        if time.monotonic() - saved > _SAVE_SECONDS:
          save(done=done)
          saved = time.monotonic()
    finally:  # Also after an interrupt.
      if len({array.rows for array in arrays}) == 1:
        save(done=done)
    errors.require(
      arrays[0].rows,
      f"none of the {total} images could be read; the reasons are in "
      f"{os.path.join(folder, _SKIPPED_FILE)}",
    )
    bar.update(total - done)
    for array in arrays:
      array.finish()
    state.update(done=total, finished=True)
    workdir.write_json(state_path, state)
  return (total - first) / max(time.monotonic() - started, 1e-9)


def _name_the_missing(
  records: records_lib.ImageRecords,
  index: np.ndarray,
  skipped: skipped_lib.SkippedFiles,
) -> None:
  """Finds the reasons of images without a row that a crash has lost.

  Args:
    records: records of the images.
    index: numbers of the images with a row.
    skipped: reasons that are known, to which others are added.
  """
  missing = np.ones(records.num_images, bool)
  missing[index] = False
  known = skipped.reasons
  for image in np.flatnonzero(missing).tolist():
    if records.name(image) not in known:
      box = None if records.boxes is None else records.boxes[image]
      reason = skipped_lib.why_unusable(records, image, box)
      skipped.add(records.name(image), reason or "could not be read before")


def _computed(
  models, records, dataset, skipped, versions: Versions | None
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
  """Batches of indices [B] and of each model's features [B, D], in order.

  With versions, a batch has all of one image.
  """

  def compute(batch: numbered_images.NumberedImages):
    index, images = batch.index.numpy(), batch.image
    if versions is not None:
      images = versions.make(images[0].numpy(), int(index[0]))
    try:
      found = [model.features(images) for model in models]
    except errors.UsageError as error:
      first, last = records.name(index[0]), records.name(index[-1])
      raise errors.UsageError(f"{error} (images {first} to {last})") from error
    if versions is not None:
      index = index[0] * versions.count + np.arange(versions.count)
    return index, found

  try:
    yield from feature_extractor.map_ahead(compute, dataset)
  except tf.errors.OpError as error:
    if skipped.fatal:
      raise errors.UsageError(skipped.fatal) from error
    raise


def _open(models, folder, rows) -> list[growing_array.GrowingArray]:
  """Opens the files of the indices and of each model's features."""
  index, *others = paths_of(folder, models)
  return [
    growing_array.GrowingArray(index, (), np.int64, rows=rows),
    *(
      growing_array.GrowingArray(
        path, (model.description.width,), np.float32, rows=rows
      )
      for path, model in zip(others, models, strict=True)
    ),
  ]
