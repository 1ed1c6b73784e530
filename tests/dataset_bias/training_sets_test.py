"""Training sets that are written: which pictures, whole, and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.dataset_bias import (
  training_set_files,
  training_sets,
  write_training_set,
)
from tf_ssl.datasets import coco, open_images


def coco_set(root, *, count=6):
  """Pictures of 60 x 40 whose pixels say where they are; two boxes in each."""
  (root / "images").mkdir(parents=True)
  images, boxes = [], []
  for i in range(count):
    rows, columns = np.mgrid[:40, :60]
    image = np.stack([4 * columns, 4 * rows, np.full_like(rows, 8 * i)], -1)
    Image.fromarray(image.astype(np.uint8)).save(root / f"images/{i}.png")
    images.append({"id": i, "file_name": f"{i}.png", "width": 60, "height": 40})
    boxes += [(i, 1, [10, 4, 20, 30]), (i, 2, [30, 0, 30, 10])]
  content = {
    "images": images,
    "categories": [{"id": 1, "name": "a/b"}, {"id": 2, "name": "cat"}],
    "annotations": [
      {"id": n, "image_id": i, "category_id": of, "bbox": box}
      for n, (i, of, box) in enumerate(boxes)
    ],
  }
  (root / "boxes.json").write_text(json.dumps(content))
  return coco.read(str(root / "boxes.json"), str(root / "images"))


def write(chosen, out, **settings):
  return write_training_set.write(chosen, str(out), **settings)


def rows_of(out):
  with open(out / "pictures.csv", newline="") as file:
    return list(csv.DictReader(file))


def test_boxes_are_cut_out_with_a_margin(tmp_path):
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8, margin=0.1)
  summary = write(chosen, tmp_path / "out")
  assert summary["pictures"] == 12 and summary["skipped"]["count"] == 0
  found = open_images.open_images(str(tmp_path / "out"), labelled=True)
  assert found.class_names == ("a_b", "cat")
  assert np.bincount(found.labels).tolist() == [6, 6]
  rows = rows_of(tmp_path / "out")
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
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=15)
  assert set(chosen.records.labels.tolist()) == {0}
  summary = write(chosen, tmp_path / "out")
  assert summary["pictures"] == 6
  assert summary["left_out"] == {"shorter side below 15 px": 6}


def test_records_hold_the_same_pictures_and_labels(tmp_path, monkeypatch):
  monkeypatch.setattr(write_training_set, "_PART", 5)
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8)
  write(chosen, tmp_path / "files")
  write(chosen, tmp_path / "records", form="tfrecord")
  shards = sorted(p.name for p in (tmp_path / "records").glob("*.tfrecord"))
  assert shards == [f"pictures-{i:05d}-of-00003.tfrecord" for i in range(3)]
  found = open_images.open_images(str(tmp_path / "records"), labelled=True)
  np.testing.assert_array_equal(found.labels, chosen.records.labels)
  assert (tmp_path / "records/classes.txt").read_text() == "a_b\ncat\n"
  dataset = tf.data.TFRecordDataset(
    [str(tmp_path / "records" / name) for name in shards]
  )
  rows = rows_of(tmp_path / "records")
  for serialized, row in zip(dataset.as_numpy_iterator(), rows, strict=True):
    features = tf.train.Example.FromString(serialized).features.feature
    (encoded,) = features["image/encoded"].bytes_list.value
    assert encoded == (tmp_path / "files" / row["file"]).read_bytes()
    (text,) = features["image/class/text"].bytes_list.value
    assert text.decode() == row["class"]
    assert row["shard"] in shards


def test_a_random_part_has_the_size_of_another_set(tmp_path):
  twin = training_sets.of_boxes(coco_set(tmp_path / "coco"), min_size=8)
  write(twin, tmp_path / "twin")
  for number in range(40):
    folder = tmp_path / "photos" / "xy"[number % 2]
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / f"{number}.png")
  whole = training_sets.of_images(str(tmp_path / "photos"))
  count = training_sets.size_of(str(tmp_path / "twin"))
  assert count == 12 == training_sets.size_of("12")
  part = training_sets.random_part(whole, count, seed=1)
  write(part, tmp_path / "part")
  found = open_images.open_images(str(tmp_path / "part"), labelled=True)
  assert found.num_images == 12 and found.class_names == ("x", "y")
  rows = rows_of(tmp_path / "part")
  assert len({row["source"] for row in rows}) == 12
  for row in rows:  # copied, not encoded again
    copy = (tmp_path / "part" / row["file"]).read_bytes()
    assert copy == (tmp_path / "photos" / row["source"]).read_bytes()
    assert row["file"].endswith(".png")
  other = training_sets.random_part(whole, count, seed=2)
  assert other.names != part.names


def test_a_part_of_records_and_of_unlabelled_images(tmp_path):
  twin = training_sets.of_boxes(coco_set(tmp_path / "coco"), min_size=8)
  write(twin, tmp_path / "records", form="tfrecord")
  part = training_sets.random_part(
    training_sets.of_images(str(tmp_path / "records")), 5
  )
  write(part, tmp_path / "part")
  assert {row["class"] for row in rows_of(tmp_path / "part")} == {"0", "1"}
  plain = training_sets.of_images(str(tmp_path / "coco" / "images"))
  write(plain, tmp_path / "plain", form="tfrecord")
  found = open_images.open_images(str(tmp_path / "plain"))
  assert found.num_images == 6
  assert not (tmp_path / "plain/classes.txt").exists()


def test_the_same_again_is_done_already_and_another_is_refused(tmp_path):
  annotations = coco_set(tmp_path)
  chosen = training_sets.of_boxes(annotations, min_size=8)
  first = write(chosen, tmp_path / "out")
  before = (tmp_path / "out/summary.json").stat().st_mtime_ns
  said = []
  again = write(chosen, tmp_path / "out", say=said.append)
  assert again == first
  assert "is done already" in said[0]
  assert (tmp_path / "out/summary.json").stat().st_mtime_ns == before
  other = training_sets.of_boxes(annotations, min_size=15)
  with pytest.raises(errors.UsageError, match="holds something else"):
    write(other, tmp_path / "out")
  write(other, tmp_path / "out", overwrite=True)
  assert len(rows_of(tmp_path / "out")) == 6
  assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("form", training_set_files.FORMATS)
def test_interrupted_it_goes_on_with_the_next_part(tmp_path, monkeypatch, form):
  monkeypatch.setattr(write_training_set, "_PART", 4)
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8)
  write(chosen, tmp_path / "whole", form=form)
  make = training_set_files.pictures
  parts = []

  def some(training_set, start, stop):
    parts.append(start)
    for picture in make(training_set, start, stop):
      if start == 8 and picture.row == 10 and parts.count(8) == 1:
        raise KeyboardInterrupt
      yield picture

  monkeypatch.setattr(training_set_files, "pictures", some)
  with pytest.raises(KeyboardInterrupt):
    write(chosen, tmp_path / "out", form=form)
  assert not (tmp_path / "out").exists()
  (tmp_path / "out.partial/.x.tfrecord.0.tmp").write_text("of a killed run")
  with open(tmp_path / "out.partial/journal.jsonl", "a") as file:
    file.write('{"part": 2, "ro')  # half a line
  write(chosen, tmp_path / "out", form=form)
  assert parts == [0, 4, 8, 8]
  assert _contents(tmp_path / "out") == _contents(tmp_path / "whole")


def test_a_partial_set_of_something_else_is_begun_anew(tmp_path, monkeypatch):
  annotations = coco_set(tmp_path)

  def stop(*unused):
    raise KeyboardInterrupt
    yield

  with monkeypatch.context() as patched:
    patched.setattr(training_set_files, "write_shard", stop)
    with pytest.raises(KeyboardInterrupt):
      write(
        training_sets.of_boxes(annotations, min_size=8),
        tmp_path / "out",
        form="tfrecord",
      )
  (tmp_path / "out.partial/old.jpg").write_text("old")
  write(training_sets.of_boxes(annotations, min_size=15), tmp_path / "out")
  assert len(rows_of(tmp_path / "out")) == 6
  assert not (tmp_path / "out/old.jpg").exists()


_KILLED = """
import os, signal, sys
from tf_ssl.dataset_bias import training_set_files, training_sets
from tf_ssl.dataset_bias import write_training_set
from tf_ssl.datasets import coco
write_training_set._PART = 4
make = training_set_files.pictures
def pictures(training_set, start, stop):
  for picture in make(training_set, start, stop):
    if picture.row == 6:
      os.kill(os.getpid(), signal.SIGKILL)
    yield picture
training_set_files.pictures = pictures
root, form = sys.argv[1:]
chosen = training_sets.of_boxes(
  coco.read(f"{root}/boxes.json", f"{root}/images"), min_size=8
)
write_training_set.write(chosen, f"{root}/out", form=form)
"""


def test_killed_it_goes_on(tmp_path, monkeypatch, repository):
  monkeypatch.setattr(write_training_set, "_PART", 4)
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8)
  write(chosen, tmp_path / "whole", form="tfrecord")
  killed = subprocess.run(
    [sys.executable, "-c", _KILLED, str(tmp_path), "tfrecord"],
    cwd=repository,
    env={**os.environ, "PYTHONPATH": str(repository)},
    capture_output=True,
  )
  assert killed.returncode == -signal.SIGKILL, killed.stderr
  assert not (tmp_path / "out").exists()
  said = []
  write(chosen, tmp_path / "out", form="tfrecord", say=said.append)
  assert "1 parts are done" in said[0]
  assert _contents(tmp_path / "out") == _contents(tmp_path / "whole")


def test_two_processes_do_not_write_one_folder(tmp_path):
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8)
  partial = tmp_path / "out.partial"
  partial.mkdir()
  with write_training_set._locked(partial):
    with pytest.raises(errors.UsageError, match="another process is writing"):
      write(chosen, tmp_path / "out")


def test_bad_images_are_skipped_counted_and_named(tmp_path):
  chosen = training_sets.of_boxes(coco_set(tmp_path, count=30), min_size=8)
  (tmp_path / "images/3.png").write_bytes(b"\x89PNG but no picture")
  summary = write(chosen, tmp_path / "out")
  assert summary["pictures"] == 58
  assert summary["skipped"]["count"] == 2
  names = list(summary["skipped"]["reasons"])
  assert names[0] == "a_b/3_0000006 of 3.png"
  assert "corrupt PNG" in summary["skipped"]["reasons"][names[0]]
  assert {row["source"] for row in rows_of(tmp_path / "out")} == {
    f"{i}.png" for i in range(30) if i != 3
  }
  with pytest.raises(errors.UsageError, match="could not be used"):
    write(chosen, tmp_path / "strict", max_skipped_fraction=0.01)
  assert not (tmp_path / "strict").exists()


def test_an_image_smaller_than_its_annotation_says_is_skipped(tmp_path):
  chosen = training_sets.of_boxes(coco_set(tmp_path, count=30), min_size=8)
  Image.new("RGB", (12, 12)).save(tmp_path / "images/0.png")
  summary = write(chosen, tmp_path / "out")
  (reason,) = summary["skipped"]["reasons"].values()
  assert "less than 2 px of the 12x12 image" in reason


def test_classes_become_folders_that_differ(tmp_path):
  assert training_sets._folders(["a/b", "a_b", "..", " x "]) == (
    "a_b",
    "a_b_1",
    "_2",
    "x",
  )


@pytest.mark.parametrize("count", [0, 41])
def test_more_than_there_is_cannot_be_chosen(tmp_path, count):
  for number in range(40):
    Image.new("RGB", (4, 4)).save(tmp_path / f"{number}.png")
  whole = training_sets.of_images(str(tmp_path))
  with pytest.raises(errors.UsageError, match="1 to the 40 that are there"):
    training_sets.random_part(whole, count)


def test_an_unknown_format_is_refused(tmp_path):
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8)
  with pytest.raises(errors.UsageError, match="folder or tfrecord"):
    write(chosen, tmp_path / "out", form="zip")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
  chosen = training_sets.of_boxes(coco_set(tmp_path), min_size=8)
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="cannot write"):
    write(chosen, tmp_path / "file" / "out")


def _contents(folder):
  """All bytes but those of the summary, which holds no other command here."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
