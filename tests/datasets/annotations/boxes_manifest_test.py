"""Tests of tf_ssl.datasets.annotations.boxes_manifest."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.annotations import boxes_manifest


@pytest.fixture(name="images")
def fixture_images(tmp_path):
  """A folder of two images, 20x10 px each."""
  folder = tmp_path / "images"
  folder.mkdir()
  for name in ("a.jpg", "b.png"):
    Image.new("RGB", (20, 10)).save(folder / name)
  return folder


def test_a_manifest_with_several_boxes_per_image(images, tmp_path):
  file = images / "boxes.csv"
  file.write_text(
    "path,label,xmin,ymin,xmax,ymax\n"
    "a.jpg,dog,0,0,5,5\n"
    "b.png,,,,,\n"
    "a.jpg,cat,1,2,30,4\n"
  )
  found = boxes_manifest.read(str(file))
  assert found.num_images == 2 and found.class_names == ("cat", "dog")
  assert found.class_ids.tolist() == [1, 0]
  assert found.image_index.tolist() == [0, 0]
  np.testing.assert_array_equal(found.boxes, [[0, 0, 5, 5], [1, 2, 20, 4]])
  np.testing.assert_array_equal(found.image_sizes, [[20, 10], [20, 10]])
  assert found.clipped == 1
  moved = tmp_path / "boxes.csv"
  moved.write_text(file.read_text())
  again = boxes_manifest.read(str(moved), str(images))
  np.testing.assert_array_equal(again.boxes, found.boxes)


def test_a_manifest_with_numbers_or_without_labels(images):
  file = images / "boxes.csv"
  file.write_text("path,label,xmin,ymin,xmax,ymax\na.jpg,7,0,0,5,5\n")
  assert boxes_manifest.read(str(file)).class_names == ("7",)
  file.write_text("path,xmin,ymin,xmax,ymax\na.jpg,0,0,5,5\n")
  found = boxes_manifest.read(str(file))
  assert found.class_names == ("object",) and found.class_ids.tolist() == [0]


def test_a_manifests_box_without_a_class_is_skipped(images):
  file = images / "boxes.csv"
  rows = ["a.jpg,dog,0,0,5,5"] * 20 + ["b.png,,0,0,5,5"]
  file.write_text("\n".join(["path,label,xmin,ymin,xmax,ymax", *rows]))
  found = boxes_manifest.read(str(file))
  assert found.num_boxes == 20
  assert found.skipped == {"a box without a class": ("b.png, box 0,0,5,5",)}
  # It may be a dog.
  np.testing.assert_array_equal(found.targets, [[1], [-1]])


@pytest.mark.parametrize(
  "text, message",
  [
    ("path,label\na.jpg,dog\n", "has no boxes"),
    (
      "path,xmin,ymin,xmax,ymax\nnone.jpg,0,0,5,5\n",
      "line 2: no file '.*none.jpg'",
    ),
    ("path,xmin,ymin,xmax,ymax\na.jpg,5,0,5,5\n", "line 2: box '5,0,5,5'"),
  ],
)
def test_a_malformed_manifest_is_named(images, text, message):
  file = images / "boxes.csv"
  file.write_text(text)
  with pytest.raises(errors.UsageError, match=message):
    boxes_manifest.read(str(file))


def test_an_image_without_boxes_stays(images):
  file = images / "boxes.csv"
  file.write_text("path,xmin,ymin,xmax,ymax\nb.png,,,,\n")
  found = boxes_manifest.read(str(file))
  assert found.num_images == 1 and found.num_boxes == 0
  assert found.targets.tolist() == [[0]]


def test_boxes_of_an_unreadable_image_are_skipped_with_it(images):
  (images / "c.jpg").write_text("no image")
  file = images / "boxes.csv"
  file.write_text(
    "path,xmin,ymin,xmax,ymax\na.jpg,0,0,5,5\nc.jpg,1,2,3,4\nc.jpg,0,0,2,2\n"
  )
  found = boxes_manifest.read(str(file), max_skipped_fraction=0.5)
  assert found.num_images == found.num_boxes == 1
  assert found.skipped == {
    "an image without a readable size": ("c.jpg",),
    "a box of a skipped image": ("c.jpg, box 1,2,3,4", "c.jpg, box 0,0,2,2"),
  }
  with pytest.raises(
    errors.UsageError, match="1 of 2 images .*max_skipped_fraction"
  ):
    boxes_manifest.read(str(file), max_skipped_fraction=0.4)


def test_class_names_of_any_bytes_are_escaped_once(images):
  file = images / "boxes.csv"
  file.write_bytes(
    b"path,label,xmin,ymin,xmax,ymax\na.jpg,b\\\xff,0,0,5,5\na.jpg,c,0,0,5,5\n"
  )
  found = boxes_manifest.read(str(file))
  assert found.class_names == (r"b\\\xff", "c")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
