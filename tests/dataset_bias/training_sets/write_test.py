"""Writing training sets: formats, skipped pictures, resuming after a kill."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import training_sets, write
from tf_ssl.datasets import open_images
from tf_ssl.ops import workdir


def test_a_complete_set_is_kept_and_another_one_refused(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  chosen = training_sets.of_boxes(annotations, min_size=8)
  first = training_sets_reference.write(chosen, tmp_path / "out")
  before = (tmp_path / "out/summary.json").stat().st_mtime_ns
  said = []
  again = training_sets_reference.write(
    chosen, tmp_path / "out", say=said.append
  )
  assert again == first
  assert "already complete" in said[0]
  assert (tmp_path / "out/summary.json").stat().st_mtime_ns == before
  other = training_sets.of_boxes(annotations, min_size=15)
  with pytest.raises(errors.UsageError, match="out.*--overwrite"):
    training_sets_reference.write(other, tmp_path / "out")
  training_sets_reference.write(other, tmp_path / "out", overwrite=True)
  assert len(training_sets_reference.rows_of(tmp_path / "out")) == 6
  assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("form", write.FORMATS)
def test_an_interrupted_call_resumes_with_the_next_part(
  tmp_path, monkeypatch, form
):
  monkeypatch.setattr(write, "_PART", 4)
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  training_sets_reference.write(chosen, tmp_path / "whole", form=form)
  make = write.pictures
  parts = []

  def some(training_set, start, stop):
    parts.append(start)
    for picture in make(training_set, start, stop):
      if start == 8 and picture.row == 10 and parts.count(8) == 1:
        raise KeyboardInterrupt
      yield picture

  monkeypatch.setattr(write, "pictures", some)
  with pytest.raises(KeyboardInterrupt):
    training_sets_reference.write(chosen, tmp_path / "out", form=form)
  assert not (tmp_path / "out").exists()
  (tmp_path / "out.partial/.x.tfrecord.0.tmp").write_text("of a killed run")
  with open(tmp_path / "out.partial/journal.jsonl", "ab") as file:
    file.write(b'5\n\xff\n{"part": 2, "ro')  # Damage, then half a line.
  training_sets_reference.write(chosen, tmp_path / "out", form=form)
  assert parts == [0, 4, 8, 8]
  assert training_sets_reference.contents(
    tmp_path / "out"
  ) == training_sets_reference.contents(tmp_path / "whole")


def test_a_partial_set_of_other_pictures_is_replaced(tmp_path, monkeypatch):
  annotations = training_sets_reference.coco_set(tmp_path)

  def stop(*unused):
    raise KeyboardInterrupt
    yield

  with monkeypatch.context() as patched:
    patched.setattr(write, "write_shard", stop)
    with pytest.raises(KeyboardInterrupt):
      training_sets_reference.write(
        training_sets.of_boxes(annotations, min_size=8),
        tmp_path / "out",
        form="tfrecord",
      )
  (tmp_path / "out.partial/old.jpg").write_text("old")
  training_sets_reference.write(
    training_sets.of_boxes(annotations, min_size=15), tmp_path / "out"
  )
  assert len(training_sets_reference.rows_of(tmp_path / "out")) == 6
  assert not (tmp_path / "out/old.jpg").exists()


_KILLED = """
import os, signal, sys
from tf_ssl.dataset_bias.training_sets import training_sets, write
from tf_ssl.datasets.annotations import coco
write._PART = 4
make = write.pictures
def pictures(training_set, start, stop):
  for picture in make(training_set, start, stop):
    if picture.row == 6:
      os.kill(os.getpid(), signal.SIGKILL)
    yield picture
write.pictures = pictures
root, form = sys.argv[1:]
chosen = training_sets.of_boxes(
  coco.read(f"{root}/boxes.json", f"{root}/images"), min_size=8
)
write.write(chosen, f"{root}/out", form=form)
"""


def test_a_killed_call_resumes(tmp_path, monkeypatch, repository):
  monkeypatch.setattr(write, "_PART", 4)
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  training_sets_reference.write(chosen, tmp_path / "whole", form="tfrecord")
  killed = subprocess.run(
    [sys.executable, "-c", _KILLED, str(tmp_path), "tfrecord"],
    cwd=repository,
    env={**os.environ, "PYTHONPATH": str(repository)},
    capture_output=True,
  )
  assert killed.returncode == -signal.SIGKILL, killed.stderr
  assert not (tmp_path / "out").exists()
  said = []
  training_sets_reference.write(
    chosen, tmp_path / "out", form="tfrecord", say=said.append
  )
  assert "1 parts" in said[0]
  assert training_sets_reference.contents(
    tmp_path / "out"
  ) == training_sets_reference.contents(tmp_path / "whole")


def test_two_processes_do_not_write_one_folder(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  partial = tmp_path / "out.partial"
  partial.mkdir()
  with workdir.locked(partial, "--output_dir"):
    with pytest.raises(
      errors.UsageError, match="out.partial is in use.*--output_dir"
    ):
      training_sets_reference.write(chosen, tmp_path / "out")


def test_an_unknown_format_is_refused(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  with pytest.raises(
    errors.UsageError, match="zip.*folder or tfrecord.*--format"
  ):
    training_sets_reference.write(chosen, tmp_path / "out", form="zip")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="file/out.*--output_dir"):
    training_sets_reference.write(chosen, tmp_path / "file" / "out")


def test_a_file_at_the_output_is_replaced_only_with_overwrite(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  chosen = training_sets.of_boxes(annotations, min_size=8)
  (tmp_path / "out").write_text("mine")
  with pytest.raises(errors.UsageError, match="out.*--overwrite"):
    training_sets_reference.write(chosen, tmp_path / "out")
  assert (tmp_path / "out").read_text() == "mine"
  training_sets_reference.write(chosen, tmp_path / "out", overwrite=True)
  assert len(training_sets_reference.rows_of(tmp_path / "out")) == 12


def test_records_hold_the_same_pictures_and_labels(tmp_path, monkeypatch):
  monkeypatch.setattr(write, "_PART", 5)
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  training_sets_reference.write(chosen, tmp_path / "files")
  training_sets_reference.write(chosen, tmp_path / "records", form="tfrecord")
  shards = sorted(p.name for p in (tmp_path / "records").glob("*.tfrecord"))
  assert shards == [f"pictures-{i:05d}-of-00003.tfrecord" for i in range(3)]
  found = open_images.open_images(str(tmp_path / "records"), labeled=True)
  np.testing.assert_array_equal(found.labels, chosen.records.labels)
  assert (tmp_path / "records/classes.txt").read_text() == "a_b\ncat\n"
  dataset = tf.data.TFRecordDataset(
    [str(tmp_path / "records" / name) for name in shards]
  )
  rows = training_sets_reference.rows_of(tmp_path / "records")
  for serialized, row in zip(dataset.as_numpy_iterator(), rows, strict=True):
    features = tf.train.Example.FromString(serialized).features.feature
    (encoded,) = features["image/encoded"].bytes_list.value
    assert encoded == (tmp_path / "files" / row["file"]).read_bytes()
    (text,) = features["image/class/text"].bytes_list.value
    assert text.decode() == row["class"]
    assert row["shard"] in shards


def test_bad_images_are_skipped_counted_and_named(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path, count=30), min_size=8
  )
  (tmp_path / "images/3.png").write_bytes(b"\x89PNG but no picture")
  summary = training_sets_reference.write(chosen, tmp_path / "out")
  assert summary["pictures"] == 58
  assert summary["skipped"]["count"] == 2
  names = list(summary["skipped"]["reasons"])
  assert names[0] == "a_b/3_0000006 of 3.png"
  assert "corrupt PNG" in summary["skipped"]["reasons"][names[0]]
  assert {
    row["source"] for row in training_sets_reference.rows_of(tmp_path / "out")
  } == {f"{i}.png" for i in range(30) if i != 3}
  with pytest.raises(errors.UsageError, match="1 of 60.*max_skipped_fraction"):
    training_sets_reference.write(
      chosen, tmp_path / "strict", max_skipped_fraction=0.01
    )
  assert not (tmp_path / "strict").exists()


def test_an_image_smaller_than_its_annotation_says_is_skipped(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path, count=30), min_size=8
  )
  Image.new("RGB", (12, 12)).save(tmp_path / "images/0.png")
  summary = training_sets_reference.write(chosen, tmp_path / "out")
  (reason,) = summary["skipped"]["reasons"].values()
  assert "less than 2 px of the 12x12 image" in reason


def test_copies_get_the_ending_of_their_format(tmp_path):
  """Other programs rely on the ending, whatever the source had."""
  (tmp_path / "images").mkdir()
  for kind in ("JPEG", "PNG", "BMP", "GIF"):
    picture = Image.new("RGB", (8, 8), (200, 30, 30))
    picture.save(tmp_path / f"images/{kind}.jpg", kind)
  whole = training_sets.of_images(str(tmp_path / "images"))
  training_sets_reference.write(whole, tmp_path / "out")
  rows = training_sets_reference.rows_of(tmp_path / "out")
  assert {row["source"]: row["file"][-4:] for row in rows} == {
    "BMP.jpg": ".bmp",
    "GIF.jpg": ".gif",
    "JPEG.jpg": ".jpg",
    "PNG.jpg": ".png",
  }


def test_an_image_with_many_boxes_is_decoded_once(tmp_path, monkeypatch):
  annotations = training_sets_reference.coco_set(tmp_path, count=3)
  chosen = training_sets.of_boxes(annotations, min_size=8)
  decoded, decode = [], write.decoding.decode

  def counted(encoded):
    decoded.append(encoded)
    return decode(encoded)

  monkeypatch.setattr(write.decoding, "decode", counted)
  made = list(write.pictures(chosen, 0, 6))
  assert [picture.row for picture in made] == list(range(6))
  assert len(decoded) == 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
