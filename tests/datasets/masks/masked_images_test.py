"""Tests of tf_ssl.datasets.masks.masked_images."""

import os
import sys
import unicodedata

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


def test_contradicting_class_ids_are_named(tmp_path):
  folder = _write(tmp_path / "images", "1.png")
  with pytest.raises(errors.UsageError, match="-1.*0 to 65535.*VOID_IDS"):
    mask_folders.read(folder, folder, void_ids=(-1,))
  with pytest.raises(errors.UsageError, match="4, 4.*VOID_IDS"):
    mask_folders.read(folder, folder, void_ids=(4, 4))


def test_names_in_two_unicode_forms_are_one(tmp_path):
  nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
  images = _write(tmp_path / "images", f"{nfc}.jpg", f"a/{nfd}.jpg")
  masks = _write(tmp_path / "masks", f"{nfd}.png", f"a/{nfc}.png")
  found = mask_folders.read(images, masks)
  assert not found.skipped
  assert _names(found.masks) == [f"a/{nfc}.png", f"{nfd}.png"]


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


def test_taken_images_keep_their_masks(tmp_path):
  folder = _write(tmp_path / "images", "1.png", "2.png", "3.png")
  taken = mask_folders.read(folder, folder).take([2, 0])
  assert _names(taken.images) == _names(taken.masks) == ["3.png", "1.png"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
