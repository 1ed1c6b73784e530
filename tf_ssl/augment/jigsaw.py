"""PIRL's pretext task: a grid of patches, each a little off, in random order.

A window of the image is cut into cells, a patch into each cell, and the patches
are dealt in any of their P! orders. All of it is tensor operations on a batch.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import recipes


class JigsawRecipe(NamedTuple):
  """What turns an image into its shuffled patches.

  Attributes:
    crop: the window that becomes the grid.
    patch: the photometric half, which each patch gets for itself.
    grid: cells a side; P = grid².
    cell_size: pixels a side of a cell.
    patch_size: pixels a side of a patch, at most `cell_size`.
  """

  crop: crop_lib.CropRange
  patch: recipes.Recipe
  grid: int = 3
  cell_size: int = 85
  patch_size: int = 64

  def crop_size(self, image_size: int) -> int:
    """Pixels a side of the window; whatever the size of the other views."""
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
    """Cuts, shuffles and colors patches; arguments as of `Recipe.finish`.

    Args:
      images: [B, S, S, 3] uint8 or float, S = grid * cell_size.
      seed: [2] integer.
      offset: where in the global batch `images` begins.
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
  """[total, P, 3] uniform numbers: each patch's row, column and turn."""
  seed = tf.cast(seed, tf.int64) + [4 << 32, 0]
  return tf.random.stateless_uniform([total, patches, 3], seed, alg="philox")


def cut(
  images: tf.Tensor, draws: tf.Tensor, *, cell: int, patch: int
) -> tf.Tensor:
  """Cuts a patch out of every cell and deals them anew.

  Args:
    images: [B, grid * cell, grid * cell, C].
    draws: [B, P, 3] in 0..1, from `draw`.
    cell: pixels a side of a cell.
    patch: pixels a side of a patch.

  Returns:
    [B, P, patch, patch, C], of the images' type; place p shows the cell with
    the p-th smallest turn.
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
  """PIRL's patches as VISSL makes them, from a window of 255 px.

  Args:
    patch: what each patch gets, such as `recipes.pirl()`; its crop is not used.
    min_area: smallest area of the window, as a share of the image's.
    grid: see `JigsawRecipe`.
    cell_size: see `JigsawRecipe`.
    patch_size: see `JigsawRecipe`.
  """
  return JigsawRecipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    patch=patch,
    grid=grid,
    cell_size=cell_size,
    patch_size=patch_size,
  )
