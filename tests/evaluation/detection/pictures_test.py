"""Detections drawn next to the ground truth."""

import io
import itertools
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.evaluation.detection import pictures


def _example(found):
  return pictures.Example(
    image=np.full([40, 60, 3], 255, np.uint8),
    truth=np.float32([[10, 10, 30, 30]]),
    truth_classes=np.array([0]),
    found=np.float32(found).reshape(-1, 4),
    found_classes=np.arange(len(found)) % 2,
    scores=np.linspace(0.9, 0.1, len(found)),
  )


def _drawn(found):
  png = pictures.draw([_example(found)], ["a$b", "c"], title="of $x$")
  return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_one_detection_is_drawn_per_object_by_falling_score():
  """Each box has the color of its class; the second of two is not drawn."""
  one, two = [5, 5, 20, 20], [35, 5, 55, 35]
  np.testing.assert_array_equal(_drawn([one, two]), _drawn([one]))
  assert (_drawn([two, one]) != _drawn([one])).any()
  assert (_drawn([]) != _drawn([one])).any()


def _boxes(found, truth=((10, 10, 30, 30),), truth_classes=(0,)):
  """What is drawn of detections whose classes are 0, 1, 0, ..."""
  example = _example(found)._replace(
    truth=np.float32(truth).reshape(-1, 4),
    truth_classes=np.array(truth_classes, int),
  )
  return pictures._found(example, ["a", "b"])


def test_detections_that_match_no_free_box_of_their_class_are_dashed():
  hit, near, far = [10, 10, 30, 29], [10, 10, 30, 21], [40, 10, 60, 30]
  true = [[10, 10, 30, 30], [10, 10, 30, 30], [0, 0, 5, 5]]

  def dashed(found, truth_classes):
    return [box.is_dashed for box in _boxes(found, true, truth_classes)]

  # The second of three is of class 1; the third comes too late.
  assert dashed([hit, hit, hit], [0, 1, 1]) == [False, False, True]
  assert dashed([hit, hit, hit], [0, 0, 1]) == [False, True, False]
  assert dashed([near, far, near], [0, 0, 0]) == [False, True, False]
  below = [10, 10, 30, 19.9]  # an IoU of 0.495
  assert dashed([below, far, hit], [0, 0, 0]) == [True, True, False]


def test_at_most_eight_detections_are_drawn_and_none_without_objects():
  boxes = np.tile([[5, 5, 20, 20]], (12, 1))
  found = _boxes(boxes, boxes, [0] * 12)
  assert [box.label for box in found][:2] == ["a 0.90", "b 0.83"]
  assert len(found) == 8
  assert not _boxes(boxes, [], [])


def test_labels_do_not_overlap_and_a_single_class_needs_no_name():
  """Equal boxes have room for two labels, above and below."""

  def differing(names, boxes):
    example = _example([])._replace(
      truth=np.float32(boxes), truth_classes=np.zeros(len(boxes), int)
    )
    png = pictures.draw([example], names, title="")
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

  box = [20, 15, 40, 30]
  shots = [differing(["abc", "d"], [box] * n) for n in (1, 2, 3)]
  second, third = (np.abs(b - a).max() for a, b in itertools.pairwise(shots))
  assert second > 100 and third < 40  # Lines alone only become denser.
  assert (differing(["abc"], [box]) != shots[0]).any()
  np.testing.assert_array_equal(
    differing(["abc"], [box]), differing(["other"], [box])
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
