"""Pictures of a training set as files, and as records."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import (
  files,
  training_sets,
  write,
)
from tf_ssl.datasets import open_images


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
  with pytest.raises(errors.UsageError, match="could not be used"):
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


def test_copies_are_called_after_what_they_are(tmp_path):
  """Whatever their names say; other programs go by these."""
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
  decoded, decode = [], files.decoding.decode

  def counted(encoded):
    decoded.append(encoded)
    return decode(encoded)

  monkeypatch.setattr(files.decoding, "decode", counted)
  made = list(files.pictures(chosen, 0, 6))
  assert [picture.row for picture in made] == list(range(6))
  assert len(decoded) == 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
