"""Windows of two views, drawn as training draws them.

By the samplers that make training views (`augment.crop`, torchvision's
RandomResizedCrop, and `augment.croppers`), in whole pixels of the original
images.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import croppers
from tf_ssl.dataset_bias import object_boxes


class Cropping(NamedTuple):
  """A cropper as a training run would use it; see `augment.croppers`.

  Attributes:
    cropper: cropper of both views.
    view_size: side of a view, pixels.
    min_area: smallest area of a box that it uses, as a fraction of the image's.
    around_all: whether its one box is the smallest around all objects of an
      image, as of an encoder that looks at all of them and nothing else.
  """

  cropper: croppers.Cropper
  view_size: int = 224
  min_area: float = 0.01
  around_all: bool = False


@functools.lru_cache(maxsize=32)
def sampler(
  crop_range: crop_lib.CropRange, num_windows: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  """Makes a function that draws windows; it is traced once and cached.

  Args:
    crop_range: areas and aspect ratios to draw from.
    num_windows: V, number of windows in each image.

  Returns:
    Function from image sizes [N, 2] int32, height and width, and a seed [2]
    int64 to windows [N, V, 4] int32: ymin, xmin, height, width in pixels.
  """

  @functools.partial(tf.function, autograph=False)
  def draw(sizes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    regions = tf.pad(sizes, [[0, 0], [2, 0]])
    draws = crop_lib.draw(tf.shape(sizes)[0], num_windows, seed)
    return crop_lib.random_windows(
      regions, draws, crops=[crop_range] * num_windows
    )

  signature = (tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([2], tf.int64))
  return draw.get_concrete_function(*signature)


@functools.lru_cache(maxsize=32)
def box_sampler(
  crop_range: crop_lib.CropRange,
  pairs: int,
  cropping: Cropping,
) -> Callable[..., tf.Tensor]:
  """Makes a function that draws pairs of windows by a cropper.

  Each pair draws its own box, as each epoch of a training run does.

  Args:
    crop_range: areas and aspect ratios to draw from.
    pairs: P, number of pairs of windows in each image.
    cropping: cropper of both windows.

  Returns:
    Function from image sizes [N, 2] int32, height and width, offsets [N + 1]
    int64 of each image's boxes [O, 4] float32 (ymin, xmin, ymax, xmax, pixels;
    one further row at the end) and a seed [2] int64 to windows [N, 2 P, 4]
    int32; windows p and P + p form a pair.
  """
  sizes_of_views = [cropping.view_size] * 2
  views = croppers.Views([crop_range] * 2, sizes_of_views, [0, 1])

  @functools.partial(tf.function, autograph=False)
  def draw(sizes, offsets, boxes, seed):
    count = tf.shape(sizes)[0]

    def by_pair(x):
      """[N, 2 P, ...] -> [N P, 2, ...]."""
      x = tf.reshape(x, [count, 2, pairs, *x.shape[2:]])
      x = tf.transpose(x, [0, 2, 1, *range(3, len(x.shape))])
      return tf.reshape(x, [-1, *x.shape[2:]])

    shared = tf.random.stateless_uniform(
      [count * pairs, croppers.NUM_DRAWS],
      seed + tf.constant([1 << 32, 0], tf.int64),
      alg="philox",
    )
    first, numbers = (
      tf.repeat(x, pairs) for x in (offsets[:-1], offsets[1:] - offsets[:-1])
    )
    regions = tf.repeat(tf.pad(sizes, [[0, 0], [2, 0]]), pairs, axis=0)
    chosen = tf.gather(boxes, first + croppers.drawn_row(shared, numbers))
    chosen, found = croppers.within(regions, chosen, numbers > 0)
    windows = cropping.cropper.windows(
      regions,
      croppers.Objects(chosen, found, shared),
      by_pair(crop_lib.draw(count, 2 * pairs, seed)),
      views,
    )
    windows = tf.reshape(windows, [count, pairs, 2, 4])
    return tf.reshape(tf.transpose(windows, [0, 2, 1, 3]), [count, -1, 4])

  return draw.get_concrete_function(
    tf.TensorSpec([None, 2], tf.int32),
    tf.TensorSpec([None], tf.int64),
    tf.TensorSpec([None, 4], tf.float32),
    tf.TensorSpec([2], tf.int64),
  )


def usable(
  objects: object_boxes.ObjectBoxes, cropping: Cropping
) -> tuple[np.ndarray, np.ndarray]:
  """Offsets and boxes of those objects that a training run would use.

  Args:
    objects: boxes of N images that each have at least one object.
    cropping: cropper that uses them.

  Returns:
    [N + 1] int64 offsets and [O + 1, 4] float32 boxes, as the function of
    `box_sampler` takes them.
  """
  boxes, image = objects.boxes, objects.image
  if cropping.around_all:
    first = objects.offsets[:-1]
    low = np.minimum.reduceat(boxes[:, :2], first, axis=0)
    high = np.maximum.reduceat(boxes[:, 2:], first, axis=0)
    boxes, image = np.concatenate([low, high], 1), np.arange(len(low))
  else:
    areas = np.prod(objects.sizes.astype(np.float64), axis=1)[image]
    large = objects.areas >= cropping.min_area * areas
    boxes, image = boxes[large], image[large]
  counts = np.bincount(image, minlength=objects.num_images)
  boxes = np.append(boxes[:, [1, 0, 3, 2]], np.zeros([1, 4]), axis=0)
  return np.append(0, np.cumsum(counts)), boxes.astype(np.float32)
