"""The choice of the pictures of a training set."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import training_sets
from tf_ssl.datasets import open_images
from tf_ssl.datasets.annotations import coco


def test_boxes_are_cut_out_with_a_margin(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8, margin=0.1
  )
  summary = training_sets_reference.write(chosen, tmp_path / "out")
  assert summary["pictures"] == 12 and summary["skipped"]["count"] == 0
  found = open_images.open_images(str(tmp_path / "out"), labeled=True)
  assert found.class_names == ("a_b", "cat")
  assert np.bincount(found.labels).tolist() == [6, 6]
  rows = training_sets_reference.rows_of(tmp_path / "out")
  assert rows[0] == {
    "file": "a_b/0_0000000.jpg",
    "shard": "",
    "class": "a_b",
    "source": "0.png",
    "xmin": "8",
    "ymin": "1",
    "xmax": "32",
    "ymax": "37",
  }
  for row in rows:
    xmin, ymin, xmax, ymax = (
      int(row[k]) for k in "xmin ymin xmax ymax".split()
    )
    pixels = np.asarray(Image.open(tmp_path / "out" / row["file"]), float)
    assert pixels.shape == (ymax - ymin, xmax - xmin, 3)
    rows_, columns = np.mgrid[ymin:ymax, xmin:xmax]
    number = int(row["source"].removesuffix(".png"))
    truth = np.stack([4 * columns, 4 * rows_, 0 * rows_ + 8 * number], -1)
    assert np.abs(pixels - truth).mean() < 4  # It is a JPEG.


def test_boxes_below_the_size_are_counted(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=15
  )
  assert set(chosen.records.labels.tolist()) == {0}
  summary = training_sets_reference.write(chosen, tmp_path / "out")
  assert summary["pictures"] == 6
  assert summary["left_out"] == {"shorter side below 15 px": 6}


def test_a_random_subset_has_the_size_of_another_set(tmp_path):
  twin = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path / "coco"), min_size=8
  )
  training_sets_reference.write(twin, tmp_path / "twin")
  for number in range(40):
    folder = tmp_path / "photos" / "xy"[number % 2]
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / f"{number}.png")
  whole = training_sets.of_images(str(tmp_path / "photos"))
  count = training_sets.size_of(str(tmp_path / "twin"))
  assert count == 12 == training_sets.size_of("12")
  part = training_sets.random_part(whole, count, seed=1)
  training_sets_reference.write(part, tmp_path / "part")
  found = open_images.open_images(str(tmp_path / "part"), labeled=True)
  assert found.num_images == 12 and found.class_names == ("x", "y")
  rows = training_sets_reference.rows_of(tmp_path / "part")
  assert len({row["source"] for row in rows}) == 12
  for row in rows:  # copied, not encoded again
    copy = (tmp_path / "part" / row["file"]).read_bytes()
    assert copy == (tmp_path / "photos" / row["source"]).read_bytes()
    assert row["file"].endswith(".png")
  other = training_sets.random_part(whole, count, seed=2)
  assert other.names != part.names


def test_a_subset_of_records_and_of_unlabeled_images(tmp_path):
  twin = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path / "coco"), min_size=8
  )
  training_sets_reference.write(twin, tmp_path / "records", form="tfrecord")
  part = training_sets.random_part(
    training_sets.of_images(str(tmp_path / "records")), 5
  )
  training_sets_reference.write(part, tmp_path / "part")
  assert {
    row["class"] for row in training_sets_reference.rows_of(tmp_path / "part")
  } == {"0", "1"}
  plain = training_sets.of_images(str(tmp_path / "coco" / "images"))
  training_sets_reference.write(plain, tmp_path / "plain", form="tfrecord")
  found = open_images.open_images(str(tmp_path / "plain"))
  assert found.num_images == 6
  assert not (tmp_path / "plain/classes.txt").exists()


def test_classes_become_folders_with_different_names(tmp_path):
  classes = ["a/b", "a_b", "..", " x ", "X", "X_6", "x"]
  assert training_sets.class_folders(classes) == (
    "a_b",
    "a_b_1",
    "_2",
    "x",
    "X_4",
    "X_6",
    "x_6_6",
  )


def test_long_names_of_classes_and_images_are_shortened(tmp_path):
  name, class_name = "ü" * 120 + "/" + "é" * 60 + ".png", "漢" * 100
  file = tmp_path / name
  file.parent.mkdir()
  Image.new("RGB", (20, 20)).save(file)
  boxes = tmp_path / "boxes.csv"
  boxes.write_text(
    f"path,label,xmin,ymin,xmax,ymax\n{name},{class_name},0,0,20,20\n"
  )
  chosen = training_sets.choose(str(boxes), None, None, None, min_size=8)
  summary = training_sets_reference.write(chosen, tmp_path / "out")
  assert summary["pictures"] == 1 and summary["skipped"]["count"] == 0
  (written,) = (tmp_path / "out").glob("漢*/*é_0000000.jpg")
  assert written.is_file()


@pytest.mark.parametrize("count", [0, 41])
def test_a_subset_larger_than_the_set_is_refused(tmp_path, count):
  for number in range(40):
    Image.new("RGB", (4, 4)).save(tmp_path / f"{number}.png")
  whole = training_sets.of_images(str(tmp_path))
  with pytest.raises(errors.UsageError, match="1 to 40.*match_to"):
    training_sets.random_part(whole, count)


def test_pictures_of_any_path_are_visible_files(tmp_path):
  training_sets_reference.coco_set(tmp_path)
  file = tmp_path / "boxes.json"
  content = json.loads(file.read_text())
  deep = "d" * 250
  for number, name in enumerate(
    ("./0.png", ".1.png", "a\n\udcff.png", f"{deep}/3.png")
  ):
    path = tmp_path / "images" / name
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "images" / f"{number}.png").rename(path)
    content["images"][number]["file_name"] = name
  content["categories"][0]["name"] = "\udcff"
  content["categories"][1]["name"] = "c" * 300
  file.write_text(json.dumps(content))
  annotations = coco.read(str(file), str(tmp_path / "images"))
  chosen = training_sets.of_boxes(annotations, min_size=8)
  training_sets_reference.write(chosen, tmp_path / "out")
  rows = training_sets_reference.rows_of(tmp_path / "out")
  assert [row["file"] for row in rows[:6:2]] == [
    "__xff/0_0000000.jpg",
    "__xff/1_0000002.jpg",
    "__xff/a_n_xff_0000004.jpg",
  ]
  assert rows[4]["source"] == r"a\n\xff.png"
  assert len({row["file"] for row in rows}) == 12
  found = open_images.open_images(str(tmp_path / "out"), labeled=True)
  assert found.num_images == 12


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
