"""Results of segmentation: classes that do not occur are not counted."""

import sys

import numpy as np
import pytest

from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.masks import masked_images
from tf_ssl.evaluation.segmentation import mask_check, metrics, outcome


def _checked(pixels, skipped=None):
  records = records_lib.ImageRecords(
    "/images", np.array([b"a.png"]), np.array([1], np.int64)
  )
  data = masked_images.MaskedImages(records, records, "set")
  return mask_check.Checked(
    data, len(pixels), np.array(pixels), 0, skipped or {}
  )


def test_classes_that_do_not_occur_or_were_not_learned_are_noted(tmp_path):
  """Sky, road and car; no test mask and no prediction has a car."""
  (tmp_path / "a.png").write_bytes(b"\x89PNG")
  runs = [
    outcome.Run(
      seed,
      0.5,
      metrics.scores(np.array(confusion)),
      str(tmp_path / "a.png"),
    )
    for seed, confusion in (
      (0, [[6, 0, 0], [2, 2, 0], [0, 0, 0]]),
      (1, [[6, 0, 0], [4, 0, 0], [0, 0, 0]]),
    )
  ]
  found = outcome.outcome(
    runs,
    ("sky", "road", "car"),
    {
      "train": _checked([4, 0, 4]),
      "test": _checked([6, 4, 0], {"b.png": "the mask is all void"}),
    },
    title="",
    settings={},
    data={},
    notes=["first"],
  )
  # IoU of sky 6/8 and 6/10, of road 2/4 and 0.
  assert found.details["iou_percent"]["sky"] == pytest.approx(67.5)
  assert found.details["iou_percent"]["road"] == pytest.approx(25)
  assert found.details["iou_percent"]["car"] is None
  assert found.results["mean_iou_percent"] == pytest.approx((62.5 + 30) / 2)
  assert found.results["pixel_accuracy_percent"] == pytest.approx(70)
  first, absent, unseen = found.notes
  assert first == "first"
  assert absent.startswith("1 of 3 classes") and "test masks" in absent
  assert unseen.startswith("1 of 3 classes") and "train mask" in unseen
  assert found.skipped == {"test/b.png": "the mask is all void"}
  assert found.tables[1].rows[2] == ["car", None, 50.0, 0.0]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
