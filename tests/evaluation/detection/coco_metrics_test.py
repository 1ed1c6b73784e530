"""COCO's metrics against pycocotools on files, and cases by hand."""

import json
import sys

import numpy as np
import pytest
from pycocotools import coco as reference
from pycocotools import cocoeval

from tests.evaluation.detection import scenes_reference as scenes
from tf_ssl.datasets.annotations import coco
from tf_ssl.evaluation.detection import coco_metrics

_BOXES = [
  [(3, 4, 4, 20, 20), (18, 30, 10, 24, 40)],
  [],
  [(18, 2, 30, 50, 20)],
]


@pytest.fixture(scope="module", name="data")
def fixture_data(tmp_path_factory):
  return scenes.write(tmp_path_factory.mktemp("data"), _BOXES)


def perfect(data):
  """Each true box, found."""
  scores = np.linspace(0.9, 0.5, data.num_boxes)
  return coco_metrics.Detections(
    data.image_index, data.boxes, scores, data.class_ids
  )


def nothing():
  return coco_metrics.Detections(
    np.zeros(0, int), np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
  )


def test_the_ground_truth_has_an_ap_of_one_and_no_detection_an_ap_of_zero(data):
  best = coco_metrics.measure(data, perfect(data))
  assert best.by_class == pytest.approx({"car": 1.0, "dog": 1.0})
  # the largest has 1000 pixels, below 32²
  larger = [n for n in coco_metrics.NAMES if n.endswith(("medium", "large"))]
  for name, value in best.overall.items():
    assert value == (None if name in larger else pytest.approx(1.0)), name
  worst = coco_metrics.measure(data, nothing())
  assert {v for v in worst.overall.values() if v is not None} == {0.0}
  assert worst.by_class == {"car": 0.0, "dog": 0.0}


def test_a_box_that_overlaps_by_0_64_counts_up_to_that_threshold(data):
  """Of the thresholds 0.5, 0.55, ... 0.95 those up to 0.6: three of ten."""
  shrunk = perfect(data)
  boxes = shrunk.boxes.copy()
  boxes[:, 2:] -= 0.2 * (boxes[:, 2:] - boxes[:, :2])
  found = coco_metrics.measure(data, shrunk._replace(boxes=boxes)).overall
  assert found["AP"] == pytest.approx(0.3)
  assert found["AP50"] == pytest.approx(1.0)
  assert found["AP75"] == 0.0


def test_a_false_detection_counts_by_its_rank(data):
  """Surer than the only car it halves the precision; less sure it is free."""
  right = perfect(data)
  for score, expected in ((1.0, 0.5), (0.1, 1.0)):
    found = coco_metrics.Detections(
      np.append(right.image_index, 1),
      np.concatenate([right.boxes, [[5, 5, 20, 20]]]),
      np.append(right.scores, score),
      np.append(right.class_ids, 0),
    )
    by_class = coco_metrics.measure(data, found).by_class
    assert by_class == pytest.approx({"car": expected, "dog": 1.0})


def test_without_classes_a_wrong_class_is_correct(data):
  wrong = perfect(data)._replace(class_ids=1 - data.class_ids)
  assert coco_metrics.measure(data, wrong).overall["AP"] == 0.0
  merged = coco_metrics.without_classes(data)
  assert merged.class_names == ("object",)
  wrong = wrong._replace(class_ids=merged.class_ids)
  assert coco_metrics.measure(merged, wrong).overall["AP"] == pytest.approx(1.0)


def test_random_detections_in_real_images_give_pycocotools_numbers(
  shared_data, tmp_path
):
  file = shared_data / "coco/annotations/instances_train2017.json"
  data = coco.read(str(file), str(shared_data / "coco/train2017"))
  rng = np.random.default_rng(0)
  # True boxes moved about, of a wrong class now and then, and some twice.
  rows = rng.integers(0, data.num_boxes, 1500)
  boxes = data.boxes[rows].astype(float)
  sides = boxes[:, 2:] - boxes[:, :2]
  boxes += rng.normal(0, 0.1, boxes.shape) * np.tile(sides, 2)
  boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
  wrong = rng.random(len(rows)) < 0.2
  detections = coco_metrics.Detections(
    data.image_index[rows],
    boxes,
    rng.random(len(rows)),
    np.where(wrong, rng.integers(0, 80, len(rows)), data.class_ids[rows]),
  )
  found = coco_metrics.measure(data, detections)

  results = tmp_path / "results.json"
  results.write_text(json.dumps(coco_metrics.coco_results(data, detections)))
  truth = reference.COCO(str(file))
  evaluation = cocoeval.COCOeval(truth, truth.loadRes(str(results)), "bbox")
  evaluation.evaluate()
  evaluation.accumulate()
  evaluation.summarize()
  np.testing.assert_allclose(
    list(found.overall.values()), evaluation.stats, atol=1e-9
  )
  assert 0.2 < found.overall["AP"] < 0.8
  known = [value for value in found.by_class.values() if value is not None]
  assert len(known) == len(set(data.class_ids[~data.crowd].tolist()))
  assert np.mean(known) == pytest.approx(found.overall["AP"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
