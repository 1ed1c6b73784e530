"""Annotations of all formats, valid and malformed."""

import json
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.annotations import open_annotations

_XML = (
  "<annotation><size><width>20</width><height>10</height></size>{}</annotation>"
)
_OBJECT = (
  "<object><name>{}</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>7</xmax>"
  "<ymax>9</ymax></bndbox></object>"
)


@pytest.fixture(name="images")
def fixture_images(tmp_path):
  folder = tmp_path / "images"
  folder.mkdir()
  for name in ("a.jpg", "b.png"):
    Image.new("RGB", (20, 10)).save(folder / name)
  return folder


def coco_file(path, boxes, *, category=5, names=("a.jpg", "b.png")):
  content = {
    "images": [
      {"id": i, "file_name": n, "width": 20, "height": 10}
      for i, n in enumerate(names)
    ],
    "categories": [{"id": 5, "name": "cat"}],
    "annotations": [
      {"id": i, "image_id": 0, "category_id": category, "bbox": box}
      for i, box in enumerate(boxes)
    ],
  }
  path.write_text(json.dumps(content))
  return str(path)


def read(annotations, images=None, **settings):
  images = None if images is None else str(images)
  return open_annotations.open_annotations(str(annotations), images, **settings)


def test_cocos_json(images, tmp_path):
  found = read(coco_file(tmp_path / "x.json", [[2, 1, 5, 8]]), images)
  assert found.source == "COCO x.json"
  np.testing.assert_array_equal(found.boxes, [[2, 1, 7, 9]])


def test_a_folder_of_xml(images, tmp_path):
  folder = tmp_path / "xml"
  folder.mkdir()
  (folder / "a.xml").write_text(_XML.format(_OBJECT.format("dog") * 2))
  (folder / "b.XML").write_text(_XML.format(_OBJECT.format("cat")))
  (folder / "notes.txt").write_text("")
  found = read(folder, images)
  assert found.class_names == ("cat", "dog")
  assert found.class_ids.tolist() == [1, 1, 0]
  assert found.image_index.tolist() == [0, 0, 1]
  assert [found.images.name(i) for i in range(2)] == ["a.jpg", "b.png"]
  # VOC counts from 1 and includes the last.
  np.testing.assert_array_equal(found.boxes[0], [2, 1, 7, 9])


def test_xml_of_missing_images_and_damaged_xml_are_skipped(images, tmp_path):
  folder = tmp_path / "xml"
  folder.mkdir()
  (folder / "a.xml").write_text(_XML.format(_OBJECT.format("dog")))
  (folder / "b.xml").write_text("<annotation")
  (folder / "c.xml").write_text(_XML.format(_OBJECT.format("dog")))
  found = read(folder, images, max_skipped_fraction=0.7)
  assert found.num_images == 1
  assert found.skipped == {
    "an annotation that is not XML": ("b",),
    "no such image": ("c.jpg",),
  }
  with pytest.raises(
    errors.UsageError, match="2 of 3 images .*max_skipped_fraction"
  ):
    read(folder, images)


def test_vocs_layout(tmp_path):
  for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
    (tmp_path / folder).mkdir(parents=True)
  Image.new("RGB", (20, 10)).save(tmp_path / "JPEGImages/1.jpg")
  (tmp_path / "Annotations/1.xml").write_text(
    _XML.format(_OBJECT.format("dog"))
  )
  (tmp_path / "ImageSets/Main/train.txt").write_text("1\n")
  found = read(tmp_path, split="train")
  assert found.source == "VOC train" and found.num_boxes == 1


def test_a_manifest(images, tmp_path):
  file = tmp_path / "boxes.csv"
  file.write_text("path,label,xmin,ymin,xmax,ymax\na.jpg,dog,0,0,5,5\n")
  found = read(file, images)
  assert found.source == "manifest boxes.csv" and found.class_names == ("dog",)
  np.testing.assert_array_equal(found.boxes, [[0, 0, 5, 5]])


def test_annotations_without_boxes_are_an_error(images, tmp_path):
  file = coco_file(tmp_path / "x.json", [])
  with pytest.raises(errors.UsageError, match="0 boxes in 2 images"):
    read(file, images)


def test_many_boxes_of_unknown_classes_are_an_error(images, tmp_path):
  file = coco_file(tmp_path / "x.json", [[0, 0, 5, 5]], category=9)
  with pytest.raises(errors.UsageError) as caught:
    read(file, images)
  assert "1 of 1 boxes cannot be used" in str(caught.value)
  assert "unknown category" in str(caught.value)
  assert "category 9" in str(caught.value)


def test_missing_images_are_skipped_up_to_a_maximum_fraction(images, tmp_path):
  file = coco_file(
    tmp_path / "x.json", [[0, 0, 5, 5]], names=("a.jpg", "gone.jpg")
  )
  found = read(file, images, max_skipped_fraction=0.5)
  assert found.skipped == {"no such image": ("gone.jpg",)}
  with pytest.raises(
    errors.UsageError, match="1 of 2 images .*max_skipped_fraction"
  ):
    read(file, images)


@pytest.mark.parametrize(
  "name, message",
  [
    ("none.json", "none.json.*--annotations"),
    ("empty", "empty.*NAME.xml.*--annotations"),
    ("notes.txt", "notes.txt.*--annotations"),
  ],
)
def test_other_files_and_folders_are_named(images, tmp_path, name, message):
  (tmp_path / "empty").mkdir()
  (tmp_path / "notes.txt").write_text("")
  with pytest.raises(errors.UsageError, match=message):
    read(tmp_path / name, images)


def test_a_missing_folder_of_images_is_named(images, tmp_path):
  file = coco_file(tmp_path / "x.json", [[0, 0, 5, 5]])
  with pytest.raises(errors.UsageError, match="no folder of images was given"):
    read(file)
  with pytest.raises(errors.UsageError, match="no such folder"):
    read(file, tmp_path / "none")


def test_an_archive_is_named_as_one(images, tmp_path):
  with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
    archive.writestr("a.jpg", b"a")
  file = coco_file(tmp_path / "x.json", [[0, 0, 5, 5]])
  with pytest.raises(errors.UsageError, match="annotations.*a Zip archive"):
    read(tmp_path / "all.zip", images)
  with pytest.raises(errors.UsageError, match="images.*a Zip archive; unpack"):
    read(file, tmp_path / "all.zip")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
