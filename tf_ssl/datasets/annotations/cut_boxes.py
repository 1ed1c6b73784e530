"""Boxes as images of their own, cropped from their images when decoded."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.datasets.annotations import annotations as annotations_lib


class CutBoxes(NamedTuple):
  """K boxes, selected from M.

  Attributes:
    images: records of K crops: `boxes` are the regions, `labels` the classes.
    box_index: [K] int64, ascending, index of each of the K boxes among the M.
    image_index: [K] int64, index of each box's image.
    targets: [K, C] int8, as `annotations.Annotations.targets`: PRESENT for the
      box's class (IGNORED if the object is difficult), else ABSENT.
    skipped: number of skipped boxes, by reason.
  """

  images: records.ImageRecords
  box_index: np.ndarray
  image_index: np.ndarray
  targets: np.ndarray
  skipped: Mapping[str, int]


def cut(
  annotations: annotations_lib.Annotations,
  *,
  min_size: int = 32,
  context: float = 0.0,
) -> CutBoxes:
  """Selects boxes that are large enough and adds context around them.

  Crowds are skipped, since they show several objects.

  Args:
    annotations: annotated images with M boxes.
    min_size: minimum length of a box's shorter side without context, pixels,
      at least 2.
    context: margin on each side of the box, as a fraction of the box's width or
      height; it ends at the image's border.

  Raises:
    UsageError: `min_size` or `context` is out of range, or no box qualifies.
  """
  errors.require(
    min_size >= 2 and 0 <= context < 100,
    f"min_size is {min_size} and context {context}; expected at least 2 px and"
    " a fraction from 0, such as 0.1",
  )
  sides = annotations.boxes[:, 2:] - annotations.boxes[:, :2]
  small = (sides < min_size).any(axis=1)
  kept = np.flatnonzero(~(small | annotations.crowd))
  skipped = {
    f"shorter side below {min_size} px": int(
      (small & ~annotations.crowd).sum()
    ),
    "a crowd": int(annotations.crowd.sum()),
  }
  if not kept.size:
    raise errors.UsageError(
      f"{annotations.source}: none of {annotations.num_boxes} boxes can be cut"
      f" out ({', '.join(f'{n}: {reason}' for reason, n in skipped.items())});"
      " decrease min_size, or use images with larger boxes"
    )
  index = annotations.image_index[kept]
  targets = np.full(
    (len(kept), len(annotations.class_names)), annotations_lib.ABSENT, np.int8
  )
  targets[np.arange(len(kept)), annotations.class_ids[kept]] = np.where(
    annotations.difficult[kept],
    annotations_lib.IGNORED,
    annotations_lib.PRESENT,
  )
  return CutBoxes(
    images=records.take(annotations.images, index)._replace(
      labels=annotations.class_ids[kept],
      boxes=_regions(
        annotations.boxes[kept], annotations.image_sizes[index], context
      ),
      class_names=annotations.class_names,
    ),
    box_index=kept.astype(np.int64),
    image_index=index,
    targets=targets,
    skipped={reason: count for reason, count in skipped.items() if count},
  )


def _regions(
  boxes: np.ndarray, image_sizes: np.ndarray, context: float
) -> np.ndarray:
  """[K, 4] int32: whole pixels that cover the boxes and their context."""
  boxes = boxes.astype(np.float64)
  margin = context * (boxes[:, 2:] - boxes[:, :2])
  low = np.floor(np.maximum(boxes[:, :2] - margin, 0))
  high = np.ceil(np.minimum(boxes[:, 2:] + margin, image_sizes))
  return np.concatenate([low, high], axis=1).astype(np.int32)
