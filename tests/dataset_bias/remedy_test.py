"""Tests of tf_ssl.dataset_bias.remedy."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.augment import crop
from tf_ssl.dataset_bias import (
  crop_statistics,
  find_objects,
  object_boxes,
  remedy,
)
from tf_ssl.datasets import image_folder
from tf_ssl.datasets.annotations import open_annotations
from tf_ssl.training import settings as settings_lib
from tools._cli import gin_files, gin_runs

_CORNERS = [[0, 0, 30, 30], [66, 66, 96, 96], [0, 66, 30, 96]]


def means(foremost, overlap):
  found = {n: crop_statistics.Mean(0, 0, 0) for n in crop_statistics.QUANTITIES}
  for name, value in (("same_foremost", foremost), ("overlap", overlap)):
    found[name] = crop_statistics.Mean(value, value, value)
  return found


@pytest.mark.parametrize(
  "others, expected",
  [
    ({"a": (0.6, 0.3), "b": (0.7, 0.35)}, "b"),
    ({"a": (0.6, 0.3), "b": (0.7, 0.41)}, "a"),  # b's views are almost copies.
    ({"a": (0.54, 0.3)}, remedy.PLAIN),  # No gain of 5 points.
  ],
)
def test_the_cropper_with_the_most_pairs_of_one_object_is_chosen(
  others, expected
):
  found = {remedy.PLAIN: means(0.5, 0.3)}
  found |= {name: means(*values) for name, values in others.items()}
  assert remedy.choose(found) == expected


def scenes(boxes):
  return object_boxes.from_rows(
    np.full([6, 2], 96),
    np.repeat(np.arange(6), len(boxes)),
    np.tile(boxes, [6, 1]),
    np.zeros(6 * len(boxes), int),
    ("a",),
  )


def compared(objects, boxes="b.json", images=None, **settings):
  crop_range = crop.CropRange()
  plain = crop_statistics.simulate(objects, crop_range, pairs=64)
  return remedy.compare(
    objects,
    crop_range,
    plain={n: crop_statistics.mean(plain, n) for n in plain.sums},
    boxes=boxes,
    images=images,
    view_size=16,
    **settings,
  )


def test_scenes_of_small_objects_need_a_cropper_and_its_gin_lines():
  found = compared(scenes(_CORNERS))
  assert list(found.means) == [c.name for c in remedy.candidates(16)]
  assert found.chosen != remedy.PLAIN
  include, boxes, *_ = found.gin
  assert include.startswith('include "gin_configs/base/crops_')
  assert boxes == "BOXES = 'b.json'"
  estimated = compared(scenes(_CORNERS), boxes=None)
  write, boxes = estimated.gin[1:3]
  assert "tools.find_objects --images=photos/ --output_dir=objects" in write
  assert boxes == f"BOXES = 'objects/{find_objects.BOXES_FILE}'"
  named = compared(scenes(_CORNERS), boxes=None, images="my photos")
  assert "tools.find_objects '--images=my photos'" in named.gin[1]


def test_an_object_that_fills_the_image_needs_none():
  found = compared(scenes([[0, 0, 96, 96]]))
  assert found.chosen == remedy.PLAIN and found.gin == ()


def test_every_fragment_exists(repository):
  for candidate in remedy.candidates(16)[1:]:
    path = repository / "gin_configs" / "base" / f"{candidate.fragment}.gin"
    text = path.read_text()
    for binding in candidate.bindings:
      assert f"{binding.split(' ')[0]} = " in text


def write_images(folder, names):
  folder.mkdir(parents=True)
  for name in names:
    Image.new("RGB", (96, 96)).save(folder / name)


def write_manifest(root):
  """Names count from the manifest's folder; no folder of images is given."""
  write_images(root / "photos", ["a.png", "b.png"])
  rows = [
    f"photos/{name}.png,{','.join(map(str, box))}\n"
    for name in "ab"
    for box in _CORNERS
  ]
  (root / "boxes.csv").write_text("path,xmin,ymin,xmax,ymax\n" + "".join(rows))
  return {"boxes": str(root / "boxes.csv")}, root / "photos"


def write_coco(root):
  """Names count from the parent of the training images."""
  write_images(root / "photos", ["a.png", "b.png"])
  boxes = [
    {"id": 4 * i + n, "image_id": i, "category_id": 1, "bbox": [x, y, 30, 30]}
    for i in range(2)
    for n, (x, y, *_) in enumerate(_CORNERS)
  ]
  content = {
    "images": [
      {"id": i, "file_name": f"photos/{n}.png", "width": 96, "height": 96}
      for i, n in enumerate("ab")
    ],
    "categories": [{"id": 1, "name": "x"}],
    "annotations": boxes,
  }
  (root / "boxes.json").write_text(json.dumps(content))
  given = {"boxes": str(root / "boxes.json"), "images": str(root)}
  return given, root / "photos"


def write_voc(root):
  """The split test has another image than trainval."""
  write_images(root / "JPEGImages", ["a.jpg", "b.jpg"])
  (root / "Annotations").mkdir()
  (root / "ImageSets/Main").mkdir(parents=True)
  sides = ("xmin", "ymin", "xmax", "ymax")
  for name, split in (("a", "trainval"), ("b", "test")):
    objects = "".join(
      "<object><name>x</name><bndbox>"
      + "".join(f"<{s}>{v}</{s}>" for s, v in zip(sides, box, strict=True))
      + "</bndbox></object>"
      for box in _CORNERS
    )
    text = f"<annotation>{objects}</annotation>"
    (root / f"Annotations/{name}.xml").write_text(text)
    (root / f"ImageSets/Main/{split}.txt").write_text(f"{name}\n")
  return {"boxes": str(root), "split": "test"}, root / "JPEGImages"


@pytest.mark.parametrize("write", [write_manifest, write_coco, write_voc])
def test_the_lines_to_paste_load_the_boxes_that_were_diagnosed(tmp_path, write):
  given, folder = write(tmp_path)
  annotations = open_annotations.open_annotations(
    given["boxes"], given.get("images"), split=given.get("split", "trainval")
  )
  found = compared(object_boxes.of_annotations(annotations), **given)
  (tmp_path / "pasted.gin").write_text("\n".join(found.gin))
  with gin_runs._own_config():
    gin_files.load(
      ["gin_configs/pretrain/moco_v2_folder.gin", str(tmp_path / "pasted.gin")],
      [f"IMAGES = {str(folder)!r}"],
    )
    settings = gin_files.configured(settings_lib.Pretraining)()
  records = settings.boxes.attach(image_folder.read(str(folder)))
  offsets = records.objects.offsets
  loaded = {
    records.name(i): sorted(
      records.objects.boxes[offsets[i] : offsets[i + 1], 0].tolist()
    )
    for i in range(records.num_images)
    if offsets[i] < offsets[i + 1]
  }
  diagnosed = {
    os.path.basename(annotations.images.name(i)): sorted(
      (annotations.boxes[annotations.image_index == i][:, [1, 0, 3, 2]] / 96)
      .astype(np.float32)
      .tolist()
    )
    for i in range(annotations.num_images)
  }
  assert loaded == diagnosed


def test_a_manifest_in_the_working_folder_has_it_as_folder_of_images():
  assert "BOX_IMAGES = '.'" in compared(scenes(_CORNERS), "b.csv").gin


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
