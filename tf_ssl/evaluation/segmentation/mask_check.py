"""Checks all images and masks before training, and counts their pixels.

Images that cannot be read or whose masks do not fit are skipped and named.
"""

from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets.masks import masked_images
from tf_ssl.evaluation import sanity, seeds
from tf_ssl.input_pipeline import decoding, loading, mask_decoding
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import progress

_THREADS = 4


class Checked(NamedTuple):
  """Images that are all usable.

  Attributes:
    data: images with their masks.
    num_classes: C.
    pixels: [C] int64, number of pixels of each class.
    void_pixels: number of void pixels, which do not count.
    skipped: {name of a skipped image: reason}, including images without a mask.
  """

  data: masked_images.MaskedImages
  num_classes: int
  pixels: np.ndarray
  void_pixels: int
  skipped: dict[str, str]


def check(
  data: masked_images.MaskedImages,
  kept: seeds.KeptResults,
  *,
  role: str,
  num_classes: int | None = None,
  max_skipped_fraction: float = 0.05,
) -> Checked:
  """Checks all images of a dataset, or reads the result of an earlier check.

  Args:
    data: images with masks.
    kept: storage of the result.
    role: "train" or "test".
    num_classes: C; None for the number of classes that `data` names, or else
      that its masks have.
    max_skipped_fraction: largest share of pairs that may be unusable, 0..1.
      Images without a mask do not count.

  Raises:
    UsageError: too many pairs are unusable.
  """
  found = kept.result(f"checked-{role}", lambda _: _read_all(data, role))
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
  errors.require(  # `max_skipped_fraction` may allow to skip all of them.
    usable,
    f"{data.source}: none of {data.num_images} images can be used, "
    f"the first {skipped.first}",
  )
  return Checked(
    data.take(usable),
    num_classes,
    pixels,
    void,
    {**data.skipped, **skipped.reasons},
  )


def check_classes(
  checked: Mapping[str, Checked], class_names: Sequence[str]
) -> list[str]:
  """Refuses training masks of one class.

  Args:
    checked: training and test images by role, "train" and "test".
    class_names: [C] names of the classes.

  Returns:
    Sentences about classes that only one role has.

  Raises:
    UsageError: the training masks have one class besides void; the error says
      how to make void values a class.
  """
  train = checked["train"]
  advice = "give masks of more classes"
  if train.void_pixels:
    void = ", ".join(map(str, train.data.void_ids))
    share = train.void_pixels / (train.void_pixels + train.pixels.sum())
    seen = int(np.argmax(train.pixels))
    ids = (*(train.data.class_ids or range(len(class_names))),)
    both = ", ".join(map(str, [ids[seen], *train.data.void_ids]))
    advice = (
      f"{100 * share:.0f} % of the pixels are void, which is the mask value "
      f"{void}; if that is a class, set CLASS_IDS=({both})"
    )
  return sanity.check_classes(
    *(
      dict(zip(class_names, checked[role].pixels.tolist(), strict=True))
      for role in ("train", "test")
    ),
    sources=[
      f"{macro} ({checked[role].data.masks.root})"
      for macro, role in (("MASKS", "train"), ("TEST_MASKS", "test"))
    ],
    unit="pixels",
    advice=advice,
  )


def _read_all(data: masked_images.MaskedImages, role: str) -> list[Any]:
  """For each image, its problem or None, and [value, pixels] of its mask."""
  with futures.ThreadPoolExecutor(_THREADS) as pool:
    found = pool.map(lambda i: _examine(data, i), range(data.num_images))
    title = f"Checking {role} masks"
    return list(progress.bar(title, found, total=data.num_images, unit="image"))


def _examine(
  data: masked_images.MaskedImages, index: int
) -> tuple[str | None, list[list[int]]]:
  problem = skipped_lib.why_unusable(data.images, index, None)
  if problem is not None:
    return problem, []
  encoded = loading.read_encoded(data.images, index)
  height, width = decoding.sides(tf.constant(encoded)).numpy().tolist()
  try:
    mask = mask_decoding.decode(loading.read_encoded(data.masks, index))
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
  """Number of classes in the masks, for classes without names."""
  values = {value for _, counts in found for value, _ in counts}
  return max(values - set(data.void_ids), default=0) + 1


def _misfit(data, table, counts, num_classes) -> str | None:
  """The problem of a readable mask; None if it can be used."""
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
