"""From pixel values to what foreign models expect, by name."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import pixels

# Mean of ImageNet's training images in blue, green, red, on the 0..255 scale:
# that of the Caffe networks (VGG, and Keras' first ResNets) that subtract it.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def _caffe(images: tf.Tensor) -> tf.Tensor:
  return tf.reverse(images, [-1]) - tf.constant(_CAFFE_MEAN)


# Name -> function from [B, H, W, 3] float32, RGB, 0..255.
BY_NAME: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
  "0..255": tf.identity,
  "0..1": lambda images: images / 255.0,
  "-1..1": lambda images: images / 127.5 - 1.0,
  "imagenet": pixels.normalize,
  "caffe": _caffe,
}
MEANING = (
  "0..255 (as they are), 0..1, -1..1, imagenet (mean 0 and deviation 1 of "
  "ImageNet's channels), caffe (BGR less their mean)"
)


def by_name(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the function of a name; UsageError for an unknown one."""
  if name not in BY_NAME:
    raise errors.UsageError(
      f"preprocessing={name!r}: expected one of {MEANING}; change "
      "`preprocessing`"
    )
  return BY_NAME[name]
