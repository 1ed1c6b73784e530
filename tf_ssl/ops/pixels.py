"""From pixel values to what encoders expect."""

import tensorflow as tf

# Channel mean and standard deviation of ImageNet's training images, on the
# 0..255 scale; the values of every recipe in METHODS of MoCo, PIRL, SimCLR.
IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def normalize(images: tf.Tensor) -> tf.Tensor:
  """Subtracts ImageNet's mean and divides by its standard deviation.

  Args:
    images: [..., 3], uint8 or float, values 0..255.

  Returns:
    float32 of the same shape, roughly zero mean and unit variance.
  """
  images = tf.cast(images, tf.float32)
  return (images - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_STD)
