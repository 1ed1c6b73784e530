"""Tests of tf_ssl.features.encoder_regions."""

import itertools
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.export import saved_model
from tf_ssl.features import encoder_regions

CHANNELS = 5


class _Encoder(tf.keras.Model):
  """Two strided convolutions; its C5 is the C4 of half the size."""

  def __init__(self):
    super().__init__()
    self.stem = tf.keras.layers.Conv2D(
      CHANNELS, 4, strides=4, padding="same", use_bias=False
    )

  def endpoints(self, images, training=None):
    del training
    maps = tf.nn.relu(self.stem(images))
    return {"C4": maps, "C5": maps[:, ::2, ::2]}

  def call(self, images, training=None):
    return tf.reduce_mean(self.endpoints(images, training)["C5"], [1, 2])


@pytest.fixture(scope="module", name="path")
def fixture_path(tmp_path_factory):
  tf.keras.utils.set_random_seed(1)
  encoder = _Encoder()
  encoder(tf.zeros([1, 8, 8, 3]))
  path = str(tmp_path_factory.mktemp("encoder") / "saved_model")
  return saved_model.export_encoder(encoder, None, path, provenance={})


def frame(seed=0, height=40, width=56):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, [height, width, 3], np.uint8)


def at(features, y, x):
  """Bilinear interpolation at a point, in pixels from the first center."""
  height, width = features.shape[:2]
  y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
  top, left = int(y), int(x)
  bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
  down, across = y - top, x - left
  return (
    (1 - down) * (1 - across) * features[top, left]
    + (1 - down) * across * features[top, right]
    + down * (1 - across) * features[bottom, left]
    + down * across * features[bottom, right]
  )


def slow_roi_align(features, box, grid):
  """RoIAlign of one box (He et al. 2017), four points per cell."""
  height, width = features.shape[:2]
  xmin, ymin, xmax, ymax = box * [width, height, width, height]
  result = np.zeros([grid, grid, features.shape[2]])
  for row, column in itertools.product(range(grid), repeat=2):
    points = []
    for v, u in itertools.product((0.25, 0.75), repeat=2):
      y = ymin + (ymax - ymin) * (row + v) / grid
      x = xmin + (xmax - xmin) * (column + u) / grid
      points.append(at(features, y - 0.5, x - 0.5))  # Centers are at halves.
    result[row, column] = np.mean(points, 0)
  return result


@pytest.mark.parametrize("grid", [1, 2, 3])
@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (2, 13)])
def test_regions_equal_the_slow_reference(grid, shape):
  rng = np.random.default_rng(grid)
  features = rng.normal(size=[*shape, 4]).astype(np.float32)
  corners = np.sort(rng.uniform(size=[12, 2, 2]), axis=1)  # [R, low/high, xy]
  boxes = corners.reshape(12, 4).astype(np.float32)
  boxes[0] = [0, 0, 1, 1]
  found = encoder_regions.roi_align(features, boxes, grid)
  expected = [slow_roi_align(features, box, grid) for box in boxes]
  np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("endpoint", ["C4", "C5"])
@pytest.mark.parametrize("height, width", [(40, 56), (33, 21)])
def test_features_are_cells_of_the_map(path, endpoint, height, width):
  image = frame(2, height, width)
  boxes = np.array([[4.0, 3, 20, 19], [0, 0, width, height], [9, 9, 10, 10]])
  describe = encoder_regions.EncoderFeatures(
    path, endpoint=endpoint, grid=2, common=0.0
  )
  found = describe(image, boxes)
  loaded = tf.saved_model.load(path)
  maps = loaded.endpoints(image[None])[endpoint][0].numpy()
  deviation = np.sqrt(maps.var((0, 1)) + 1e-6)
  maps = (maps - maps.mean((0, 1))) / deviation
  for row, box in zip(found, boxes, strict=True):
    cells = slow_roi_align(maps, box / [width, height, width, height], 2)
    unit = cells.ravel() / np.linalg.norm(cells)
    np.testing.assert_allclose(row, unit, atol=2e-4)
  assert found.dtype == np.float32


def test_common_raises_every_similarity_in_proportion(path):
  boxes = np.array([[0.0, 0, 16, 16], [20, 8, 44, 30], [30, 20, 56, 40]])
  plain = encoder_regions.EncoderFeatures(path, common=0.0)(frame(), boxes)
  raised = encoder_regions.EncoderFeatures(path, common=0.6)(frame(), boxes)
  np.testing.assert_allclose(
    raised @ raised.T, 0.6 + 0.4 * plain @ plain.T, atol=1e-5
  )
  np.testing.assert_allclose(np.linalg.norm(raised, axis=1), 1, rtol=1e-5)


def test_boxes_are_clipped_to_the_frame(path):
  describe = encoder_regions.EncoderFeatures(path)
  whole = np.array([[40.0, 20, 70, 60]])
  inside = np.array([[40.0, 20, 56, 40]])
  np.testing.assert_array_equal(
    describe(frame(), whole), describe(frame(), inside)
  )
  assert not describe(frame(), np.array([[60.0, 0, 70, 9]])).any()


def test_no_boxes_give_no_features(path):
  found = encoder_regions.EncoderFeatures(path, grid=2)(
    frame(), np.zeros([0, 4])
  )
  assert found.shape == (0, 4 * CHANNELS + 1)


def test_a_flat_frame_has_finite_features(path):
  flat = np.full([40, 56, 3], 90, np.uint8)
  found = encoder_regions.EncoderFeatures(path)(
    flat, np.array([[0, 0, 9, 9.0]])
  )
  assert np.isfinite(found).all()


def test_maps_are_cached_up_to_a_size(path, monkeypatch):
  images = [frame(seed) for seed in range(3)]
  boxes = np.array([[0.0, 0, 16, 16]])

  def encodings(**options):
    describe = encoder_regions.EncoderFeatures(path, **options)
    encode, calls = describe._encode, []

    class Counted:
      structured_input_signature = encode.structured_input_signature

      def __call__(self, images):
        calls.append(1)
        return encode(images=images)

    monkeypatch.setattr(describe, "_encode", Counted())
    first = [describe(image, boxes) for image in images]
    again = [describe(image, boxes) for image in images[::-1]]
    np.testing.assert_array_equal(first, again[::-1])
    return len(calls)

  assert encodings() == 3
  # A cache of one map hits only for the last frame.
  assert encodings(cache_bytes=1) == 5


def test_an_encoder_in_a_folder_with_wildcards_is_loaded(path, tmp_path):
  folder = tmp_path / "a[1]*?"
  shutil.copytree(path, folder / "m[2]")
  image = np.zeros([32, 32, 3], np.uint8)
  boxes = [[0, 0, 16, 16]]
  np.testing.assert_array_equal(
    encoder_regions.EncoderFeatures(str(folder / "m[2]"))(image, boxes),
    encoder_regions.EncoderFeatures(path)(image, boxes),
  )


def test_a_float32_signature_suffices(path, tmp_path):
  loaded = tf.saved_model.load(path)
  only = str(tmp_path / "float")
  tf.saved_model.save(
    loaded, only, signatures={"endpoints": loaded.signatures["endpoints"]}
  )
  boxes = np.array([[0.0, 0, 16, 16]])
  np.testing.assert_allclose(
    encoder_regions.EncoderFeatures(only)(frame(), boxes),
    encoder_regions.EncoderFeatures(path)(frame(), boxes),
    atol=1e-6,
  )


def test_unusable_encoders_are_refused(path, tmp_path):
  loaded = tf.saved_model.load(path)
  headless = str(tmp_path / "features_only")
  tf.saved_model.save(
    loaded, headless, signatures={"features": loaded.signatures["features"]}
  )
  with pytest.raises(errors.UsageError, match="features; .*`endpoints`"):
    encoder_regions.EncoderFeatures(headless)
  with pytest.raises(errors.UsageError, match="C4, C5, .*'C3'"):
    encoder_regions.EncoderFeatures(path, endpoint="C3")
  with pytest.raises(errors.UsageError, match="nothing.*SavedModel.*--encoder"):
    encoder_regions.EncoderFeatures(str(tmp_path / "nothing"))
  with pytest.raises(errors.UsageError, match="common=1"):
    encoder_regions.EncoderFeatures(path, common=1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
