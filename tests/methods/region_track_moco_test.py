"""Tests of tf_ssl.methods.region_track_moco."""

import functools
import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.methods import base, moco, region_track_moco
from tf_ssl.ops import optimizers

BATCH, QUEUE = 4, 16


def build(**options):
  plain = functools.partial(
    moco.build_moco,
    encoder=shallow_reference.resnet10,
    queue_size=QUEUE,
    momentum=0.9,
  )
  setup = base.Setup(num_images=64, batch_size=BATCH, image_size=16, seed=3)
  tf.keras.utils.set_random_seed(1)
  model = region_track_moco.build_region_track_moco(
    setup, moco=plain, **options
  )
  model.compile(optimizers.MomentumSgd(0.1))
  model.optimizer.build(model.learned_variables)
  return model


@pytest.fixture(name="views", scope="module")
def _views():
  rng = np.random.default_rng(0)
  frames = rng.normal(size=[2, BATCH, 16, 16, 3])
  regions = rng.normal(size=[2, BATCH, 12, 12, 3])  # of another size
  return batches.RegionTrackPair(
    *(tf.constant(x, tf.float32) for x in (*frames, *regions))
  )


def gradient(model, loss_of):
  with tf.GradientTape() as tape:
    loss = loss_of(model)
  return loss, tape.gradient(loss, model.learned_variables)


def test_the_loss_and_its_gradient_are_the_weighted_sums(views):
  def plain(model, query, key):
    pair = batches.ImagePair(query, key)
    return moco.MoCo.contrast(model, pair, training=True)

  model = build(frame_weight=0.25, track_weight=2.0)
  # Shuffling is seeded by the step, so these are the very terms.
  frames, by_frames = gradient(
    model, lambda m: plain(m, views.query, views.key).loss
  )
  regions, by_regions = gradient(
    model, lambda m: plain(m, views.query_region, views.key_region).loss
  )
  both, by_both = gradient(model, lambda m: m.contrast(views, True).loss)
  np.testing.assert_allclose(both, 0.25 * frames + 2 * regions, rtol=1e-5)
  for one, other, total in zip(by_frames, by_regions, by_both, strict=True):
    np.testing.assert_allclose(total, 0.25 * one + 2 * other, atol=1e-4)
  found = model.contrast(views, True)
  np.testing.assert_allclose(found.metrics["frame_loss"], frames, rtol=1e-5)
  np.testing.assert_allclose(found.metrics["track_loss"], regions, rtol=1e-5)
  assert found.logits.shape == (2 * BATCH, 1 + QUEUE)


def test_one_queue_takes_the_keys_of_frames_then_of_regions(views):
  model = build()
  before = model.queue.keys.numpy()
  keys = model.contrast(views, True).to_remember.numpy()
  logs = model.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
  after = model.queue.keys.numpy()
  assert keys.shape == (2 * BATCH, after.shape[1])
  np.testing.assert_allclose(after[: 2 * BATCH], keys, atol=1e-4)
  np.testing.assert_array_equal(after[2 * BATCH :], before[2 * BATCH :])
  assert int(model.queue.head) == 2 * BATCH
  total = 0.5 * logs["frame_loss"][0] + 0.5 * logs["track_loss"][0]
  assert logs["loss"][0] == pytest.approx(total, rel=1e-5)


def test_each_encoder_is_called_once_for_frames_and_once_for_regions(
  views, monkeypatch
):
  model, sizes = build(), []
  call = model.encoder.call

  def counted(images, *args, **kwargs):
    sizes.append(tuple(images.shape))
    return call(images, *args, **kwargs)

  monkeypatch.setattr(model.encoder, "call", counted)
  model.contrast(views, True)
  assert sizes == [(BATCH, 16, 16, 3), (BATCH, 12, 12, 3)]


def test_chance_loss_is_the_weighted_logarithm():
  model = build(frame_weight=0.5, track_weight=0.25)
  assert model.chance_loss == pytest.approx(0.75 * math.log(QUEUE + 1))


def test_a_loss_with_weight_0_is_skipped(views):
  model = build(frame_weight=1.0, track_weight=0.0)
  expected = moco.MoCo.contrast(
    model, batches.ImagePair(views.query, views.key), training=True
  )
  found = model.contrast(views, True)
  np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)
  np.testing.assert_allclose(found.to_remember, expected.to_remember, atol=1e-6)
  assert set(found.metrics) == {"frame_loss"}
  regions_alone = build(frame_weight=0.0, track_weight=1.0)
  assert set(regions_alone.contrast(views, True).metrics) == {"track_loss"}


@pytest.mark.parametrize("weights", [(-1.0, 1.0), (0.0, 0.0)])
def test_invalid_weights_are_refused(weights):
  with pytest.raises(errors.UsageError, match="frame_weight.*at least 0"):
    build(frame_weight=weights[0], track_weight=weights[1])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
