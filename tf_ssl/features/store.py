"""Features of many images by several models, in one pass, on disk.

The images stream through; nothing in memory grows with their number but the
list of them. What a kill leaves behind is gone on with.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.features import growing_array
from tf_ssl.features import store_state as state_lib
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import features as features_lib
from tf_ssl.models import image_model

_SAVE_SECONDS = 1.0  # what a kill costs at most


class Features(NamedTuple):
  """Features of M of N images.

  Attributes:
    by_model: from each model's name to [M, D] float32, mapped from the disk.
    index: [M] int64, ascending: which of the N records each row belongs to.
    skipped: from the names of images that could not be read, whose rows are
      left out, to the reasons.
  """

  by_model: dict[str, np.ndarray]
  index: np.ndarray
  skipped: dict[str, str]


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
) -> Features:
  """Runs all models over all images, once.

  Called again with the same models, images and settings it goes on where it was
  stopped, or returns what is there. Every image has a row or a reason.

  Args:
    models: with different names.
    records: the images; their boxes, if any, are cut out first.
    folder: where the files go; made if it is not there.
    image_size: pixels a side that images are brought to. A model made for
      another size resizes them from there.
    label: what the images are, beside the progress bar; empty: nothing.
    framing: "whole" or "middle"; see `numbered_images`.
    batch_size: images at once, of each model.
    max_skipped_fraction: the share of images above which those that cannot be
      read stop the work.
    replace_others: whether features of something else that are in the folder
      are replaced, and that said, or stop the work.

  Returns:
    The features; files `folder`/*.npy that NumPy reads, too.

  Raises:
    UsageError: no image, two models of one name, NaN or infinite features, too
      many images that cannot be read, a folder that cannot be written, is being
      written by another process, or has features of something else.
  """
  names = [model.name for model in models]
  if not names or len(set(names)) != len(names):
    raise errors.UsageError(
      f"models: {', '.join(names) or 'none'}; expected at least one, each with "
      "a name of its own: NAME=PATH"
    )
  if not records.num_images:
    raise errors.UsageError("the dataset has no images; expected at least one")
  key = state_lib.key_of(models, records, image_size, framing)
  try:
    os.makedirs(folder, exist_ok=True)
    with state_lib.locked(folder):
      paths = state_lib.paths(folder, models)
      state = state_lib.resume(folder, key, paths, replace_others)
      skipped = skipped_lib.SkippedFiles(
        os.path.join(folder, state_lib.SKIPPED_FILE),
        records.num_images,
        max_skipped_fraction,
      )
      if not state["finished"]:
        dataset = numbered_images.numbered_images(
          records,
          image_size=image_size,
          batch_size=batch_size,
          start=state["done"],
          framing=framing,
          skipped=skipped,
        )
        _run(models, records, dataset, folder, state, skipped, label)
      index, *found = (np.load(path, mmap_mode="r") for path in paths)
      _name_the_missing(records, index, skipped)
      return Features(
        dict(zip(names, found, strict=True)), index, skipped.reasons
      )
  except OSError as error:
    raise errors.UsageError(
      f"features cannot be written to {folder}: {error.strerror or error}; "
      "choose a folder on a disk with room that you may write to"
    ) from error


def _run(models, records, dataset, folder, state, skipped, label) -> None:
  """Appends what is missing, and marks the folder as finished."""
  arrays = _open(models, folder, state["rows"])
  saved = time.monotonic()

  def save(**changes) -> None:
    for array in arrays:
      array.flush()
    state.update(rows=arrays[0].rows, **changes)
    state_lib.write(folder, state)

  with (
    contextlib.ExitStack() as stack,
    tqdm.tqdm(
      total=records.num_images,
      initial=state["done"],
      desc=f"Features, {label}" if label else "Features",
      unit="image",
      mininterval=0.5,
    ) as bar,
  ):
    for array in arrays:
      stack.callback(array.close)
    done = state["done"]
    try:
      for index, found in _computed(models, records, dataset, skipped):
        for array, rows in zip(arrays, [index, *found], strict=True):
          array.append(rows)
        bar.update(int(index[-1]) + 1 - done)
        done = int(index[-1]) + 1
        if time.monotonic() - saved > _SAVE_SECONDS:
          save(done=done)
          saved = time.monotonic()
    finally:  # also where it is interrupted
      if len({array.rows for array in arrays}) == 1:
        save(done=done)
    if not arrays[0].rows:
      raise errors.UsageError(
        f"none of the {records.num_images} images could be read; the reasons "
        f"are in {os.path.join(folder, state_lib.SKIPPED_FILE)}"
      )
    bar.update(records.num_images - done)
    for array in arrays:
      array.finish()
    state.update(done=records.num_images, finished=True)
    state_lib.write(folder, state)


def _name_the_missing(
  records: records_lib.ImageRecords,
  index: np.ndarray,
  skipped: skipped_lib.SkippedFiles,
) -> None:
  """Gives a reason to images without a row, should a crash have lost it."""
  missing = np.ones(records.num_images, bool)
  missing[index] = False
  known = skipped.reasons
  for image in np.flatnonzero(missing).tolist():
    if records.name(image) not in known:
      box = None if records.boxes is None else records.boxes[image]
      reason = skipped_lib.why_unusable(records, image, box)
      skipped.add(records.name(image), reason or "could not be read before")


def _computed(
  models, records, dataset, skipped
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
  """Batches of indices [B] and of each model's features [B, D], in order."""

  def compute(batch: numbered_images.NumberedImages):
    index = batch.index.numpy()
    try:
      return index, [model.features(batch.image) for model in models]
    except errors.UsageError as error:
      first, last = records.name(index[0]), records.name(index[-1])
      raise errors.UsageError(f"{error} (images {first} to {last})") from error

  try:
    yield from features_lib.map_ahead(compute, dataset)
  except tf.errors.OpError as error:
    if skipped.fatal:
      raise errors.UsageError(skipped.fatal) from error
    raise


def _open(models, folder, rows) -> list[growing_array.GrowingArray]:
  index, *others = state_lib.paths(folder, models)
  arrays = [growing_array.GrowingArray(index, (), np.int64, rows=rows)]
  for path, model in zip(others, models, strict=True):
    arrays.append(
      growing_array.GrowingArray(
        path, (model.description.width,), np.float32, rows=rows
      )
    )
  return arrays
