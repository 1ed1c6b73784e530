"""Tests of tf_ssl.datasets.masks.ade20k."""

import os
import sys

import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import ade20k


def _write(root, *names):
  for name in names:
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("L" if name.endswith("png") else "RGB", [4, 3]).save(path)
  return str(root)


def _names(records):
  return [records.name(i) for i in range(records.num_images)]


def test_images_and_masks_of_a_split_are_paired(tmp_path):
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


@pytest.mark.parametrize(
  "rows",
  [
    [f"{i}\t0.1\tname {i}" for i in range(1, 150)],  # One is missing.
    ["one\t0.1\tname", *[f"{i}\t0.1\tname" for i in range(2, 151)]],
  ],
)
def test_a_malformed_file_of_names_leaves_classes_without_names(tmp_path, rows):
  root = _write(tmp_path, "images/training/a.jpg", "annotations/training/a.png")
  (tmp_path / "objectInfo150.txt").write_text("\n".join(["Idx", *rows]))
  found = ade20k.read(root, split="training")
  assert found.class_names == () and len(found.class_ids) == 150


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
