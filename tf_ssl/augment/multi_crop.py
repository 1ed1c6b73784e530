"""Several small crops of each image (multi-crop of SwAV, Caron et al. 2020).

The image is read and decoded once for all its windows.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import recipes


class MultiCrop(NamedTuple):
  """Recipe that turns an image into V crops.

  Attributes:
    recipe: recipe of each crop, with the range of its window and its size.
    number: V, number of crops, at least 0.
  """

  recipe: recipes.Recipe
  number: int

  @property
  def crop(self) -> crop_lib.CropRange:
    """Range of the random windows."""
    return self.recipe.crop

  def crop_size(self, image_size: int) -> int:
    """Side of a crop, pixels."""
    return self.recipe.crop_size(image_size)

  def finish(
    self,
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    offset: int | tf.Tensor = 0,
    total: int | tf.Tensor | None = None,
    compiled: bool = False,
  ) -> tf.Tensor:
    """Applies the photometric half to every crop on its own.

    Args:
      images: [B, V, S, S, 3] uint8 or float, 0..255: rows offset..offset+B of a
        global batch.
      seed: [2] integer, seed of all random numbers.
      offset: first row of `images` in the global batch.
      total: size of the global batch; B by default.
      compiled: whether XLA compiles the photometric steps.

    Returns:
      [B, V, S, S, 3] float32, normalized.
    """
    if not self.number:
      return tf.cast(images, tf.float32)
    rows = tf.shape(images)[0]
    finished = self.recipe.finish(
      tf.reshape(images, [-1, *images.shape[2:]]),
      seed,
      offset=offset * self.number,
      total=(rows if total is None else total) * self.number,
      compiled=compiled,
    )
    return tf.reshape(finished, [-1, *images.shape[1:]])


def crops(
  *,
  recipe: recipes.Recipe,
  number: int = 6,
  size: int | None = 96,
  area: tuple[float, float] = (0.05, 0.14),
  aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> MultiCrop:
  """V small crops; the defaults are SwAV's on ImageNet (2x224 + 6x96).

  Args:
    recipe: recipe of each crop, such as `recipes.moco_v2()`; its window and
      size are unused.
    number: V; 0 for none.
    size: side of a crop, pixels; None for the image size of the run.
    area: smallest and largest area of a window, as a fraction of the image's.
    aspect: smallest and largest ratio of a window's width to its height.

  Raises:
    UsageError: a number is out of range.
  """
  errors.require(
    number >= 0, f"crops: number={number}, expected at least 0; change CROPS"
  )
  errors.require(
    size is None or size >= 2,
    f"crops: size={size}, expected at least 2 px; change CROP_SIZE",
  )
  errors.require(
    len(area) == 2 and 0.0 < area[0] <= area[1] <= 1.0,
    f"crops: area={area}, expected (smallest, largest) with 0 < smallest <="
    " largest <= 1; change CROP_AREA",
  )
  window = crop_lib.CropRange(tuple(area), tuple(aspect))
  return MultiCrop(recipe._replace(crop=window, size=size), number)
