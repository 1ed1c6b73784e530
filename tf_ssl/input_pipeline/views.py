"""The geometric half for a chunk of examples: records in, cropped views out.

What is cheap for an image but dear as an operation (order, paths, windows) is
computed for the chunk at once; only reading, decoding and resizing go image by
image.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import resize
from tf_ssl.input_pipeline import decoding, loading


class View(NamedTuple):
  """One view's geometry.

  Attributes:
    crop: the window to draw.
    size: pixels a side.
  """

  crop: crop_lib.CropRange
  size: int


class Loaded(NamedTuple):
  """What was cut out of an image.

  Attributes:
    crops: for each view, [..., size, size, 3] uint8; later what was made of it.
    index: [...] int64, the image.
  """

  crops: tuple[tf.Tensor, ...]
  index: tf.Tensor


def view_loader(
  source: loading.Source, views: Sequence[View], *, portable: bool = False
) -> Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset]:
  """Returns a function that cuts the views out of each of some images.

  Args:
    source: where the images are.
    views: V of them.
    portable: whether it may run in another process than this one.

  Returns:
    A function from images ([n] int64) and draws ([n, V, ...], from `crop.draw`)
    to a dataset of n `Loaded`. It fails where an image cannot be used, and then
    yields fewer.
  """
  crops, sizes = [v.crop for v in views], [v.size for v in views]

  # Functions, so that a second use is not a second trace.
  @tf.function(autograph=False)
  def read(location: loading.Location):
    encoded = source.read(location)
    return encoded, decoding.sides(encoded), location.box, location.index

  @tf.function(autograph=False)
  def draw(
    sides: tf.Tensor, boxes: tf.Tensor, draws: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    regions = loading.regions(boxes, sides)
    windows = crop_lib.random_windows(regions, draws, crops=crops)
    outer = crop_lib.enclosing_window(windows)
    return outer, windows - tf.pad(outer[:, None, :2], [[0, 0], [0, 0], [0, 2]])

  @tf.function(autograph=False)
  def cut(
    encoded: tf.Tensor, outer: tf.Tensor, windows: tf.Tensor, index: tf.Tensor
  ) -> Loaded:
    image = decoding.decode_window(encoded, outer)
    windows = tf.ensure_shape(windows, [len(views), 4])
    crops = resize.resize_windows(image, windows, sizes, portable=portable)
    return Loaded(tuple(crops), index)

  def load(indices: tf.Tensor, draws: tf.Tensor) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(source.locate(indices))
    # drop_remainder: what an error leaves over must not meet others' draws.
    dataset = dataset.map(read).batch(tf.size(indices, tf.int64), True)
    dataset = dataset.map(
      lambda encoded, sides, boxes, index: (
        encoded,
        *draw(sides, boxes, draws),
        index,
      )
    )
    return dataset.unbatch().map(cut)

  return load
