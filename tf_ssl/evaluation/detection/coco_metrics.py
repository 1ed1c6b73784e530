"""COCO's detection metrics (Lin et al. 2014), computed by pycocotools."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import coco, cocoeval

from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)

# In the order of COCOeval.stats. Small: below 32² pixels; large: above 96².
NAMES = (
  "AP",
  "AP50",
  "AP75",
  "AP_small",
  "AP_medium",
  "AP_large",
  "AR1",
  "AR10",
  "AR100",
  "AR_small",
  "AR_medium",
  "AR_large",
)
OBJECT = "object"  # The only class of a class-agnostic detector.


class Detections(NamedTuple):
  """R detected boxes, in any order.

  Attributes:
    image_index: [R] int, index of the image.
    boxes: [R, 4] float, xmin, ymin, xmax, ymax in pixels of the image.
    scores: [R] float, confidence; only the order matters.
    class_ids: [R] int, from 0.
  """

  image_index: np.ndarray
  boxes: np.ndarray
  scores: np.ndarray
  class_ids: np.ndarray


class Metrics(NamedTuple):
  """COCO's metrics, 0..1; None where there is no object to find.

  Attributes:
    overall: {name in `NAMES`: value}.
    by_class: {name of a class: AP}.
  """

  overall: dict[str, float | None]
  by_class: dict[str, float | None]


def without_classes(
  data: annotations_lib.Annotations,
) -> annotations_lib.Annotations:
  """Replaces all classes by the single class `OBJECT`."""
  class_ids = np.zeros_like(data.class_ids)
  targets = annotations_lib.targets_of_boxes(
    data.num_images, 1, data.image_index, class_ids, data.crowd | data.difficult
  )
  return data._replace(
    targets=targets,
    class_ids=class_ids,
    class_names=(OBJECT,),
    category_ids=np.array([1], np.int64),
  )


def measure(
  data: annotations_lib.Annotations, detections: Detections
) -> Metrics:
  """Compares detections with the ground truth.

  Args:
    data: images with boxes. Images without detections count; a crowd may match
      any number of detections.
    detections: detections, of which the best 100 per image and class count.

  Returns:
    The values that pycocotools gives for files of these boxes.
  """
  truth = _loaded(data, _truth(data))
  found = _loaded(
    data, coco_results(data, detections, ids=range(1, data.num_images + 1))
  )
  with contextlib.redirect_stdout(io.StringIO()):  # It prints its progress.
    evaluation = cocoeval.COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  # [IoU thresholds, recalls, classes, sizes of objects, numbers of detections]
  precision = evaluation.eval["precision"][:, :, :, 0, -1]
  return Metrics(
    {
      name: None if value < 0 else float(value)
      for name, value in zip(NAMES, evaluation.stats, strict=True)
    },
    {
      name: _mean(precision[:, :, number])
      for number, name in enumerate(data.class_names)
    },
  )


def coco_results(
  data: annotations_lib.Annotations,
  detections: Detections,
  *,
  ids: Sequence[int | str] | None = None,
) -> list[dict[str, Any]]:
  """Detections in COCO's results format, as JSON values.

  Args:
    data: images with boxes.
    detections: detections in these images.
    ids: id of each image; by default that of its source.
  """
  ids = data.image_ids if ids is None else ids
  return _entries(
    data,
    ids,
    detections.image_index,
    detections.class_ids,
    detections.boxes,
    score=np.asarray(detections.scores, np.float64),
  )


def _truth(data: annotations_lib.Annotations) -> list[dict[str, Any]]:
  return _entries(
    data,
    range(1, data.num_images + 1),
    data.image_index,
    data.class_ids,
    data.boxes,
    area=data.areas,
    iscrowd=data.crowd.astype(int),
  )


def _entries(
  data, image_ids, image_index, class_ids, boxes, **more: np.ndarray
) -> list[dict[str, Any]]:
  """Boxes as COCO's JSON values, with further columns [R] by name."""
  corners = np.asarray(boxes, np.float64).reshape(-1, 4)
  sides = corners[:, 2:] - corners[:, :2]
  columns = {
    "image_id": [image_ids[i] for i in np.asarray(image_index).tolist()],
    "category_id": data.category_ids[np.asarray(class_ids, int)].tolist(),
    "bbox": np.concatenate([corners[:, :2], sides], 1).tolist(),
    **{name: values.tolist() for name, values in more.items()},
  }
  rows = zip(*columns.values(), strict=True)
  return [dict(zip(columns, row, strict=True)) for row in rows]


def _loaded(
  data: annotations_lib.Annotations, entries: Sequence[Mapping[str, Any]]
) -> coco.COCO:
  """Loads entries into pycocotools, whose loadRes refuses an empty list."""
  loaded = coco.COCO()
  loaded.dataset = {
    "images": [{"id": i + 1} for i in range(data.num_images)],
    "categories": [{"id": int(number)} for number in data.category_ids],
    "annotations": [
      {
        "id": number,
        "iscrowd": 0,
        "area": entry["bbox"][2] * entry["bbox"][3],
        **entry,
      }
      for number, entry in enumerate(entries, 1)
    ],
  }
  with contextlib.redirect_stdout(io.StringIO()):
    loaded.createIndex()
  return loaded


def _mean(precision: np.ndarray) -> float | None:
  """Mean over thresholds and recalls; -1 means no object of the class."""
  known = precision[precision > -1]
  return float(known.mean()) if known.size else None
