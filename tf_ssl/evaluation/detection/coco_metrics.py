"""COCO's metrics of detections (Lin et al. 2014), as pycocotools has them."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import coco, cocoeval

from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)

# In the order of COCOeval.stats. Small is below 32², large above 96² pixels.
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
OBJECT = "object"  # what everything is where classes do not count


class Detections(NamedTuple):
  """P boxes that were found, in any order.

  Attributes:
    image_index: [P] int, which image.
    boxes: [P, 4] float, pixels of the image: xmin, ymin, xmax, ymax.
    scores: [P] float, how sure; only their order matters.
    class_ids: [P] int, from 0.
  """

  image_index: np.ndarray
  boxes: np.ndarray
  scores: np.ndarray
  class_ids: np.ndarray


class Metrics(NamedTuple):
  """Shares, 0 to 1; None where there is no object to be found.

  Attributes:
    overall: by `NAMES`.
    by_class: AP, by the names of the classes.
  """

  overall: dict[str, float | None]
  by_class: dict[str, float | None]


def without_classes(
  data: annotations_lib.Annotations,
) -> annotations_lib.Annotations:
  """The same boxes, all of the one class `OBJECT`."""
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
  """Holds detections against the truth.

  Args:
    data: images and their boxes. An image without detections counts; of those
      of a crowd any number may be found, or none.
    detections: the best 100 of an image and class count.

  Returns:
    The same numbers as pycocotools' from files of these boxes.
  """
  truth = _loaded(data, _truth(data))
  found = _loaded(
    data, coco_results(data, detections, ids=range(1, data.num_images + 1))
  )
  with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
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
  """Detections in COCO's format for results: JSON values.

  Args:
    data: the images.
    detections: found in them.
    ids: of the images; those of their source by default.
  """
  ids = data.image_ids if ids is None else ids
  corners = np.asarray(detections.boxes, np.float64).reshape(-1, 4)
  boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
  return [
    {
      "image_id": ids[index],
      "category_id": int(data.category_ids[class_id]),
      "bbox": box,
      "score": score,
    }
    for index, box, score, class_id in zip(
      np.asarray(detections.image_index).tolist(),
      boxes.tolist(),
      np.asarray(detections.scores, np.float64).tolist(),
      np.asarray(detections.class_ids).tolist(),
      strict=True,
    )
  ]


def _truth(data: annotations_lib.Annotations) -> list[dict[str, Any]]:
  corners = data.boxes.astype(np.float64)
  boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
  return [
    {
      "image_id": index + 1,
      "category_id": int(data.category_ids[class_id]),
      "bbox": box,
      "area": area,
      "iscrowd": int(crowd),
    }
    for index, class_id, box, area, crowd in zip(
      data.image_index.tolist(),
      data.class_ids.tolist(),
      boxes.tolist(),
      data.areas.tolist(),
      data.crowd.tolist(),
      strict=True,
    )
  ]


def _loaded(
  data: annotations_lib.Annotations, entries: Sequence[Mapping[str, Any]]
) -> coco.COCO:
  """Entries as pycocotools has them; its own loadRes takes no empty list."""
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
  """Over thresholds and recalls; -1 stands for no object of the class."""
  known = precision[precision > -1]
  return float(known.mean()) if known.size else None
