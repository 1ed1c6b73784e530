"""Rendered scenes as files."""

import csv
import json
import pathlib
import sys

import cv2
import numpy as np
import pytest
from pycocotools import coco

from tf_ssl import errors
from tf_ssl.rendering import synthetic, video_files, workers

_SIZE = (48, 64)


@pytest.fixture(name="cache", scope="module")
def fixture_cache(tmp_path_factory):
  return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(name="folder", scope="module")
def fixture_folder(cache):
  return pathlib.Path(
    synthetic.rendered_scenes(num_images=3, image_size=_SIZE, cache_dir=cache)
  )


def _read(folder, kind, number):
  path = folder / kind / f"{number:06d}.png"
  return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_a_scene_is_the_first_frame_of_its_video(folder):
  for number in range(3):
    video = synthetic.render_video(0, number, 1, image_size=_SIZE)
    image = _read(folder, "images", number)[..., ::-1]
    np.testing.assert_array_equal(image, video.frames[0])
    classes = np.concatenate([[0], 1 + video.categories])
    mask = _read(folder, "masks", number)
    np.testing.assert_array_equal(mask, classes[video.masks[0]])


def test_boxes_are_cocos_and_true(folder, capsys):
  found = coco.COCO(str(folder / "annotations.json"))
  capsys.readouterr()
  assert [c["name"] for c in found.loadCats(found.getCatIds())] == list(
    synthetic.CATEGORIES
  )
  for number in range(3):
    video = synthetic.render_video(0, number, 1, image_size=_SIZE)
    seen = [
      n
      for n in range(len(video.categories))
      if (video.masks[0] == n + 1).sum() >= video_files.MIN_VISIBLE_PIXELS
    ]
    image = found.imgs[number]
    assert image["file_name"] == f"{number:06d}.png"
    assert (image["height"], image["width"]) == _SIZE
    rows = found.loadAnns(found.getAnnIds(imgIds=number))
    assert [row["category_id"] for row in rows] == [
      1 + video.categories[n] for n in seen
    ]
    for row, n in zip(rows, seen, strict=True):
      xmin, ymin, width, height = row["bbox"]
      box = [xmin, ymin, xmin + width, ymin + height]
      np.testing.assert_array_equal(box, video.boxes[0][n])
      assert row["area"] == width * height and row["iscrowd"] == 0
    with open(folder / f"boxes/{number:06d}.csv", newline="") as file:
      assert len(list(csv.DictReader(file))) == len(rows)


def test_classes_are_named(folder):
  names = json.loads((folder / "classes.json").read_text())
  assert names["0"] == "no object"
  assert [names[str(1 + i)] for i in range(10)] == list(synthetic.CATEGORIES)


def test_a_folder_is_rendered_once_and_again_where_it_was_changed(
  folder, cache, monkeypatch
):
  def refuse(*args, **kwargs):
    raise AssertionError("rendered again")

  arguments = {"num_images": 3, "image_size": _SIZE, "cache_dir": cache}
  with monkeypatch.context() as patch:
    patch.setattr(workers, "render_scenes", refuse)
    assert synthetic.rendered_scenes(**arguments) == str(folder)
  before = (folder / "annotations.json").read_text()
  (folder / "annotations.json").write_text("{}")
  synthetic.rendered_scenes(**arguments)
  assert (folder / "annotations.json").read_text() == before


def test_processes_render_the_same(folder, tmp_path):
  for name in ("images", "masks", "boxes"):
    (tmp_path / name).mkdir()
  workers.render_scenes(
    tmp_path, {0: 0, 1: 1, 2: 2}, seed=0, image_size=_SIZE, processes=2
  )
  for path in folder.rglob("*.*"):
    copy = tmp_path / path.relative_to(folder)
    assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"num_images": 0}, "num_images=0: expected 1 or more"),
    ({"image_size": 8}, "image_size=8: expected 16"),
    ({"split": "test"}, "split='test': expected one of train"),
    ({"seed": -1}, "seed=-1"),
  ],
)
def test_numbers_out_of_range_are_refused(tmp_path, changes, message):
  with pytest.raises(errors.UsageError, match=message):
    synthetic.rendered_scenes(cache_dir=str(tmp_path), **changes)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
