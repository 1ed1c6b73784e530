"""Tests of tf_ssl.datasets.annotations.known_objects."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import known_objects


@pytest.fixture(name="folder")
def _folder(tmp_path):
  folder = tmp_path / "photos"
  (folder / "sub").mkdir(parents=True)
  for name in ("a.png", "sub/b.png", "c.png"):
    Image.new("RGB", (40, 20)).save(folder / name)
  return folder


@pytest.fixture(name="manifest")
def _manifest(tmp_path):
  file = tmp_path / "boxes.csv"
  file.write_text(
    "path,xmin,ymin,xmax,ymax\n"
    "sub/b.png,10,5,30,20\n"
    "a.png,0,0,20,10\n"
    "a.png,0,0,2,2\n"
    "c.png,,,,\n"
  )
  return file


def attached(folder, annotations, **settings):
  return (
    known_objects.KnownObjects(annotations=str(annotations), **settings)
    .attach(image_folder.read(str(folder)))
    .objects
  )


def test_boxes_are_fractions_in_the_order_of_the_training_images(
  folder, manifest
):
  found = attached(folder, manifest, min_area=0.0)
  # a.png, c.png, sub/b.png.
  assert found.offsets.tolist() == [0, 2, 2, 3]
  assert found.num_without == 1
  np.testing.assert_allclose(
    found.boxes[:, 0],
    [[0, 0, 0.5, 0.5], [0, 0, 0.1, 0.05], [0.25, 0.25, 1, 0.75]],
  )


def test_small_boxes_are_left_out(folder, manifest):
  # 2 x 2 of 40 x 20 px is half a percent.
  assert attached(folder, manifest).offsets.tolist() == [0, 1, 1, 2]
  with pytest.raises(errors.UsageError, match="BOX_MIN_AREA"):
    attached(folder, manifest, min_area=0.9)


def test_a_moved_folder_keeps_its_boxes(tmp_path, folder, manifest):
  moved = tmp_path / "elsewhere"
  before = attached(folder, manifest)
  shutil.move(folder, moved)
  np.testing.assert_array_equal(attached(moved, manifest).boxes, before.boxes)


def test_boxes_of_other_images_are_refused(tmp_path, folder, manifest):
  other = tmp_path / "other"
  other.mkdir()
  Image.new("RGB", (40, 20)).save(other / "z.png")
  with pytest.raises(errors.UsageError, match="BOX_IMAGES.*no file"):
    attached(other, manifest)
  with pytest.raises(errors.UsageError, match="none of its 3 .* BOX_IMAGES"):
    attached(other, manifest, images=str(folder))


def test_coco_may_annotate_more_images_than_are_trained_on(tmp_path, folder):
  names = ["a.png", "gone.png"]
  content = {
    "images": [
      {"id": i, "file_name": n, "width": 40, "height": 20}
      for i, n in enumerate(names)
    ],
    "categories": [{"id": 1, "name": "x"}],
    "annotations": [
      {
        "id": i,
        "image_id": i,
        "category_id": 1,
        "bbox": [4, 2, 20, 10],
        "iscrowd": 0,
      }
      for i in range(2)
    ],
  }
  (tmp_path / "coco.json").write_text(json.dumps(content))
  found = attached(folder, tmp_path / "coco.json")
  assert found.offsets.tolist() == [0, 1, 1, 1]
  np.testing.assert_allclose(found.boxes, [[[0.1, 0.1, 0.6, 0.6]]])


def test_pairs_of_images_are_refused(folder, manifest):
  records = image_folder.read(str(folder))._replace(
    examples=records_lib.Examples(np.array([[0, 1]]))
  )
  objects = known_objects.KnownObjects(annotations=str(manifest))
  with pytest.raises(errors.UsageError, match="tracked_objects"):
    objects.attach(records)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
