"""Augmentation recipes of the papers.

A recipe has two halves. The geometric half (`Recipe.crop`) needs the original
image and runs for each image in tf.data. The photometric half (`Recipe.finish`)
runs on a batch, with random parameters for each image, at the end of tf.data or
inside the train step.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import blur, photometric, pillow
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import planes as planes_lib


class Recipe(NamedTuple):
  """Recipe that turns an image into a view.

  Attributes:
    crop: range of the random window.
    jitter: strengths of the color jitter.
    jitter_probability: probability of color jitter.
    grayscale_probability: probability of grayscale.
    grayscale_first: whether grayscale precedes the jitter.
    blur_probability: probability of Gaussian blur.
    blur_sigma: smallest and largest standard deviation of the blur, pixels.
    flip_probability: probability of horizontal mirroring.
    pillow_probability: probability of PIRL's operations (`augment.pillow`),
      between jitter and grayscale.
    size: side of the views, pixels; None for the image size of the run.
  """

  crop: crop_lib.CropRange
  jitter: photometric.JitterStrength
  jitter_probability: float
  grayscale_probability: float
  grayscale_first: bool
  blur_probability: float
  blur_sigma: tuple[float, float]
  flip_probability: float
  pillow_probability: float = 0.0
  size: int | None = None

  def crop_size(self, image_size: int) -> int:
    """Side of the crop and of the view, pixels."""
    return image_size if self.size is None else self.size

  def finish(
    self,
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    offset: int | tf.Tensor = 0,
    total: int | tf.Tensor | None = None,
    compiled: bool = False,
  ) -> tf.Tensor:
    """Applies the photometric half to crops.

    Mirroring is first; it commutes with all other operations. Inside a function
    that XLA compiles (`jit_compile=True`) the random numbers differ from those
    outside.

    Args:
      images: [B, H, W, 3], uint8 or float, 0..255: rows offset..offset+B of a
        global batch. H and W must be static.
      seed: [2] integer, seed of all random numbers; in training
        `input_pipeline.order.view_seed`.
      offset: first row of `images` in the global batch, so that replicas
        compute what one device computes on the global batch.
      total: size of the global batch; B by default.
      compiled: whether XLA compiles the steps, several times faster on a CPU.

    Returns:
      [B, H, W, 3] float32, normalized by `ops.pixels.normalize`.
    """
    rows = tf.shape(images)[0]
    draws = self.draw(seed, rows if total is None else total)
    draws = draws.rows(tf.cast(offset, tf.int32), rows)
    return self.apply(images, draws, compiled=compiled)

  def draw(self, seed: tf.Tensor, total: int | tf.Tensor) -> "Draws":
    """Draws the parameters of all `total` views of a global batch."""
    seed = tf.cast(seed, tf.int64)
    u = tf.random.stateless_uniform([total, 10], seed, alg="philox")
    order = tf.random.stateless_uniform([4], seed + [1 << 32, 0], alg="philox")
    pillow_draws = pillow.draw(
      tf.random.stateless_uniform(
        [total, 4], seed + [2 << 32, 0], alg="philox"
      ),
      probability=self.pillow_probability,
    )
    smallest, largest = self.blur_sigma
    sigma = smallest + (largest - smallest) * u[:, 7]
    blurred = u[:, 6] < self.blur_probability
    return Draws(
      flip=u[:, 8] < self.flip_probability,
      jitter=photometric.draw_jitter(
        u[:, :6],
        order,
        strength=self.jitter,
        probability=self.jitter_probability,
      ),
      grayscale=u[:, 9] < self.grayscale_probability,
      sigma=tf.where(blurred, sigma, 0.0),
      pillow=pillow_draws,
    )

  def apply(
    self, images: tf.Tensor, draws: "Draws", *, compiled: bool = False
  ) -> tf.Tensor:
    """Applies drawn parameters, one for each image, as `finish` does."""
    blurs = self.blur_probability > 0
    border = blur.border(self.blur_sigma[1]) if blurs else 0
    x = planes_lib.call(
      planes_lib.to_planes, compiled, images, draws.flip, border
    )
    if self.grayscale_first:
      x = planes_lib.call(photometric.grayscale, compiled, x, draws.grayscale)
    uses_pillow = self.pillow_probability > 0
    at_once = not self.grayscale_first and not uses_pillow
    x = photometric.jitter(
      x,
      draws.jitter,
      border,
      then_gray=draws.grayscale if at_once else None,
      compiled=compiled,
    )
    if uses_pillow:
      x = planes_lib.call(pillow.apply, compiled, x, draws.pillow, border)
      if not self.grayscale_first:
        x = planes_lib.call(photometric.grayscale, compiled, x, draws.grayscale)
    if blurs:
      x = blur.gaussian_blur(x, draws.sigma, border, compiled=compiled)
    return planes_lib.call(planes_lib.to_encoder, compiled, x)


class Draws(NamedTuple):
  """Random parameters of a batch of views.

  Attributes:
    flip: [B] bool, views to mirror.
    jitter: parameters of the color jitter.
    grayscale: [B] bool, views to convert to grayscale.
    sigma: [B], standard deviation of the blur, pixels; 0 for none.
    pillow: parameters of PIRL's operations.
  """

  flip: tf.Tensor
  jitter: photometric.Jitter
  grayscale: tf.Tensor
  sigma: tf.Tensor
  pillow: pillow.Draws

  def rows(self, offset: int | tf.Tensor, count: int | tf.Tensor) -> "Draws":
    """Parameters of views offset..offset+count."""

    def cut(values: tf.Tensor) -> tf.Tensor:
      return values[offset : offset + count]

    jitter = photometric.Jitter(*map(cut, self.jitter[:-1]), self.jitter.order)
    return Draws(
      cut(self.flip),
      jitter,
      cut(self.grayscale),
      cut(self.sigma),
      pillow.Draws(*map(cut, self.pillow)),
    )


def moco_v1(*, min_area: float = 0.2, jitter_strength: float = 1.0) -> Recipe:
  """MoCo (He et al. 2020, section 3.3): crop, grayscale, jitter, flip.

  Args:
    min_area: smallest area of a crop, as a fraction of the image's.
    jitter_strength: factor of the strengths of the color jitter.
  """
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    jitter=photometric.JitterStrength(*[0.4 * jitter_strength] * 4),
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
  jitter_strength: float = 1.0,
  grayscale_probability: float = 0.2,
  blur_probability: float = 0.5,
  blur_sigma: tuple[float, float] = (0.1, 2.0),
  size: int | None = None,
) -> Recipe:
  """MoCo v2 (Chen et al. 2020, section 3): crop, jitter, grayscale, blur, flip.

  Args:
    min_area: smallest area of a crop, as a fraction of the image's.
    jitter_strength: factor of the strengths of the color jitter.
    grayscale_probability: probability of grayscale; more than the paper's 0.2
      for images whose color says little about what they show.
    blur_probability: probability of blur; 0 is better for small images.
    blur_sigma: smallest and largest standard deviation of the blur, pixels.
    size: side of the views, pixels, for example of regions; None for the image
      size of the run.
  """
  s = jitter_strength
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    jitter=photometric.JitterStrength(0.4 * s, 0.4 * s, 0.4 * s, 0.1 * s),
    jitter_probability=0.8,
    grayscale_probability=grayscale_probability,
    grayscale_first=False,
    blur_probability=blur_probability,
    blur_sigma=blur_sigma,
    flip_probability=0.5,
    size=size,
  )


def pirl(
  *,
  min_area: float = 0.08,
  jitter_strength: float = 1.0,
  pillow_probability: float = 0.66,
  blur_probability: float = 0.0,
) -> Recipe:
  """PIRL (Misra & van der Maaten 2020) as in VISSL, for images and patches.

  Crop, jitter, posterize, sharpness, solarize, autocontrast, grayscale, flip.

  Args:
    min_area: smallest area of a crop, as a fraction of the image's.
    jitter_strength: factor of the strengths of the color jitter.
    pillow_probability: probability of the four operations after the jitter.
    blur_probability: probability of blur; 0.5 in VISSL's stronger variant.
  """
  s = jitter_strength
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    jitter=photometric.JitterStrength(0.4 * s, 0.4 * s, 0.4 * s, 0.2 * s),
    jitter_probability=1.0,
    grayscale_probability=0.2,
    grayscale_first=False,
    blur_probability=blur_probability,
    blur_sigma=(0.1, 2.0),
    flip_probability=0.5,
    pillow_probability=pillow_probability,
  )


def simclr(
  *,
  strength: float = 1.0,
  min_area: float = 0.08,
  blur_probability: float = 0.5,
) -> Recipe:
  """SimCLR (Chen et al. 2020, appendix A): crop, flip, jitter, grayscale, blur.

  Args:
    strength: s, factor of the strengths of the color jitter; the paper's is 1
      on ImageNet, 0.5 on CIFAR-10.
    min_area: smallest area of a crop, as a fraction of the image's.
    blur_probability: probability of blur; the paper's is 0.5 on ImageNet, 0 on
      CIFAR-10. The kernel ends at three standard deviations, the paper's at a
      tenth of the height of the image.
  """
  s = strength
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    jitter=photometric.JitterStrength(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s),
    jitter_probability=0.8,
    grayscale_probability=0.2,
    grayscale_first=False,
    blur_probability=blur_probability,
    blur_sigma=(0.1, 2.0),
    flip_probability=0.5,
  )


def supervised(*, min_area: float = 0.08) -> Recipe:
  """Torchvision's recipe for ImageNet classifiers: crop and flip.

  Args:
    min_area: smallest area of a crop, as a fraction of the image's.
  """
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    jitter=photometric.JitterStrength(0.0, 0.0, 0.0, 0.0),
    jitter_probability=0.0,
    grayscale_probability=0.0,
    grayscale_first=False,
    blur_probability=0.0,
    blur_sigma=(0.1, 2.0),
    flip_probability=0.5,
  )
