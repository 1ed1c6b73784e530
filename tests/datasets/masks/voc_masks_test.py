"""Tests of tf_ssl.datasets.masks.voc_masks."""

import os
import sys
import unicodedata

import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import voc_masks


def _write(root, *names):
  for name in names:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("L" if name.endswith("png") else "RGB", [4, 3]).save(path)
  return str(root)


def _names(records):
  return [records.name(i) for i in range(records.num_images)]


def test_images_and_masks_are_those_of_the_list(tmp_path):
  root = _write(
    tmp_path,
    "JPEGImages/a.jpg",
    "JPEGImages/b.jpg",
    "SegmentationClass/a.png",
    "SegmentationClass/c.png",
  )
  lists = tmp_path / "ImageSets" / "Segmentation"
  lists.mkdir(parents=True)
  (lists / "train.txt").write_text("a\nb\nc\n")
  found = voc_masks.read(root, split="train")
  assert _names(found.images) == ["JPEGImages/a.jpg"]
  assert _names(found.masks) == ["SegmentationClass/a.png"]
  assert len(found.class_names) == 21 and found.class_names[15] == "person"
  assert found.skipped == {
    "JPEGImages/b.jpg": "no mask",
    "JPEGImages/c.jpg": "no such image",
  }
  (lists / "none.txt").write_text("zz\n")
  with pytest.raises(errors.UsageError, match="1 skipped: no such image.*VOC"):
    voc_masks.read(root, split="none")
  with pytest.raises(errors.UsageError, match="val.txt.*1,449 in val.*2 GB"):
    voc_masks.read(root, split="val")


def test_images_keep_the_order_of_the_list_and_the_border_is_void(tmp_path):
  names = ("b", "a", "c")
  root = _write(
    tmp_path,
    *[f"JPEGImages/{name}.jpg" for name in names],
    *[f"SegmentationClass/{name}.png" for name in names],
  )
  lists = tmp_path / "ImageSets" / "Segmentation"
  lists.mkdir(parents=True)
  (lists / "mine.txt").write_text("b\n\nc\na\n")
  found = voc_masks.read(root, split="mine")
  assert _names(found.images) == [f"JPEGImages/{n}.jpg" for n in "bca"]
  assert _names(found.masks) == [f"SegmentationClass/{n}.png" for n in "bca"]
  assert found.source == "VOC segmentation mine"
  assert found.class_ids == tuple(range(21)) and found.void_ids == (255,)
  for part in (found.images, found.masks):
    sizes = [os.path.getsize(part.path(i)) for i in range(3)]
    assert part.sizes.tolist() == sizes


def test_names_are_found_in_another_unicode_form(tmp_path):
  nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
  root = _write(
    tmp_path, f"JPEGImages/{nfc}.jpg", f"SegmentationClass/{nfd}.png"
  )
  lists = tmp_path / "ImageSets" / "Segmentation"
  lists.mkdir(parents=True)
  (lists / "train.txt").write_text(nfd + "\n")
  found = voc_masks.read(root, split="train")
  assert _names(found.images) == [f"JPEGImages/{nfc}.jpg"]
  assert _names(found.masks) == [f"SegmentationClass/{nfd}.png"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
