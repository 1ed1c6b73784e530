"""The augmentation recipes, by the names of their papers.

A recipe has two halves. Geometry (`Recipe.crop`) needs the original image and
runs per image in tf.data. Everything after it (`Recipe.finish`) runs on a whole
batch with parameters drawn per image, at the end of tf.data or inside the train
step: the same function.
"""

from typing import NamedTuple

import tensorflow as tf

from tf_ssl.augment import blur, fused, photometric, pillow
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import planes as planes_lib


class Recipe(NamedTuple):
  """What turns an image into a view.

  Attributes:
    crop: the windows to draw.
    jitter: strengths of the color jitter.
    jitter_probability: share of the views that are jittered.
    grayscale_probability: share of the views that lose their color.
    grayscale_first: whether grayscale comes before the jitter.
    blur_probability: share of the views that are blurred.
    blur_sigma: smallest and largest standard deviation of the blur, in pixels.
    flip_probability: share of the views that are mirrored.
    pillow_probability: share of the views that pass through PIRL's operations
      (`pillow`), between jitter and grayscale.
    size: pixels a side of these views; None for the run's image size.
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
    """Pixels a side of the crop, and so of the view."""
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
    """The photometric half: cropped views in, what the encoder sees out.

    Mirroring comes first here; it commutes with all that follows. A function
    that is compiled as a whole (`jit_compile=True`) has XLA's random numbers,
    and so other draws than one that is not.

    Args:
      images: [B, H, W, 3], uint8 or float, 0..255: rows offset..offset+B of a
        global batch. H and W must be known statically.
      seed: [2] integer; `input_pipeline.order.view_seed` in training.
      offset: where in the global batch `images` begins, so that replicas with a
        slice each see what one device with the whole batch would.
      total: size of the global batch; B by default.
      compiled: whether XLA compiles the steps: several times faster on a CPU.

    Returns:
      [B, H, W, 3] float32, normalized by `ops.pixels.normalize`.
    """
    rows = tf.shape(images)[0]
    draws = self.draw(seed, rows if total is None else total)
    draws = draws.rows(tf.cast(offset, tf.int32), rows)
    return self.apply(images, draws, compiled=compiled)

  def draw(self, seed: tf.Tensor, total: int | tf.Tensor) -> "Draws":
    """Draws the parameters of the `total` views of a global batch."""
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
    """Applies drawn parameters, one row an image; see `finish`."""
    blurs = self.blur_probability > 0
    border = blur.border(self.blur_sigma[1]) if blurs else 0
    x = fused.call(planes_lib.to_planes, compiled, images, draws.flip, border)
    if self.grayscale_first:
      x = fused.call(photometric.grayscale, compiled, x, draws.grayscale)
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
      x = fused.call(pillow.apply, compiled, x, draws.pillow, border)
      if not self.grayscale_first:
        x = fused.call(photometric.grayscale, compiled, x, draws.grayscale)
    if blurs:
      x = blur.gaussian_blur(x, draws.sigma, border, compiled=compiled)
    return fused.call(planes_lib.to_encoder, compiled, x)


class Draws(NamedTuple):
  """Drawn parameters of a batch of views.

  Attributes:
    flip: [B] bool.
    jitter: of the color jitter.
    grayscale: [B] bool.
    sigma: [B], standard deviation of the blur in pixels; 0 for none.
    pillow: of PIRL's operations.
  """

  flip: tf.Tensor
  jitter: photometric.Jitter
  grayscale: tf.Tensor
  sigma: tf.Tensor
  pillow: pillow.Draws

  def rows(self, offset: int | tf.Tensor, count: int | tf.Tensor) -> "Draws":
    """The parameters of views offset..offset+count."""

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
    min_area: smallest area of a crop, as a share of the image's.
    jitter_strength: multiplies the strengths of the color jitter.
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
  blur_probability: float = 0.5,
  blur_sigma: tuple[float, float] = (0.1, 2.0),
  size: int | None = None,
) -> Recipe:
  """MoCo v2 (Chen et al. 2020, section 3): crop, jitter, grayscale, blur, flip.

  Args:
    min_area: smallest area of a crop, as a share of the image's.
    jitter_strength: multiplies the strengths of the color jitter.
    blur_probability: share of the views that are blurred; small images are
      better left sharp.
    blur_sigma: smallest and largest standard deviation, in pixels.
    size: of the views, such as those of regions; None for the run's image size.
  """
  s = jitter_strength
  return Recipe(
    crop=crop_lib.CropRange(area=(min_area, 1.0)),
    jitter=photometric.JitterStrength(0.4 * s, 0.4 * s, 0.4 * s, 0.1 * s),
    jitter_probability=0.8,
    grayscale_probability=0.2,
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
  """PIRL (Misra & van der Maaten 2020) as VISSL has it, for image and patches.

  Crop, jitter, posterize to autocontrast, grayscale, flip.

  Args:
    min_area: smallest area of a crop, as a share of the image's.
    jitter_strength: multiplies the strengths of the color jitter.
    pillow_probability: see `Recipe`.
    blur_probability: 0.5 in VISSL's stronger variant.
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
    strength: s, of the color jitter: 1 on ImageNet, 0.5 on CIFAR-10.
    min_area: smallest area of a crop, as a share of the image's.
    blur_probability: 0.5 on ImageNet, 0 on CIFAR-10. The kernel ends at three
      standard deviations, theirs at a tenth of the image's height.
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
    min_area: smallest area of a crop, as a share of the image's.
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
