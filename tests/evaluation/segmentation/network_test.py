"""Decoders and heads of Model Garden on an encoder."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.evaluation.segmentation import network as segmentation_network
from tf_ssl.models import encoder_models, trainable


def _images(count=2, sides=(64, 32)):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [count, *sides, 3]).astype(np.float32)


def _network(encoder=None, **changes):
  settings = {
    "decoder": "fcn",
    "num_classes": 3,
    "num_filters": 8,
    "frozen": False,
    **changes,
  }
  return segmentation_network.SegmentationNetwork(
    encoder or tiny_encoder_reference.tiny(), **settings
  )


@pytest.mark.parametrize(
  ("decoder", "stride"), [("fcn", 32), ("deeplabv3plus", 4)]
)
def test_scores_have_the_resolution_of_the_decoder(decoder, stride):
  network = _network(decoder=decoder)
  logits = network.logits(_images(), False)
  assert logits.shape == (2, 64 // stride, 32 // stride, 3)
  names = " ".join(v.name for v in network.head_variables)
  assert ("deeplabv3p_fusion" in names) == (decoder == "deeplabv3plus")
  assert "segmentation_output" in names


def test_the_fine_map_is_the_one_nearest_to_four_pixels():
  """A stem for small images has it at C4, with maps of strides 1, 2, 4, 8."""

  class Small(tiny_encoder_reference.TinyEncoder):
    def endpoints(self, images, training=None):
      images = tf.image.resize(images, 4 * tf.shape(images)[1:3])
      return super().endpoints(images, training)

  encoder = Small()
  encoder(tf.zeros([1, 8, 8, 3]))
  small = trainable.TrainableEncoder(
    "small", encoder_models.of_encoder(encoder, "tf_ssl run", "0")
  )
  assert small.strides == {"C2": 1, "C3": 2, "C4": 4, "C5": 8}
  network = _network(small, decoder="deeplabv3plus")
  assert network.logits(_images(), False).shape == (2, 16, 8, 3)


def test_an_encoder_without_the_maps_is_named():
  class Flat(tiny_encoder_reference.TinyEncoder):
    def endpoints(self, images, training=None):
      maps = super().endpoints(images, training)
      return {"C4": maps["C4"]}

    def call(self, images, training=None):
      return tf.reduce_mean(self.endpoints(images, training)["C4"], [1, 2])

  encoder = Flat()
  encoder(tf.zeros([1, 32, 32, 3]))
  flat = trainable.TrainableEncoder(
    "flat", encoder_models.of_encoder(encoder, "tf_ssl run", "0")
  )
  with pytest.raises(errors.UsageError, match="'flat' .* C4.* DECODER"):
    _network(flat)
  with pytest.raises(
    errors.UsageError, match="unet.*fcn, deeplabv3plus.*DECODER"
  ):
    _network(decoder="unet")


@pytest.mark.parametrize("frozen", [True, False])
def test_training_moves_statistics_of_the_head_and_of_an_unfrozen_encoder(
  frozen,
):
  encoder = tiny_encoder_reference.tiny()
  network = _network(encoder, frozen=frozen)
  before = [
    [v.numpy() for v in variables]
    for variables in (encoder.variables, network.head_variables)
  ]
  loss = network.loss(_images(), tf.zeros([2, 64, 32], tf.int32))
  assert np.isfinite(loss)
  moved = [
    any(not np.array_equal(a, b) for a, b in zip(old, new, strict=True))
    for old, new in zip(
      before, (encoder.variables, network.head_variables), strict=True
    )
  ]
  assert moved == [not frozen, True]


def test_the_loss_is_cross_entropy_over_pixels_that_count():
  network = _network()
  labels = np.random.default_rng(1).integers(-1, 3, [2, 64, 32])
  # Batch norm's batch statistics are those of the same images both times.
  logits = tf.image.resize(network.logits(_images(), True), [64, 32]).numpy()
  logits = logits.astype(np.float64)
  chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  counted = labels >= 0
  taken = np.take_along_axis(
    chances, np.maximum(labels, 0)[..., None], axis=-1
  )[..., 0]
  loss = network.loss(_images(), tf.constant(labels, tf.int32))
  np.testing.assert_allclose(loss, -np.log(taken[counted]).mean(), rtol=1e-4)
  void = network.loss(_images(), tf.fill([2, 64, 32], -1))
  assert float(void) == 0.0


def test_heads_start_from_their_seed():
  network = _network()
  drawn = []
  for seed in (5, 5, 6):
    network.draw_head(seed)
    drawn.append([v.numpy() for v in network.head_variables])
  for name, a, b, c in zip(
    [v.name for v in network.head_variables], *drawn, strict=True
  ):
    np.testing.assert_array_equal(a, b)
    if "kernel" in name:
      assert not np.array_equal(a, c)


def test_predictions_are_the_largest_of_interpolated_scores():
  rng = np.random.default_rng(0)
  logits = rng.normal(size=[6, 4, 5]).astype(np.float32)
  found = segmentation_network.largest(logits, (30, 44))
  expected = np.argmax(tf.image.resize(logits, [30, 44]), axis=-1)
  assert found.dtype == np.int32
  assert (
    found == expected
  ).mean() > 0.999  # Rounding may break ties differently.
  same = segmentation_network.largest(logits, (6, 4))
  np.testing.assert_array_equal(same, np.argmax(logits, axis=-1))
  network = _network()
  image = _images(1)
  np.testing.assert_array_equal(
    network.predict(tf.constant(image), (128, 64)),
    segmentation_network.largest(
      network.logits(image, False)[0].numpy(), (128, 64)
    ),
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
