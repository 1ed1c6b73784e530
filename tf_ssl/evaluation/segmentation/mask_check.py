"""Reads all images and masks once: what can be used, and how much of what.

An image whose mask does not fit, or that cannot be read, is left out before
anything is trained, and named.
"""

from concurrent import futures
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from tf_ssl import errors
from tf_ssl.datasets.masks import masked_images
from tf_ssl.evaluation import kept_results
from tf_ssl.input_pipeline import decoding, loading, masks
from tf_ssl.input_pipeline import skipped as skipped_lib

_THREADS = 4


class Checked(NamedTuple):
  """Images that can all be used.

  Attributes:
    data: the images with their masks.
    num_classes: C.
    pixels: [C] int64, how many pixels each class has.
    void_pixels: how many count for nothing.
    skipped: from the names of images that were left out to the reasons; those
      without a mask are among them.
  """

  data: masked_images.MaskedImages
  num_classes: int
  pixels: np.ndarray
  void_pixels: int
  skipped: dict[str, str]


def check(
  data: masked_images.MaskedImages,
  kept: kept_results.KeptResults,
  *,
  role: str,
  num_classes: int | None = None,
  max_skipped_fraction: float = 0.05,
) -> Checked:
  """Checks all images of a dataset, or looks up what came of it before.

  Args:
    data: the images.
    kept: where the findings are, or go.
    role: "train" or "test"; tells them apart.
    num_classes: C; None for as many as `data` names, or as its masks have.
    max_skipped_fraction: the share of the pairs above which those that cannot
      be used are an error. Images without a mask do not count.

  Raises:
    UsageError: too many cannot be used.
  """
  found = kept.get(f"checked-{role}")
  if found is None:
    found = _read_all(data, role)
    kept.put(f"checked-{role}", found)
  if num_classes is None:
    num_classes = len(data.class_ids) or _seen(data, found)
  table = data.table(num_classes)
  skipped = skipped_lib.SkippedFiles(
    None, data.num_images, max_skipped_fraction
  )
  pixels, void, usable = np.zeros(num_classes, np.int64), 0, []
  for index, (problem, counts) in enumerate(found):
    problem = problem or _misfit(data, table, counts, num_classes)
    if problem:
      skipped.add(data.images.name(index), problem)
      continue
    usable.append(index)
    for value, count in counts:
      if table[value] == masked_images.VOID:
        void += count
      else:
        pixels[table[value]] += count
  if not usable:  # every one of a few may be allowed to be missing
    raise errors.UsageError(
      f"{data.source}: none of {data.num_images} images can be used, "
      f"the first {skipped.first}"
    )
  return Checked(
    data.take(usable),
    num_classes,
    pixels,
    void,
    {**data.skipped, **skipped.reasons},
  )


def _read_all(data: masked_images.MaskedImages, role: str) -> list[Any]:
  """For each image its problem or None, and [value, pixels] of its mask."""
  with futures.ThreadPoolExecutor(_THREADS) as pool:
    return list(
      tqdm.tqdm(
        pool.map(lambda i: _examine(data, i), range(data.num_images)),
        total=data.num_images,
        desc=f"Checking {role} masks",
        unit="image",
        mininterval=0.5,
      )
    )


def _examine(
  data: masked_images.MaskedImages, index: int
) -> tuple[str | None, list[list[int]]]:
  problem = skipped_lib.why_unusable(data.images, index, None)
  if problem is not None:
    return problem, []
  encoded = loading.read_encoded(data.images, index)
  height, width = decoding.sides(tf.constant(encoded)).numpy().tolist()
  try:
    mask = masks.decode(loading.read_encoded(data.masks, index))
  except OSError as error:
    return f"the mask cannot be read: {error.strerror or error}", []
  except ValueError as error:
    return str(error), []
  if mask.shape != (height, width):
    sides = f"{mask.shape[1]}x{mask.shape[0]}"
    return f"the mask is {sides} px, the image {width}x{height}", []
  counts = np.bincount(mask.reshape(-1))
  values = np.flatnonzero(counts)
  return None, np.stack([values, counts[values]], axis=1).tolist()


def _seen(data: masked_images.MaskedImages, found: list[Any]) -> int:
  """How many classes the masks have, where nothing names them."""
  values = {value for _, counts in found for value, _ in counts}
  return max(values - set(data.void_ids), default=0) + 1


def _misfit(data, table, counts, num_classes) -> str | None:
  """What is wrong with a mask that could be read; None if nothing."""
  beyond = [v for v, _ in counts if table[v] == masked_images.BEYOND]
  if beyond:
    ids = data.class_ids or range(num_classes)
    known = f"{min(ids)} to {max(ids)}"
    if len(ids) != max(ids) - min(ids) + 1:
      known += f" ({len(ids)} of them)"
    void = ", ".join(map(str, data.void_ids)) or "none"
    more = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
    return (
      f"the mask has the id {beyond[0]}{more}, which is beyond the classes "
      f"{known} and void ({void})"
    )
  if all(table[v] == masked_images.VOID for v, _ in counts):
    return "the mask is all void"
  return None
