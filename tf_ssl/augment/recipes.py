"""The augmentation recipes, by the names of their papers.

A recipe has two halves. Geometry (`Recipe.crop`) needs the original image and
runs per image in tf.data. Everything after it (`Recipe.finish`) runs on a whole
batch with parameters drawn per image, at the end of tf.data or inside the train
step: the same function.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import blur
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import photometric
from tf_ssl.ops import pixels


class Recipe(NamedTuple):
  """What turns an image into a view.

  Attributes:
    crop: the windows to draw.
    jitter: strengths of the colour jitter.
    jitter_probability: share of the views that are jittered.
    grayscale_probability: share of the views that lose their colour.
    grayscale_first: whether grayscale comes before the jitter (MoCo v1).
    blur_probability: share of the views that are blurred.
    blur_sigma: smallest and largest standard deviation of the blur, in pixels.
    flip_probability: share of the views that are mirrored.
  """

  crop: crop_lib.CropRange
  jitter: photometric.JitterStrength
  jitter_probability: float
  grayscale_probability: float
  grayscale_first: bool
  blur_probability: float
  blur_sigma: tuple[float, float]
  flip_probability: float

  def draw(self, seed: tf.Tensor, total: int | tf.Tensor) -> "Draws":
    """Draws the parameters of every view of a global batch.

    Args:
      seed: [2] integer.
      total: number of views in the global batch.
    """
    u = tf.random.stateless_uniform([total, 12], seed, alg="philox")
    u = tf.unstack(u, axis=1)
    chosen = u[0] < self.jitter_probability
    factors, hue = photometric.draw_jitter(u[1:5], self.jitter, chosen)
    smallest, largest = self.blur_sigma
    sigma = smallest + (largest - smallest) * u[8]
    order = tf.stack(u[9:12], axis=1)
    hue_position = tf.random.stateless_uniform(
      [], seed + 1, 0, 4, tf.int32, alg="philox"
    )
    return Draws(
      factors=factors,
      hue=hue,
      order=tf.argsort(order, axis=1),
      hue_position=hue_position,
      grayscale=u[5] < self.grayscale_probability,
      flip=u[6] < self.flip_probability,
      blur=u[7] < self.blur_probability,
      sigma=sigma,
    )

  def apply(self, images: tf.Tensor, draws: "Draws") -> tf.Tensor:
    """Applies drawn parameters; see `finish`."""
    x = tf.transpose(tf.cast(images, tf.float32), [0, 3, 1, 2])  # [B,3,H,W]
    x = tf.where(draws.flip[:, None, None, None], tf.reverse(x, [3]), x)
    if self.grayscale_first:
      x = photometric.grayscale(x, draws.grayscale)
    x = photometric.jitter(
      x, draws.factors, draws.hue, draws.order, draws.hue_position
    )
    if not self.grayscale_first:
      x = photometric.grayscale(x, draws.grayscale)
    if self.blur_probability > 0:
      x = blur.gaussian_blur(
        x, tf.where(draws.blur, draws.sigma, 0.0), max_sigma=self.blur_sigma[1]
      )
    return pixels.normalize(tf.transpose(x, [0, 2, 3, 1]))

  def finish(
    self,
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    offset: int | tf.Tensor = 0,
    total: int | tf.Tensor | None = None,
  ) -> tf.Tensor:
    """The photometric half: cropped views in, what the encoder sees out.

    Args:
      images: [B, H, W, 3], uint8 or float, 0..255: rows offset..offset+B of a
        global batch.
      seed: [2] integer; `input_pipeline.order.view_seed` in training.
      offset: where in the global batch `images` begins, so that replicas with a
        slice each see what one device with the whole batch would.
      total: size of the global batch; B by default.

    Returns:
      [B, H, W, 3] float32, normalised by `ops.pixels.normalize`.
    """
    rows = tf.shape(images)[0]
    draws = self.draw(seed, rows if total is None else total)
    draws = draws.rows(offset, rows)
    return self.apply(images, draws)


class Draws(NamedTuple):
  """Drawn parameters, one row a view.

  Attributes:
    factors: [B, 3] of brightness, contrast and saturation; 1 changes nothing.
    hue: [B], turns of the colour circle; 0 changes nothing.
    order: [B, 3] int32, the order of those three.
    hue_position: [] int32 in 0..3, how many of the three come before hue; one
      for the batch.
    grayscale: [B] bool.
    flip: [B] bool.
    blur: [B] bool.
    sigma: [B], standard deviation in pixels.
  """

  factors: tf.Tensor
  hue: tf.Tensor
  order: tf.Tensor
  hue_position: tf.Tensor
  grayscale: tf.Tensor
  flip: tf.Tensor
  blur: tf.Tensor
  sigma: tf.Tensor

  def rows(self, offset: tf.Tensor, count: tf.Tensor) -> "Draws":
    """The parameters of views offset..offset+count."""
    return self._replace(
      **{
        name: value[offset : offset + count]
        for name, value in self._asdict().items()
        if name != "hue_position"
      }
    )


def moco_v1(
  *, min_area: float = 0.2, max_area: float = 1.0, jitter_strength: float = 1.0
) -> Recipe:
  """He et al. 2020, section 3.3: crop, grayscale, jitter, flip."""
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, max_area)),
    jitter=photometric.JitterStrength(*([0.4 * jitter_strength] * 4)),
    jitter_probability=1.0,
    grayscale_probability=0.2,
    grayscale_first=True,
    blur_probability=0.0,
    blur_sigma=(0.1, 2.0),
    flip_probability=0.5,
  )


def moco_v2(
  *,
  min_area: float = 0.2,
  max_area: float = 1.0,
  jitter_strength: float = 1.0,
  blur_probability: float = 0.5,
) -> Recipe:
  """Chen et al. 2020 (MoCo v2), section 3: v1 with blur and a milder hue."""
  s = jitter_strength
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, max_area)),
    jitter=photometric.JitterStrength(0.4 * s, 0.4 * s, 0.4 * s, 0.1 * s),
    jitter_probability=0.8,
    grayscale_probability=0.2,
    grayscale_first=False,
    blur_probability=blur_probability,
    blur_sigma=(0.1, 2.0),
    flip_probability=0.5,
  )
