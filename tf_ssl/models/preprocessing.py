"""From images 0..255 to the input that a model expects."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import reader as reader_lib
from tf_ssl.ops import pixels

# Mean of ImageNet's training images in blue, green, red, 0..255, which Caffe's
# networks (VGG and Keras' first ResNets) subtract.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def _caffe(images: tf.Tensor) -> tf.Tensor:
  return tf.reverse(images, [-1]) - tf.constant(_CAFFE_MEAN)


# Name -> function of [B, H, W, 3] float32, RGB, 0..255.
BY_NAME: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
  "0..255": tf.identity,
  "0..1": lambda images: images / 255.0,
  "-1..1": lambda images: images / 127.5 - 1.0,
  "imagenet": pixels.normalize,
  "caffe": _caffe,
  "(x-127)/128": lambda images: (images - 127.0) / 128.0,
}
MEANING = (
  "0..255 (unchanged), 0..1, -1..1, imagenet (ImageNet's channels have mean 0 "
  "and standard deviation 1), caffe (BGR, ImageNet's mean subtracted), "
  "(x-127)/128 (EfficientNet-Lite and other networks of TF-Slim)"
)


class Preparation(NamedTuple):
  """How images are resized and preprocessed for one model.

  Attributes:
    preprocessing: name of the preprocessing.
    chosen: reason for this preprocessing.
    preprocess: function of [B, H, W, 3] float32, 0..255.
    size: height and width that images are resized to; None to keep theirs.
  """

  preprocessing: str
  chosen: str
  preprocess: Callable[[tf.Tensor], tf.Tensor]
  size: tuple[int, int] | None

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, 3] float32, 0..255 -> input of the model, float32."""
    if self.size is not None:
      images = tf.cond(
        tf.reduce_all(tf.shape(images)[1:3] == self.size),
        lambda: images,
        lambda: tf.image.resize(images, self.size, antialias=True),
      )
      images = tf.ensure_shape(images, [None, *self.size, 3])
    return self.preprocess(images)


def by_name(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
  """The function of a name in `BY_NAME`; raises UsageError for others."""
  errors.require(
    name in BY_NAME,
    f"preprocessing={name!r}: expected one of {MEANING}; change preprocessing",
  )
  return BY_NAME[name]


def prepare_for(
  reader: reader_lib.Reader,
  *,
  name: str,
  path: str,
  preprocessing: str | None = None,
  image_size: int | None = None,
) -> Preparation:
  """Decides how images are prepared for a model.

  Args:
    reader: the model as its file describes it.
    name: name of the model, for errors.
    path: path of the model, for errors.
    preprocessing: name in `BY_NAME`; None for what the file specifies.
    image_size: side in px of the square that images are resized to; None for
      what the file specifies.

  Raises:
    UsageError: neither the file nor `preprocessing` specifies a preprocessing,
      the model does not accept `image_size`, or its images are too large.
  """
  chosen, preprocess = "by `preprocessing`", None
  if preprocessing is None:
    preprocessing, chosen = reader.preprocessing, reader.preprocessing_chosen
    preprocess = reader.preprocess
  errors.require(
    preprocessing is not None,
    f"model {name!r} ({path}): the file does not specify the preprocessing of "
    f"its images; set preprocessing to one of {MEANING}",
  )
  if preprocess is None:
    preprocess = by_name(preprocessing)
  size = reader.image_size
  if image_size is not None:
    if size not in (None, (image_size, image_size)):
      height, width = size
      raise errors.UsageError(
        f"model {name!r} ({path}) takes images of {width}x{height} px only, "
        f"but image_size={image_size}; remove image_size"
      )
    size = (image_size, image_size)
  reader_lib.check_pixels(
    f"model {name!r} ({path})", reader.batch_size or 1, *(size or (1, 1))
  )
  return Preparation(preprocessing, chosen, preprocess, size)
