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
    index: [...] int64, the example.
  """

  crops: tuple[tf.Tensor, ...]
  index: tf.Tensor


def view_loader(
  source: loading.Source, views: Sequence[View], *, portable: bool = False
) -> Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset]:
  """Returns a function that cuts the views out of what examples show.

  Args:
    source: where the images are.
    views: V of them. If an example shows several images (P = V), view v is cut
      out of image v, else all are cut out of the one.
    portable: whether it may run in another process than this one.

  Returns:
    A function from examples ([n] int64) and draws ([n, V, ...], from
    `crop.draw`) to a dataset of n `Loaded`. It fails where an image cannot be
    used, and then yields fewer.
  """
  places = source.num_places
  # Which views each place has: all, or one.
  shown = [
    [v for v in range(len(views)) if v % places == p] for p in range(places)
  ]
  sizes = [view.size for view in views]

  # Functions, so that a second use is not a second trace.
  @tf.function(autograph=False)
  def read(location: loading.Location):
    encoded = source.read(location)
    return encoded, decoding.sides(encoded), location.box

  @tf.function(autograph=False)
  def draw(
    sides: tf.Tensor, boxes: tf.Tensor, draws: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    regions = tf.reshape(loading.regions(boxes, sides), [-1, places, 4])
    outer, windows = [], [None] * len(views)
    for place, numbers in enumerate(shown):
      drawn = crop_lib.random_windows(
        regions[:, place],
        tf.gather(draws, numbers, axis=1),
        crops=[views[v].crop for v in numbers],
      )
      outer.append(crop_lib.enclosing_window(drawn))
      start = tf.pad(outer[-1][:, None, :2], [[0, 0], [0, 0], [0, 2]])
      for v, window in zip(
        numbers, tf.unstack(drawn - start, len(numbers), axis=1), strict=True
      ):
        windows[v] = window
    return tf.stack(outer, axis=1), tf.stack(windows, axis=1)

  @tf.function(autograph=False)
  def cut(
    encoded: tf.Tensor, outer: tf.Tensor, windows: tf.Tensor, index: tf.Tensor
  ) -> Loaded:
    crops = [None] * len(views)
    for place, numbers in enumerate(shown):
      image = decoding.decode_window(encoded[place], outer[place])
      found = resize.resize_windows(
        image,
        tf.ensure_shape(tf.gather(windows, numbers), [len(numbers), 4]),
        [sizes[v] for v in numbers],
        portable=portable,
      )
      for v, crop in zip(numbers, found, strict=True):
        crops[v] = crop
    return Loaded(tuple(crops), index)

  def load(indices: tf.Tensor, draws: tf.Tensor) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(source.locate(indices))
    # drop_remainder: what an error leaves over must not meet others' draws.
    count = tf.size(indices, tf.int64)
    dataset = dataset.map(read).batch(count * places, True)
    dataset = dataset.map(
      lambda encoded, sides, boxes: (
        tf.reshape(encoded, [-1, places]),
        *draw(sides, boxes, draws),
        indices,
      )
    )
    return dataset.unbatch().map(cut)

  return load
