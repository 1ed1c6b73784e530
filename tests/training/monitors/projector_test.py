"""Tests of tf_ssl.training.monitors.projector."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector
from tensorboard.plugins.projector import projector_plugin

from tf_ssl import batches
from tf_ssl.ops import pixels, workdir
from tf_ssl.training.monitors import labeled
from tf_ssl.training.monitors import projector as monitors_projector


def _encoder(images, training):
  assert training is False
  return tf.reduce_mean(images, axis=[1, 2])  # [B, 3]


def _images(num):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [num, 6, 6, 3], dtype=np.uint8)


def test_the_projector_finds_features_labels_and_thumbnails(
  make_context, monkeypatch
):
  images = _images(70)
  labels = np.arange(70) % 3
  labels[0] = -1
  dataset = tf.data.Dataset.from_tensor_slices(
    batches.LabeledImage(images, labels.astype(np.int32))
  ).batch(32)
  monkeypatch.setattr(
    labeled, "open_dataset", lambda *_: (dataset, ["cat", "dog\t2"])
  )
  monitor = monitors_projector.Projector(images="held_out/")
  monitor.find_data()
  context = make_context(encoder=_encoder)
  monitor.start(context)
  tmp_path = pathlib.Path(context.tensorboard)

  assert monitor.measure(0) == {}
  monitor.measure(50)

  config = text_format.Parse(
    (tmp_path / "projector_config.pbtxt").read_text(),
    projector.ProjectorConfig(),
  )
  (embedding,) = config.embeddings
  assert embedding.tensor_name == "features at step 50"
  found = projector_plugin._read_tensor_tsv_file(
    str(tmp_path / embedding.tensor_path)
  )
  expected = pixels.normalize(images).numpy().mean(axis=(1, 2))
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
  names = (tmp_path / embedding.metadata_path).read_text().splitlines()
  assert names[:4] == ["unlabeled", "dog 2", "class 2", "cat"]
  assert len(names) == 70
  sprite = Image.open(tmp_path / embedding.sprite.image_path)
  assert sprite.size == (9 * 48, 9 * 48)
  assert list(embedding.sprite.single_image_dim) == [48, 48]
  assert not [p for p in tmp_path.rglob("*") if workdir.is_temporary(p)]


def test_a_full_disk_is_named_and_leaves_no_torn_file(make_context, full_disk):
  probe = batches.ImagePair(*[tf.zeros([40, 6, 6, 3])] * 2)
  context = make_context(encoder=_encoder, probe=probe)
  folder = pathlib.Path(context.tensorboard)
  monitor = monitors_projector.Projector()
  with pytest.raises(workdir.WriteError, match=f"{folder}.*--model_dir"):
    with full_disk(100):
      monitor.start(context)
  monitor.start(context)
  monitor.measure(0)
  before = (folder / "projector" / "features.tsv").read_bytes()
  with pytest.raises(workdir.WriteError, match=f"{folder}.*--model_dir"):
    with full_disk(len(before) - 1):
      monitor.measure(50)
  assert (folder / "projector" / "features.tsv").read_bytes() == before
  assert not [p for p in folder.rglob("*") if workdir.is_temporary(p)]


def test_a_sample_comes_from_all_over_the_dataset():
  images = _images(90)
  dataset = tf.data.Dataset.from_tensor_slices(
    batches.LabeledImage(images, np.arange(90, dtype=np.int32))
  ).batch(7)

  sample = monitors_projector.sample_images(dataset, max_images=30)

  assert len(set(sample.label)) == 30
  assert list(sample.label) == sorted(sample.label)
  assert min(sample.label) < 20 and max(sample.label) > 70
  np.testing.assert_array_equal(sample.image, images[sample.label])
  again = monitors_projector.sample_images(dataset, max_images=30)
  np.testing.assert_array_equal(again.label, sample.label)
  everything = monitors_projector.sample_images(dataset, max_images=100)
  np.testing.assert_array_equal(everything.image, images)


def test_without_held_out_images_the_query_views_are_shown(make_context):
  images = _images(5)
  normalized = pixels.normalize(images)
  probe = batches.ImagePair(normalized, 0 * normalized)
  sample = monitors_projector.from_pairs(probe)
  np.testing.assert_array_equal(sample.image, images)
  np.testing.assert_array_equal(sample.label, [-1] * 5)
  context = make_context(encoder=_encoder, probe=probe)
  monitors_projector.Projector().start(context)
  labels = pathlib.Path(context.tensorboard, "projector", "labels.tsv")
  assert labels.read_text() == "unlabeled\n" * 5


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
