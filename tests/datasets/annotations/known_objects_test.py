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


def write_coco(file, names, size=(40, 20)):
  """A box of half of the width and height in each image."""
  width, height = size
  content = {
    "images": [
      {"id": i, "file_name": n, "width": width, "height": height}
      for i, n in enumerate(names)
    ],
    "categories": [{"id": 1, "name": "x"}],
    "annotations": [
      {
        "id": i,
        "image_id": i,
        "category_id": 1,
        "bbox": [width / 10, height / 10, width / 2, height / 2],
        "iscrowd": 0,
      }
      for i in range(len(names))
    ],
  }
  file.write_text(json.dumps(content))


def test_coco_may_annotate_more_images_than_are_trained_on(tmp_path, folder):
  write_coco(tmp_path / "coco.json", ["a.png", "gone.png"])
  found = attached(folder, tmp_path / "coco.json")
  assert found.offsets.tolist() == [0, 1, 1, 1]
  np.testing.assert_allclose(found.boxes, [[[0.1, 0.1, 0.6, 0.6]]])


def test_boxes_of_open_images_are_read_as_those_of_coco(tmp_path, folder):
  write_coco(tmp_path / "coco.json", ["a.png", "sub/b.png", "gone.png"])
  rows = [
    f"{image},xclick,/m/0x,{confidence},0.1,0.6,0.1,0.6,0,0,{group},0,0"
    for image, confidence, group in (
      ("a", 1, 0),
      ("b", 1, 0),
      ("gone", 1, 0),
      ("c", 1, 1),  # A group.
      ("a", 0, 0),
    )
  ]
  header = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,"
    "IsTruncated,IsGroupOf,IsDepiction,IsInside"
  )
  file = tmp_path / "train-annotations-bbox.csv"
  file.write_text("\n".join([header, *rows]))
  found, expected = (
    attached(folder, each) for each in (file, tmp_path / "coco.json")
  )
  assert found.offsets.tolist() == expected.offsets.tolist() == [0, 1, 1, 2]
  np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-6)


def test_boxes_scale_with_copies_in_another_size(tmp_path, folder):
  write_coco(tmp_path / "coco.json", ["a.png", "c.png"], size=(640, 320))
  found = attached(folder, tmp_path / "coco.json")
  assert found.offsets.tolist() == [0, 1, 2, 2]
  np.testing.assert_allclose(found.boxes, [[[0.1, 0.1, 0.6, 0.6]]] * 2)


def test_a_cropped_image_has_no_boxes_and_is_counted(
  tmp_path, folder, monkeypatch
):
  told = []
  monkeypatch.setattr(
    known_objects.logging, "warning", lambda text, *of: told.append(text % of)
  )
  write_coco(tmp_path / "coco.json", ["a.png", "c.png", "sub/b.png"])
  Image.new("RGB", (20, 20)).save(folder / "c.png")
  found = attached(folder, tmp_path / "coco.json")
  assert found.offsets.tolist() == [0, 1, 1, 2]
  (line,) = [line for line in told if line.endswith("boxes are left out")]
  assert "1 of 3 annotated training images" in line
  assert "'c.png' (20x20 px, annotated as 40x20)" in line


def test_a_folder_of_cropped_copies_is_refused(tmp_path, folder):
  write_coco(tmp_path / "coco.json", ["a.png", "c.png", "sub/b.png"])
  for name in ("a.png", "c.png"):
    Image.new("RGB", (20, 20)).save(folder / name)
  with pytest.raises(errors.UsageError, match="2 of 3 .*20x20 px.*IMAGES"):
    attached(folder, tmp_path / "coco.json")


def test_pairs_of_images_are_refused(folder, manifest):
  records = image_folder.read(str(folder))._replace(
    examples=records_lib.Examples(np.array([[0, 1]]))
  )
  objects = known_objects.KnownObjects(annotations=str(manifest))
  with pytest.raises(errors.UsageError, match="tracked_objects"):
    objects.attach(records)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
