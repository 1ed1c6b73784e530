"""Boxes cut out of their images, each an image of its own."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)


class CutBoxes(NamedTuple):
  """K of the boxes of M.

  Attributes:
    images: the K boxes: its `boxes` are the regions, its `labels` the classes.
    box_index: [K] int64, ascending: which of the M boxes each is.
    image_index: [K] int64, which of the N images each is of.
    targets: [K, C] int8 as `annotations.Annotations.targets`: the box's class
      is present, or ignored where the object is difficult; others are absent.
    left_out: from reasons to how many boxes were left out.
  """

  images: records.ImageRecords
  box_index: np.ndarray
  image_index: np.ndarray
  targets: np.ndarray
  left_out: Mapping[str, int]


def cut(
  annotations: annotations_lib.Annotations,
  *,
  min_size: int = 32,
  context: float = 0.0,
) -> CutBoxes:
  """Lists the boxes that are large enough, with what is around them.

  Crowds are left out: they are not one object.

  Args:
    annotations: M boxes.
    min_size: pixels that the shorter side of a box must have, before context is
      added, at least 2.
    context: how much wider the region is than the box on every side, as a share
      of the box's side there; ends at the image's border.

  Raises:
    UsageError: `min_size` or `context` out of range, or no such box.
  """
  if min_size < 2 or not 0 <= context < 100:
    raise errors.UsageError(
      f"min_size is {min_size} and context {context}; expected at least 2 px "
      "and a share from 0, such as 0.1"
    )
  sides = annotations.boxes[:, 2:] - annotations.boxes[:, :2]
  small = (sides < min_size).any(axis=1)
  kept = np.flatnonzero(~(small | annotations.crowd))
  left_out = {
    f"shorter side below {min_size} px": int(
      (small & ~annotations.crowd).sum()
    ),
    "a crowd": int(annotations.crowd.sum()),
  }
  if not kept.size:
    raise errors.UsageError(
      f"{annotations.source}: none of {annotations.num_boxes} boxes can be cut "
      f"out ({', '.join(f'{n}: {why}' for why, n in left_out.items())}); lower "
      "min_size, or use images with larger boxes"
    )
  index = annotations.image_index[kept]
  images = annotations.images
  return CutBoxes(
    images=images._replace(
      files=images.files[index],
      sizes=images.sizes[index],
      labels=annotations.class_ids[kept],
      boxes=_regions(
        annotations.boxes[kept], annotations.image_sizes[index], context
      ),
      class_names=annotations.class_names,
    ),
    box_index=kept.astype(np.int64),
    image_index=index,
    targets=_targets(annotations, kept),
    left_out={why: count for why, count in left_out.items() if count},
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


def _targets(
  annotations: annotations_lib.Annotations, kept: np.ndarray
) -> np.ndarray:
  targets = np.full(
    (len(kept), len(annotations.class_names)), annotations_lib.ABSENT, np.int8
  )
  targets[np.arange(len(kept)), annotations.class_ids[kept]] = np.where(
    annotations.difficult[kept],
    annotations_lib.IGNORED,
    annotations_lib.PRESENT,
  )
  return targets
