"""From pixels as they come to what a model takes, as its file or user says."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import preprocessing as preprocessing_lib
from tf_ssl.models import reader as reader_lib


class Preparation(NamedTuple):
  """How images are changed before a model sees them.

  Attributes:
    preprocessing: how pixel values are changed, in a word.
    chosen: why so.
    preprocess: the function, of [B, H, W, 3] float32, 0..255.
    size: height and width that images are resized to; None for as they come.
  """

  preprocessing: str
  chosen: str
  preprocess: Callable[[tf.Tensor], tf.Tensor]
  size: tuple[int, int] | None

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, 3] float32, 0..255 -> what the model expects, float32."""
    if self.size is not None:
      images = tf.cond(
        tf.reduce_all(tf.shape(images)[1:3] == self.size),
        lambda: images,
        lambda: tf.image.resize(images, self.size, antialias=True),
      )
      images = tf.ensure_shape(images, [None, *self.size, 3])
    return self.preprocess(images)


def of_reader(
  reader: reader_lib.Reader,
  *,
  name: str,
  path: str,
  preprocessing: str | None = None,
  image_size: int | None = None,
) -> Preparation:
  """Decides how images are prepared.

  Args:
    reader: the model as its file describes it.
    name: of the model, for errors.
    path: likewise.
    preprocessing: a name of `preprocessing.BY_NAME`; None for what the file
      says.
    image_size: pixels a side that images are resized to for this model; None
      for what the file says.

  Raises:
    UsageError: the file does not say how pixels are preprocessed and nor does
      `preprocessing`; a size other than the model's only one.
  """
  chosen, preprocess = "by `preprocessing`", None
  if preprocessing is None:
    preprocessing, chosen = reader.preprocessing, reader.preprocessing_chosen
    preprocess = reader.preprocess
  if preprocessing is None:
    raise errors.UsageError(
      f"model {name!r} ({path}): the file does not say what its pixels must "
      f"be; set preprocessing to one of {preprocessing_lib.MEANING}"
    )
  if preprocess is None:
    preprocess = preprocessing_lib.by_name(preprocessing)
  size = reader.image_size
  if image_size is not None:
    if size not in (None, (image_size, image_size)):
      height, width = size
      raise errors.UsageError(
        f"model {name!r} ({path}) takes images of {width}x{height} px only, "
        f"and image_size={image_size} was asked for; leave it out"
      )
    size = (image_size, image_size)
  return Preparation(preprocessing, chosen, preprocess, size)
