"""Tests of tf_ssl.datasets.masks.camvid."""

import os
import sys

import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import camvid


def _write(root, *names):
  for name in names:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("L" if name.endswith("png") else "RGB", [4, 3]).save(path)
  return str(root)


def _names(records):
  return [records.name(i) for i in range(records.num_images)]


def test_images_and_masks_of_a_split_are_paired(tmp_path):
  root = _write(tmp_path, "train/a.png", "trainannot/a.png", "test/b.png")
  found = camvid.read(root, split="train")
  assert _names(found.images) == ["a.png"]
  assert found.masks.path(0) == os.path.join(root, "trainannot", "a.png")
  assert len(found.class_names) == 11 and found.void_ids == (11,)
  with pytest.raises(errors.UsageError, match="testannot.*233 in test.*CAMVID"):
    camvid.read(root, split="test")


@pytest.mark.parametrize(("split", "count"), [("train", 41), ("test", 26)])
def test_masks_of_the_real_dataset_hold_its_ids(shared_data, split, count):
  found = camvid.read(str(shared_data / "camvid"), split=split)
  assert found.num_images == count and not found.skipped
  assert found.source == f"CamVid {split}"
  with Image.open(found.masks.path(0)) as mask:
    values = set(mask.getdata())
  assert len(values) > 3
  assert values <= {*found.class_ids, *found.void_ids}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
