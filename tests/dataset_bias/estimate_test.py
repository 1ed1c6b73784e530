"""Estimated objects: found, described, kept on disk, marked."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.dataset_bias import estimate, objectness
from tf_ssl.datasets import open_images
from tf_ssl.export import saved_model


@pytest.fixture(name="cheap")
def fixture_cheap(monkeypatch):
  """Finds one object in the center of each image; records the images."""
  seen = []

  def find(image):
    seen.append(image)
    height, width = image.shape[:2]
    return np.array([[width / 4, height / 4, width / 2, height / 2]])

  monkeypatch.setattr(objectness, "find", find)
  return seen


def folder_of(path, count):
  path.mkdir()
  for i in range(count):
    color = [(230, 20, 20), (20, 20, 230)][i % 2]
    Image.new("RGB", (40, 30), color).save(path / f"{i:03d}.png")
  return open_images.open_images(str(path))


def test_regions_become_objects_and_their_looks_classes(cheap, tmp_path):
  records = folder_of(tmp_path / "images", 40)
  estimator = estimate.Estimator(num_classes=2)
  found = estimate.estimate(records, estimator, str(tmp_path / "out"))
  assert found.objects.counts.tolist() == [1] * 40
  np.testing.assert_array_equal(found.objects.sizes, [[30, 40]] * 40)
  np.testing.assert_array_equal(found.objects.boxes[0], [10, 7.5, 20, 15])
  classes = found.objects.classes
  assert (classes[::2] == classes[0]).all()
  assert (classes[1::2] == 1 - classes[0]).all()
  assert found.estimated_by == estimator.description
  assert "2 groups" in found.estimated_by
  assert found.name == "this dataset (estimate)"


def test_an_interrupted_estimate_resumes(tmp_path, monkeypatch):
  records = folder_of(tmp_path / "images", 70)
  seen = []

  def find(image):
    seen.append(1)
    if len(seen) == 40:
      raise KeyboardInterrupt
    return np.array([[0.0, 0.0, 9.0, 9.0]])

  monkeypatch.setattr(objectness, "find", find)
  out = str(tmp_path / "out")
  with pytest.raises(KeyboardInterrupt):
    estimate.estimate(records, estimate.Estimator(), out)
  seen[:] = [0] * 100
  found = estimate.estimate(records, estimate.Estimator(), out)
  assert len(seen) == 100 + 70 - 32  # the first file was there
  assert found.objects.num_images == 70
  estimate.estimate(records, estimate.Estimator(), out)
  assert len(seen) == 100 + 70 - 32


def test_an_estimate_of_a_random_subset(cheap, tmp_path):
  records = folder_of(tmp_path / "images", 30)
  parts = [
    estimate.estimate(
      records,
      estimate.Estimator(),
      str(tmp_path / "out"),
      max_images=7,
      seed=seed,
    )
    for seed in (0, 1)
  ]
  names = [[p.images.name(i) for i in range(7)] for p in parts]
  assert names[0] != names[1] and names[0] == sorted(names[0])
  assert len(cheap) == 14


def test_unreadable_images_are_named_and_too_many_are_an_error(cheap, tmp_path):
  records = folder_of(tmp_path / "images", 30)
  (tmp_path / "images" / "004.png").write_bytes(b"no picture")
  found = estimate.estimate(
    records, estimate.Estimator(), str(tmp_path / "out")
  )
  assert list(found.skipped.values()) == [("004.png",)]
  assert found.images.num_images == found.objects.num_images == 29
  with pytest.raises(errors.UsageError, match="1 of 30.*max_skipped_fraction"):
    estimate.estimate(
      records,
      estimate.Estimator(),
      str(tmp_path / "out"),
      max_skipped_fraction=0.01,
    )


def test_images_without_regions_are_an_error(tmp_path):
  records = folder_of(tmp_path / "images", 3)
  with pytest.raises(errors.UsageError, match="3 images.*--images"):
    estimate.estimate(records, estimate.Estimator(), str(tmp_path / "out"))


class _Colors(tf.keras.Model):
  """An encoder whose maps are the image, four times smaller."""

  def __init__(self):
    super().__init__()
    self.scale = self.add_weight(name="scale", shape=[], initializer="ones")

  def endpoints(self, images, training=None):
    del training
    maps = tf.nn.avg_pool2d(images * self.scale, 4, 4, "SAME")
    return {"C4": maps, "C5": maps}

  def call(self, images, training=None):
    return tf.reduce_mean(self.endpoints(images, training)["C5"], [1, 2])


def test_an_encoder_can_group_the_objects(cheap, tmp_path):
  encoder = _Colors()
  encoder(tf.zeros([1, 8, 8, 3]))
  path = saved_model.export_encoder(
    encoder, None, str(tmp_path / "model"), provenance={}
  )
  estimator = estimate.Estimator(path, num_classes=2)
  assert f"map C4 of the encoder {path}" in estimator.description
  images = tmp_path / "images"
  images.mkdir()
  rng = np.random.default_rng(0)
  for i in range(8):
    image = rng.integers(0, 40, [40, 40, 3])
    image[10:20, 10:20, i % 2] += 200  # What is in the box is red or green.
    Image.fromarray(image.astype(np.uint8)).save(images / f"{i}.png")
  records = open_images.open_images(str(images))
  found = estimate.estimate(records, estimator, str(tmp_path / "out"))
  classes = found.objects.classes
  assert (classes[::2] == classes[0]).all()
  assert (classes[1::2] == 1 - classes[0]).all()


def test_references_are_estimated_in_the_same_way(cheap):
  found = estimate.references(2, estimate.Estimator())
  assert list(found) == [
    "rendered objects (estimate)",
    "rendered scenes (estimate)",
  ]
  assert len(cheap) == 4
  assert all(objects.num_images == 2 for objects in found.values())


def test_a_number_of_classes_below_one_is_refused():
  with pytest.raises(errors.UsageError, match="num_classes=0"):
    estimate.Estimator(num_classes=0)


def test_damaged_region_files_are_made_again(tmp_path):
  store = estimate.RegionFiles(str(tmp_path), {"a": 1})
  regions = estimate.Regions(
    np.array([3, 4]), np.ones([2, 4]), np.zeros([2, 5], np.float32)
  )
  bad = estimate.Regions(
    np.zeros(2, int), np.zeros([0, 4]), np.zeros([0, 5], np.float32), "why"
  )
  store.write(0, [regions, bad])
  first, second = store.read(0)
  np.testing.assert_array_equal(first.boxes, regions.boxes)
  assert first.features.shape == (2, 5) and not first.problem
  assert second.problem == "why" and len(second.boxes) == 0
  assert store.read(1) is None
  assert estimate.RegionFiles(str(tmp_path), {"a": 2}).read(0) is None
  (path,) = tmp_path.rglob("000000.npz")
  path.write_bytes(path.read_bytes()[:100])
  assert store.read(0) is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
