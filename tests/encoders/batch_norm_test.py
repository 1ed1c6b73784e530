"""Tests of tf_ssl.encoders.batch_norm."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm


def images(batch=6):
  rng = np.random.default_rng(0)
  return rng.normal(2, 3, size=[batch, 4, 5, 3]).astype("f")


@pytest.mark.parametrize("in_graph", [False, True])
def test_split_batch_norm_is_plain_batch_norm_of_each_group(in_graph):
  split, plain = batch_norm.split(groups=3), batch_norm.plain()
  x = images()
  plain.build(x.shape)
  expected = []
  means = []
  for group in np.split(x, 3):
    plain.moving_mean.assign(tf.zeros(3))
    expected.append(plain(group, training=True))
    means.append(plain.moving_mean.numpy())
  call = tf.function(split) if in_graph else split
  np.testing.assert_allclose(
    call(x, training=True), np.concatenate(expected), atol=1e-5
  )
  np.testing.assert_allclose(
    split.moving_mean, np.mean(means, axis=0), atol=1e-6
  )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("build", ["plain", "split"])
@pytest.mark.parametrize("training", [True, False])
def test_relu_of_a_batch_norm_has_the_bits_of_both_in_turn(
  training, build, dtype
):
  options = {"groups": 3} if build == "split" else {}
  layers = [getattr(batch_norm, build)(dtype=dtype, **options) for _ in "ab"]
  x = tf.cast(images(), layers[0].compute_dtype)

  def fused(layer):
    return batch_norm.relu_of(layer, x, training)

  def in_turn(layer):
    return tf.nn.relu(layer(x, training=training))

  @tf.function
  def run(function, layer):
    with tf.GradientTape() as tape:
      tape.watch(x)
      output = function(layer)
    return output, *tape.gradient(output * output, [x, layer.gamma, layer.beta])

  for layer in layers:
    layer.build(x.shape)
  results = [
    run(function, layer)
    for function, layer in zip((fused, in_turn), layers, strict=True)
  ]
  assert 0 < np.mean(np.float32(results[0][0]) == 0) < 1
  for one, other in zip(*results, strict=True):
    np.testing.assert_array_equal(one, other)
  np.testing.assert_array_equal(layers[0].moving_mean, layers[1].moving_mean)


def test_the_moving_variance_is_the_mean_of_the_groups_unbiased_ones():
  split = batch_norm.split(groups=2)
  x = images()
  split(x, training=True)
  unbiased = [g.reshape(-1, 3).var(axis=0, ddof=1) for g in np.split(x, 2)]
  np.testing.assert_allclose(
    split.moving_variance, 0.9 + 0.1 * np.mean(unbiased, axis=0), rtol=1e-5
  )


def test_one_group_is_plain_batch_norm_and_so_is_inference():
  split, plain = batch_norm.split(groups=1), batch_norm.plain()
  x = images()
  for training in (True, False):
    np.testing.assert_allclose(
      split(x, training=training), plain(x, training=training), atol=1e-5
    )


@pytest.mark.parametrize(
  "build",
  [
    batch_norm.plain,
    batch_norm.cross_replica,
    functools.partial(batch_norm.split, groups=2),
  ],
)
def test_statistics_of_bfloat16_maps_are_float32(build):
  layer = build(dtype="mixed_bfloat16")
  x = tf.cast(50 + images(64), tf.bfloat16)  # Sums of it need 8 bits more.
  assert layer(x, training=True).dtype == tf.bfloat16
  assert {v.dtype for v in layer.variables} == {tf.float32}
  exact = x.numpy().astype(np.float64)
  mean = exact.mean(axis=(0, 1, 2))
  variance = exact.var(axis=(0, 1, 2))
  np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4)
  np.testing.assert_allclose(
    layer.moving_variance, 0.9 + 0.1 * variance, rtol=2e-2
  )


def test_vectors_are_normalized_like_maps():
  x = images()[:, 0, 0, :]
  expected = np.concatenate(
    [(g - g.mean(0)) / np.sqrt(g.var(0) + 1e-5) for g in np.split(x, 2)]
  )
  np.testing.assert_allclose(
    batch_norm.split(groups=2)(x, training=True), expected, atol=1e-4
  )


def test_a_batch_that_cannot_be_split_is_an_error_that_names_what_to_change():
  with pytest.raises(errors.UsageError, match="batch of 6.*groups=4.*BATCH"):
    batch_norm.split(groups=4)(images(), training=True)


def test_zero_groups_are_an_error():
  with pytest.raises(errors.UsageError, match="groups"):
    batch_norm.split(groups=0)


def test_a_batch_can_be_checked_before_training():
  layer = tf.keras.layers.BatchNormalization()
  model = tf.keras.Sequential([layer, batch_norm.split(groups=4)])
  batch_norm.check_batch(model, 12, "BATCH_SIZE")
  with pytest.raises(errors.UsageError, match="of 6 .BATCH_SIZE.*groups=4"):
    batch_norm.check_batch(model, 6, "BATCH_SIZE")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
