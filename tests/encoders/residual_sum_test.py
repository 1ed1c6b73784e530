"""Tests of the compiled sums of residual blocks."""

import sys

import pytest
import tensorflow as tf

from tf_ssl.encoders import residual_sum, resnet


def _maps(dtype, count):
  shape = [4, 6, 5, 32]
  return [
    tf.cast(tf.random.stateless_normal(shape, [0, i]), dtype)
    for i in range(count)
  ]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_relu_of_sum_and_its_gradients_have_the_bits_of_tensorflows_kernels(
  dtype,
):
  one, other, above = _maps(dtype, 3)
  found = []
  for function in (
    residual_sum.relu_of_sum,
    lambda a, b: tf.nn.relu(a + b),
  ):
    with tf.GradientTape() as tape:
      tape.watch([one, other])
      output = tf.function(function)(one, other)
    found.append([output, *tape.gradient(output, [one, other], above)])
  for compiled, plain in zip(*found, strict=True):
    assert compiled.dtype == plain.dtype
    tf.debugging.assert_equal(compiled, plain)
  assert 0.4 < tf.reduce_mean(tf.cast(found[1][0] > 0, tf.float32)) < 0.6


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_of_a_fork_is_the_sum_of_its_branches_gradients(dtype):
  maps, above, beside = _maps(dtype, 3)
  with tf.GradientTape() as tape:
    tape.watch(maps)
    one, other = residual_sum.fork(maps)
  gradient = tape.gradient([one, other], maps, [above, beside])
  tf.debugging.assert_equal(one, maps)
  tf.debugging.assert_equal(other, maps)
  tf.debugging.assert_equal(gradient, above + beside)


@pytest.mark.parametrize(
  ("shape", "dtype", "faster"),
  [
    ([128, 28, 28, 32], "bfloat16", True),
    ([128, 28, 28, 32], "float32", False),
    ([16, 56, 56, 256], "float32", True),
    ([64, 6, 6, 64], "bfloat16", False),
    ([None, 56, 56, 256], "bfloat16", False),
    ([16, None, None, 256], "bfloat16", False),
  ],
)
def test_large_maps_of_known_size_are_compiled(shape, dtype, faster):
  maps = tf.keras.Input(shape[1:], shape[0], dtype=dtype)
  assert residual_sum.is_faster(maps) == faster


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_resnet_trains_to_the_same_bits_with_and_without_compiled_sums(
  dtype, monkeypatch
):
  images = tf.random.stateless_normal([4, 16, 16, 3], [1, 2])
  encoder = resnet.resnet18(width=0.125, stem="small", dtype=dtype)
  encoder(images)

  def gradients():
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(encoder(images, training=True) ** 2)
    return tape.gradient(loss, encoder.trainable_variables)

  monkeypatch.setattr(residual_sum, "is_faster", lambda maps: True)
  compiled = tf.function(gradients)()
  monkeypatch.setattr(residual_sum, "is_faster", lambda maps: False)
  plain = tf.function(gradients)()
  for one, other in zip(compiled, plain, strict=True):
    tf.debugging.assert_equal(one, other)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
