"""Tests of tf_ssl.datasets.masks.mask_folders."""

import os
import sys

import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import mask_folders, masked_images


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


def test_class_ids_choose_the_classes_and_are_not_void(tmp_path):
  folder = _write(tmp_path / "images", "1.png")
  found = mask_folders.read(folder, folder, class_ids=(0, 255))
  assert found.class_ids == (0, 255) and found.void_ids == ()
  assert found.class_names == ("class 0", "class 255")
  (tmp_path / "names.txt").write_text("0: sky\n7: road\n255: car")
  found = mask_folders.read(
    folder,
    folder,
    classes=str(tmp_path / "names.txt"),
    class_ids=(255, 0),
    void_ids=(255, 7),
  )
  assert found.class_ids == (255, 0) and found.void_ids == (7,)
  assert found.class_names == ("car", "sky")
  assert found.table(2)[[0, 7, 255]].tolist() == [1, masked_images.VOID, 0]


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


@pytest.mark.parametrize("void_ids", [(-1,), (4, 4), (65536,)])
def test_contradicting_void_ids_are_named(tmp_path, void_ids):
  folder = _write(tmp_path / "images", "1.png")
  ids = str(void_ids).strip("(,)")
  with pytest.raises(errors.UsageError, match=f"{ids}.*VOID_IDS"):
    mask_folders.read(folder, folder, void_ids=void_ids)


def test_a_dataset_is_named_after_its_images_or_by_the_user(tmp_path):
  folder = _write(tmp_path / "images", "1.png")
  assert mask_folders.read(folder, folder).source == folder
  assert mask_folders.read(folder, folder, source="mine").source == "mine"


def test_cocos_panoptic_categories_are_read(shared_data):
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
