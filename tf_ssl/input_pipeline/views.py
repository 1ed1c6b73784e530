"""The geometric half for a chunk of examples: records in, cropped views out.

What is cheap for an image but dear as an operation (order, paths, windows) is
computed for the chunk at once; only reading, decoding and resizing go image by
image.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import types
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import resize
from tf_ssl.input_pipeline import decoding, loading

NUM_VIEWS = 2


def pair_loader(
  source: loading.Source, *, crop: crop_lib.CropRange, size: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset]:
  """Returns a function that cuts two views out of each of some images.

  Args:
    source: where the images are.
    crop: the windows to draw.
    size: pixels a side of a view.

  Returns:
    A function from images ([n] int64) and draws ([n, 2, ...], from `crop.draw`)
    to a dataset of n `types.ImagePair`, [size, size, 3] uint8 each. It fails
    where an image cannot be used, and then yields fewer.
  """

  # Functions, so that a second use is not a second trace.
  @tf.function(autograph=False)
  def read(location: loading.Location):
    encoded = source.read(location)
    return encoded, decoding.sides(encoded), location.box

  @tf.function(autograph=False)
  def draw(
    sides: tf.Tensor, boxes: tf.Tensor, draws: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    regions = loading.regions(boxes, sides)
    windows = crop_lib.random_windows(regions, draws, crop=crop)
    outer = crop_lib.enclosing_window(windows)
    return outer, windows - tf.pad(outer[:, None, :2], [[0, 0], [0, 0], [0, 2]])

  @tf.function(autograph=False)
  def cut(
    encoded: tf.Tensor, outer: tf.Tensor, windows: tf.Tensor
  ) -> types.ImagePair:
    image = decoding.decode_window(encoded, outer)
    windows = tf.ensure_shape(windows, [NUM_VIEWS, 4])
    return types.ImagePair(*resize.resize_windows(image, windows, size))

  def load(indices: tf.Tensor, draws: tf.Tensor) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(source.locate(indices))
    # drop_remainder: what an error leaves over must not meet others' draws.
    dataset = dataset.map(read).batch(tf.size(indices, tf.int64), True)
    dataset = dataset.map(
      lambda encoded, sides, boxes: (encoded, *draw(sides, boxes, draws))
    )
    return dataset.unbatch().map(cut)

  return load
