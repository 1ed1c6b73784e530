"""Tests of tf_ssl.encoders.convolution."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.encoders import convolution


def backward(layer, images, output_gradient):
  """Gradients for the kernel and for the images, as a compiled graph."""

  @tf.function
  def gradients():
    with tf.GradientTape() as tape:
      tape.watch(images)
      output = layer(images)
    return tape.gradient(output, [layer.kernel, images], output_gradient)

  return gradients


def test_a_strided_1x1_convolution_is_a_matrix_product_of_every_other_pixel():
  rng = np.random.default_rng(0)
  images = tf.constant(rng.normal(size=[2, 5, 4, 3]), tf.float32)
  layer = convolution.Convolution(6, 1, strides=2)
  output = layer(images)
  assert output.shape == layer.compute_output_shape(images.shape)
  seen, kernel = images.numpy()[:, ::2, ::2], layer.kernel.numpy()[0, 0]
  np.testing.assert_allclose(output, seen @ kernel, atol=1e-6)
  above = rng.normal(size=output.shape).astype("f")
  by_kernel, by_image = backward(layer, images, tf.constant(above))()
  np.testing.assert_allclose(
    by_kernel[0, 0], np.einsum("bhwi,bhwo->io", seen, above), atol=1e-5
  )
  expected = np.zeros(images.shape, "f")
  expected[:, ::2, ::2] = above @ kernel.T
  np.testing.assert_allclose(by_image, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("size", [(7, 5), (8, 6)])
def test_a_strided_1x1_convolution_sees_every_other_pixel_bit_for_bit(
  size, dtype
):
  images = tf.cast(tf.random.stateless_normal([2, *size, 3], [0, 1]), dtype)
  layer = convolution.Convolution(3, 1, strides=2, dtype=dtype)
  layer.build(images.shape)
  layer.kernel.assign(tf.eye(3, dtype=dtype)[None, None])
  seen = layer(images).numpy()
  np.testing.assert_array_equal(seen, images.numpy()[:, ::2, ::2])
  above = tf.cast(tf.random.stateless_normal(seen.shape, [0, 2]), dtype)
  expected = np.zeros_like(images.numpy())
  expected[:, ::2, ::2] = above.numpy()
  _, by_image = backward(layer, images, above)()
  np.testing.assert_array_equal(by_image, expected)


def test_no_strided_1x1_filter_gradient_reaches_tensorflow():
  # TensorFlow 2.15 with oneDNN computes it wrongly now and then: of 4,000
  # evaluations of this very shape on a busy machine, 6 were up to 23 % off.
  images = tf.random.stateless_normal([8, 16, 16, 4], [0, 1])
  layer = convolution.Convolution(8, 1, strides=2)
  above = tf.random.stateless_normal(layer(images).shape, [0, 2])
  gradients = backward(layer, images, above)
  operations = gradients.get_concrete_function().graph.get_operations()
  strides = [
    tuple(op.get_attr("strides"))
    for op in operations
    if op.type == "Conv2DBackpropFilter"
  ]
  assert strides == [(1, 1, 1, 1)]
  expected, _ = gradients()
  for _ in range(300):
    np.testing.assert_array_equal(gradients()[0], expected)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
