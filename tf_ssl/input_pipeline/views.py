"""The geometric half for a chunk of examples: records in, cropped views out.

What is cheap for an image but dear as an operation (order, paths, windows) is
computed for the chunk at once; only reading, decoding and resizing go image by
image.
"""

import tensorflow as tf

from tf_ssl import types
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import resize
from tf_ssl.input_pipeline import decoding, loading

NUM_VIEWS = 2


def load_pairs(
  source: loading.Source,
  indices: tf.Tensor,
  draws: tf.Tensor,
  *,
  crop: crop_lib.CropRange,
  size: int,
) -> tf.data.Dataset:
  """Cuts two views out of each of some images.

  Args:
    source: where the images are.
    indices: [n] int64, which images.
    draws: [n, 2, ...], from `crop.draw`.
    crop: the windows to draw.
    size: pixels a side of a view.

  Returns:
    A dataset of n `types.ImagePair`, [size, size, 3] uint8 each. It fails where
    an image cannot be used, and then yields fewer.
  """

  def read(location: loading.Location):
    encoded = source.read(location)
    return encoded, decoding.sides(encoded), location.box

  def draw(encoded: tf.Tensor, sides: tf.Tensor, boxes: tf.Tensor):
    regions = loading.regions(boxes, sides)
    return encoded, crop_lib.random_windows(regions, draws, crop=crop)

  def cut(encoded: tf.Tensor, windows: tf.Tensor) -> types.ImagePair:
    windows = tf.ensure_shape(windows, [NUM_VIEWS, 4])
    outer = crop_lib.enclosing_window(windows)
    image = decoding.decode_window(encoded, outer)
    windows -= tf.pad(outer[:2], [[0, 2]])
    return types.ImagePair(*resize.resize_windows(image, windows, size))

  dataset = tf.data.Dataset.from_tensor_slices(source.locate(indices))
  # drop_remainder: what an error leaves over must not meet others' draws.
  dataset = dataset.map(read).batch(tf.size(indices, tf.int64), True)
  return dataset.map(draw).unbatch().map(cut)
