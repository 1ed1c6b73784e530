"""Normalization of pixels, as encoders expect them."""

import tensorflow as tf

# Channel mean and standard deviation of ImageNet's training images, scaled to
# 0..255, as in the code of MoCo, PIRL and torchvision.
IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def normalize(images: tf.Tensor) -> tf.Tensor:
  """Subtracts ImageNet's mean and divides by its standard deviation.

  Args:
    images: [..., 3], uint8 or float, 0..255.

  Returns:
    [..., 3] float32, mean about 0 and variance about 1.
  """
  images = tf.cast(images, tf.float32)
  return (images - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_STD)
