"""Tests of tf_ssl.encoders.convolution_by_products."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.encoders import convolution, convolution_by_products


def padded(images, kernel_size, strides):
  half = kernel_size // 2 if strides > 1 else 0
  return tf.pad(images, [[0, 0], [half, half], [half, half], [0, 0]])


def naive_kernel_gradient(images, above, kernel_size, strides):
  """By the definition, in float64."""
  half = kernel_size // 2
  width = [(0, 0), (half, half), (half, half), (0, 0)]
  images, above = np.pad(np.float64(images), width), np.float64(above)
  shape = [kernel_size, kernel_size, images.shape[3], above.shape[3]]
  result = np.zeros(shape)
  for i, j, p, q in np.ndindex(*shape[:2], *above.shape[1:3]):
    seen = images[:, strides * p + i, strides * q + j]
    result[i, j] += seen.T @ above[:, p, q]
  return result


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("size", [(7, 5), (4, 6)])
@pytest.mark.parametrize(
  ("kernel_size", "strides"), [(1, 1), (3, 1), (3, 2), (5, 1), (7, 2)]
)
def test_it_is_tensorflows_convolution_and_its_gradients_are_the_definitions(
  kernel_size, strides, size, in_graph
):
  rng = np.random.default_rng(0)
  images = tf.constant(rng.normal(size=[3, *size, 4]), tf.float32)
  kernel = rng.normal(size=[kernel_size, kernel_size, 4, 6])
  kernel = tf.constant(kernel, tf.float32)

  def run(convolve):
    with tf.GradientTape() as tape:
      tape.watch([images, kernel])
      output = convolve(padded(images, kernel_size, strides))
    above = tf.range(tf.size(output), dtype=tf.float32)
    above = tf.cos(tf.reshape(above, output.shape))
    return output, above, *tape.gradient(output, [images, kernel], above)

  def ours(images):
    return convolution_by_products.convolve(images, kernel, strides=strides)

  def theirs(images):
    padding = "SAME" if strides == 1 else "VALID"
    return tf.nn.conv2d(images, kernel, strides, padding)

  output, above, by_image, by_kernel = (tf.function(run) if in_graph else run)(
    ours
  )
  expected, _, expected_by_image, _ = run(theirs)
  np.testing.assert_allclose(output, expected, atol=1e-4)
  np.testing.assert_allclose(by_image, expected_by_image, atol=1e-4)
  np.testing.assert_allclose(
    by_kernel,
    naive_kernel_gradient(images, above, kernel_size, strides),
    atol=1e-4,
  )


def gradients(layer, images, above):
  """Gradients for kernel and images in training, and the operations' types."""

  @tf.function
  def run(images):
    with tf.GradientTape() as tape:
      tape.watch(images)
      output = layer(images, training=True)
    return tape.gradient(output, [layer.kernel, images], above)

  traced = run.get_concrete_function(images)
  return run(images), {op.type for op in traced.graph.get_operations()}


@pytest.mark.parametrize(
  ("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.02)]
)
@pytest.mark.parametrize(
  ("kernel_size", "strides", "size", "channels"),
  [(1, 1, 5, 3), (1, 2, 5, 3), (3, 1, 3, 32), (3, 2, 7, 20), (3, 1, 6, 3)],
)
def test_a_layer_trains_alike_whichever_way_is_chosen(
  kernel_size, strides, size, channels, dtype, tolerance, monkeypatch
):
  images = tf.random.stateless_normal([4, size, size, channels], [0, 1])
  layer = convolution.Convolution(8, kernel_size, strides=strides, dtype=dtype)
  images = tf.cast(images, layer.compute_dtype)
  above = tf.random.stateless_normal(layer(images).shape, [0, 2])
  above = tf.cast(above, layer.compute_dtype)
  chosen, operations = gradients(layer, images, above)
  few_pixels = channels > (8 if strides == 1 else 4) * -(-size // strides)
  bfloat16 = dtype == "mixed_bfloat16"
  by_products = kernel_size == 1 or (few_pixels and (strides == 2 or bfloat16))
  assert ("MatMul" in operations) == by_products
  monkeypatch.setattr(
    convolution_by_products, "is_faster", lambda *args, **kwargs: False
  )
  expected, _ = gradients(layer, images, above)
  for one, other in zip(chosen, expected, strict=True):
    assert one.dtype == other.dtype
    scale = np.abs(np.float32(other)).max()
    np.testing.assert_allclose(
      np.float32(one) / scale, np.float32(other) / scale, atol=tolerance
    )


def test_only_training_with_static_sizes_without_a_gpu_uses_it(monkeypatch):
  chosen = []
  is_faster = convolution_by_products.is_faster
  monkeypatch.setattr(
    convolution_by_products,
    "is_faster",
    lambda *args, **kwargs: chosen.append(is_faster(*args, **kwargs)),
  )
  layer = convolution.Convolution(8, 1)
  layer(tf.zeros([2, 5, 5, 3]), training=False)
  assert not chosen
  layer(tf.zeros([2, 5, 5, 3]), training=True)
  dynamic = tf.function(lambda images: layer(images, training=True))
  dynamic.get_concrete_function(tf.TensorSpec([2, None, None, 3]))
  monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
  layer(tf.zeros([2, 5, 5, 3]), training=True)
  assert chosen == [True, False, False]


def test_a_saved_model_with_its_gradient_can_be_trained(tmp_path):
  layer = convolution.Convolution(4, 3, dtype="mixed_bfloat16")
  images = tf.random.stateless_normal([2, 3, 3, 32], [0, 1])
  module = tf.Module()
  call = tf.function(lambda images: layer(images, training=True))
  module.call = call
  expected, _ = gradients(
    layer, tf.cast(images, "bfloat16"), tf.ones([2, 3, 3, 4], "bfloat16")
  )
  call.get_concrete_function(images)
  module.kernel = layer.kernel
  tf.saved_model.save(module, str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  with tf.GradientTape() as tape:
    output = loaded.call(images)
  by_kernel = tape.gradient(output, loaded.kernel)
  np.testing.assert_array_equal(by_kernel, expected[0])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
