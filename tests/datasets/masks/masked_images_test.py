"""Pairs of images and masks, from folders and known datasets."""

import os
import sys

import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import (
  ade20k,
  camvid,
  mask_folders,
  masked_images,
  voc_masks,
)


def _write(root, *names):
  for name in names:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("L" if name.endswith("png") else "RGB", [4, 3]).save(path)
  return str(root)


def _names(records):
  return [records.name(i) for i in range(records.num_images)]


def test_folders_are_paired_by_name(
  tmp_path,
):
  images = _write(tmp_path / "images", "b/2.jpg", "1.png", "b/3.jpg")
  masks = _write(tmp_path / "masks", "1.png", "b/2.png", "b/2.bmp", "b/9.png")
  found = mask_folders.read(images, masks)
  assert _names(found.images) == ["1.png", "b/2.jpg"]
  assert _names(found.masks) == ["1.png", "b/2.png"]
  assert found.skipped == {"b/3.jpg": "no mask"}
  assert (found.class_ids, found.void_ids) == ((), (255,))
  assert found.source == images


def test_a_suffix_may_follow_the_name(tmp_path):
  images = _write(tmp_path / "images", "1.jpg")
  masks = _write(tmp_path / "masks", "1_mask.png", "1.png")
  found = mask_folders.read(images, masks, mask_suffix="_mask")
  assert _names(found.masks) == ["1_mask.png"]


def test_classes_are_those_of_a_file_except_void_ones(tmp_path):
  folder = _write(tmp_path / "images", "1.png")
  (tmp_path / "c.yaml").write_text("{0: unlabeled, 7: cat, 3: dog}")
  found = mask_folders.read(
    folder, folder, classes=str(tmp_path / "c.yaml"), void_ids=(0, 255)
  )
  assert found.class_ids == (3, 7) and found.class_names == ("dog", "cat")
  table = found.table(2)
  assert table[[3, 7]].tolist() == [0, 1]
  assert table[[0, 255]].tolist() == [masked_images.VOID] * 2
  assert table[[1, 65535]].tolist() == [masked_images.BEYOND] * 2


def test_without_a_file_ids_count_from_zero(tmp_path):
  folder = _write(tmp_path / "images", "1.png")
  table = mask_folders.read(folder, folder).table(3)
  assert table[:4].tolist() == [0, 1, 2, masked_images.BEYOND]
  assert table[255] == masked_images.VOID


def test_the_error_for_unpaired_folders_says_what_to_change(tmp_path):
  images = _write(tmp_path / "images", "a/1.jpg")
  other = _write(tmp_path / "other", "1.png")
  assert mask_folders.read(None, None) is None
  with pytest.raises(
    errors.UsageError,
    match="none of the 1 images .* 'a/1.png' for 'a/1.jpg'; change MASKS",
  ):
    mask_folders.read(images, other)
  with pytest.raises(errors.UsageError, match="masks None: .*IMAGES and MASKS"):
    mask_folders.read(images, None)
  (tmp_path / "empty").mkdir()
  for pair in (
    (str(tmp_path / "empty"), other),
    (images, str(tmp_path / "no")),
  ):
    with pytest.raises(errors.UsageError, match="no image under|is not a fold"):
      mask_folders.read(*pair)


def test_contradicting_class_ids_are_named(tmp_path):
  folder = _write(tmp_path / "images", "1.png")
  with pytest.raises(errors.UsageError, match="-1.*0 to 65535.*VOID_IDS"):
    mask_folders.read(folder, folder, void_ids=(-1,))
  with pytest.raises(errors.UsageError, match="4, 4.*VOID_IDS"):
    mask_folders.read(folder, folder, void_ids=(4, 4))


def test_held_out_images_are_at_equal_distances(tmp_path):
  folder = _write(tmp_path / "images", *[f"{i:02}.png" for i in range(10)])
  train, test = masked_images.hold_out(mask_folders.read(folder, folder), 0.2)
  assert _names(test.images) == _names(test.masks) == ["04.png", "09.png"]
  assert train.num_images == 8
  assert not set(_names(train.images)) & set(_names(test.images))
  for fraction in (0.0, 1.0, 0.05):
    with pytest.raises(
      errors.UsageError, match=f"fraction of {fraction} .*HELD_OUT"
    ):
      masked_images.hold_out(mask_folders.read(folder, folder), fraction)


def test_a_digest_depends_on_masks_and_classes(tmp_path):
  images = _write(tmp_path / "images", "1.jpg")
  masks = _write(tmp_path / "masks", "1.png")
  found = mask_folders.read(images, masks)
  digest = masked_images.digest(found)
  assert digest["count"] == 1
  renamed = found._replace(class_ids=(0,), class_names=("x",))
  assert masked_images.digest(renamed) != digest
  with open(tmp_path / "masks" / "1.png", "ab") as file:
    file.write(b"longer")
  assert masked_images.digest(mask_folders.read(images, masks)) != digest


def test_camvids_layout(tmp_path):
  root = _write(tmp_path, "train/a.png", "trainannot/a.png", "test/b.png")
  found = camvid.read(root, split="train")
  assert _names(found.images) == ["a.png"]
  assert found.masks.path(0) == os.path.join(root, "trainannot", "a.png")
  assert len(found.class_names) == 11 and found.void_ids == (11,)
  with pytest.raises(errors.UsageError, match="testannot.*233 in test.*CAMVID"):
    camvid.read(root, split="test")


def test_ade20ks_layout(tmp_path):
  root = _write(tmp_path, "images/training/a.jpg", "annotations/training/a.png")
  found = ade20k.read(root, split="training")
  assert _names(found.images) == ["a.jpg"]
  assert found.class_ids == tuple(range(1, 151)) and found.void_ids == (0,)
  assert found.class_names == ()
  rows = [f"{i}\t0.1\t2\t3\t0\tname {i}, other" for i in range(1, 151)]
  (tmp_path / "objectInfo150.txt").write_text(
    "\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *rows])
  )
  named = ade20k.read(root, split="training")
  assert named.class_names[0] == "name 1" and len(named.class_names) == 150
  with pytest.raises(errors.UsageError, match="2,000 in validation.*ADE20K"):
    ade20k.read(root, split="validation")


def test_vocs_layout(tmp_path):
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


def test_real_data_are_read(shared_data):
  for split, count in (("train", 41), ("test", 26)):
    found = camvid.read(str(shared_data / "camvid"), split=split)
    assert found.num_images == count and not found.skipped
  coco = shared_data / "coco"
  found = mask_folders.read(
    str(coco / "train2017"),
    str(coco / "semantic_masks" / "train2017"),
    classes=str(coco / "semantic_masks" / "classes.yaml"),
    void_ids=(0,),
  )
  assert found.num_images == 100 and len(found.skipped) == 28
  assert found.class_names[:2] == ("person", "bicycle")
  assert 0 not in found.class_ids


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
