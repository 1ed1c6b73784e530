"""PIRL's pretext task: patches of a grid of cells, in random order.

A window of the image is divided into P cells. Each patch has a random position
inside its cell, and the patches are in any of P! orders. All steps are tensor
operations on a batch.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import recipes


class JigsawRecipe(NamedTuple):
  """Recipe that turns an image into shuffled patches.

  Attributes:
    crop: range of the window that becomes the grid.
    patch: recipe whose photometric half each patch gets on its own.
    grid: number of cells along each side; P = grid².
    cell_size: side of a cell, pixels.
    patch_size: side of a patch, pixels, at most `cell_size`.
  """

  crop: crop_lib.CropRange
  patch: recipes.Recipe
  grid: int = 3
  cell_size: int = 85
  patch_size: int = 64

  def crop_size(self, image_size: int) -> int:
    """Side of the window, pixels; it does not depend on `image_size`."""
    del image_size
    return self.grid * self.cell_size

  def finish(
    self,
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    offset: int | tf.Tensor = 0,
    total: int | tf.Tensor | None = None,
    compiled: bool = False,
  ) -> tf.Tensor:
    """Cuts and shuffles patches and applies the photometric half.

    Args:
      images: [B, S, S, 3] uint8 or float, 0..255, S = grid * cell_size: rows
        offset..offset+B of a global batch.
      seed: [2] integer, seed of all random numbers.
      offset: first row of `images` in the global batch.
      total: size of the global batch; B by default.
      compiled: whether XLA compiles the photometric steps.

    Returns:
      [B, P, patch_size, patch_size, 3] float32, normalized.
    """
    rows = tf.shape(images)[0]
    total = rows if total is None else total
    draws = draw(seed, total, self.grid**2)
    mine = draws[tf.cast(offset, tf.int32) :][:rows]
    patches = cut(images, mine, cell=self.cell_size, patch=self.patch_size)
    count, side = self.grid**2, self.patch_size
    finished = self.patch.finish(
      tf.reshape(patches, [-1, side, side, 3]),
      tf.cast(seed, tf.int64) + [3 << 32, 0],
      offset=offset * count,
      total=total * count,
      compiled=compiled,
    )
    return tf.reshape(finished, [-1, count, side, side, 3])


def draw(seed: tf.Tensor, total: int | tf.Tensor, patches: int) -> tf.Tensor:
  """Uniform numbers [total, P, 3]: row, column and sort key of each patch."""
  seed = tf.cast(seed, tf.int64) + [4 << 32, 0]
  return tf.random.stateless_uniform([total, patches, 3], seed, alg="philox")


def cut(
  images: tf.Tensor, draws: tf.Tensor, *, cell: int, patch: int
) -> tf.Tensor:
  """Cuts a patch from every cell and sorts the patches by their sort keys.

  Args:
    images: [B, grid * cell, grid * cell, C].
    draws: [B, P, 3] in 0..1, random numbers of `draw`.
    cell: side of a cell, pixels.
    patch: side of a patch, pixels.

  Returns:
    [B, P, patch, patch, C], dtype of the images; patch p is from the cell with
    the p-th smallest sort key.
  """
  size, channels = images.shape[1], images.shape[3]
  grid = size // cell
  cells = tf.reshape(images, [-1, grid, cell, grid, cell, channels])
  cells = tf.transpose(cells, [0, 1, 3, 2, 4, 5])
  cells = tf.reshape(cells, [-1, grid**2, cell, cell, channels])
  start = tf.cast(tf.floor(draws[..., :2] * (cell - patch + 1.0)), tf.int32)
  places = start[..., None] + tf.range(patch)  # [B, P, 2, patch]
  patches = tf.gather(cells, places[:, :, 0], axis=2, batch_dims=2)
  patches = tf.gather(
    tf.transpose(patches, [0, 1, 3, 2, 4]),
    places[:, :, 1],
    axis=2,
    batch_dims=2,
  )
  patches = tf.transpose(patches, [0, 1, 3, 2, 4])
  patches = tf.gather(patches, tf.argsort(draws[..., 2]), batch_dims=1)
  return tf.ensure_shape(patches, [None, grid**2, patch, patch, channels])


def pirl_patches(
  *,
  patch: recipes.Recipe,
  min_area: float = 0.6,
  grid: int = 3,
  cell_size: int = 85,
  patch_size: int = 64,
) -> JigsawRecipe:
  """PIRL's patches as in VISSL, from a window of 255 px.

  Args:
    patch: recipe of each patch, such as `recipes.pirl()`; its crop is unused.
    min_area: smallest area of the window, as a fraction of the image's.
    grid: number of cells along each side.
    cell_size: side of a cell, pixels.
    patch_size: side of a patch, pixels, at most `cell_size`.
  """
  return JigsawRecipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    patch=patch,
    grid=grid,
    cell_size=cell_size,
    patch_size=patch_size,
  )
