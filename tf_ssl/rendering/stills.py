"""Stills: images of one object, as a function of named factors."""

import functools
import math
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import (
  background,
  camera,
  categories,
  scene,
  shading,
  solids,
  texture,
)
from tf_ssl.rendering import factors as factors_lib

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 16, 512
_CAMERA_DISTANCE = 5.0
_LIGHT_ELEVATION = 50.0  # Degrees.
# The horizon of a room would look odd on an object.
_OCCLUDER_KINDS = tuple(
  number for number, kind in enumerate(background.KINDS) if kind != "room"
)


def check_image_size(image_size: int) -> None:
  """Raises UsageError if the image size, in pixels, is out of range."""
  if not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE:
    raise errors.UsageError(
      f"image_size={image_size}: expected {MIN_IMAGE_SIZE} to"
      f" {MAX_IMAGE_SIZE} pixels; change image_size"
    )


class Rendering(NamedTuple):
  """A rendered still.

  Attributes:
    image: [H, W, 3] uint8.
    mask: [H, W] bool, pixels of the object, including occluded ones.
    visible: [H, W] bool, pixels of the object that are not occluded.
  """

  image: np.ndarray
  mask: np.ndarray
  visible: np.ndarray


def render(
  factors: factors_lib.Factors, *, image_size: int, seed: int
) -> np.ndarray:
  """Renders one object.

  Args:
    factors: factors of the still.
    image_size: H and W, from `MIN_IMAGE_SIZE` to `MAX_IMAGE_SIZE`.
    seed: seed of the world, >= 0: instances, backgrounds and occluders of one
      number differ between worlds.

  Returns:
    [H, W, 3] uint8, deterministic.

  Raises:
    UsageError: a factor, image_size or seed is out of range.
  """
  return render_with_mask(factors, image_size=image_size, seed=seed).image


def render_with_mask(
  factors: factors_lib.Factors, *, image_size: int, seed: int
) -> Rendering:
  """Renders one object and its masks.

  Args:
    factors: factors of the still.
    image_size: H and W, from `MIN_IMAGE_SIZE` to `MAX_IMAGE_SIZE`.
    seed: seed of the world, >= 0.

  Raises:
    UsageError: a factor, image_size or seed is out of range.
  """
  check_image_size(image_size)
  factors_lib.check(factors)
  picture = scene.draw(
    still(factors, seed=seed), _behind(factors.background, image_size, seed)
  )
  image, visible = _cover(
    picture.image,
    picture.masks[0],
    factors.cover,
    factors_lib.generator(seed, factors_lib.OCCLUDER, factors.occluder),
  )
  image = np.uint8(np.clip(image, 0, 1) * 255 + 0.5)
  return Rendering(image, picture.masks[0], visible)


def _behind(number: int, image_size: int, seed: int) -> np.ndarray:
  if number == factors_lib.BLACK:
    return np.zeros((image_size, image_size, 3), np.float32)
  rng = factors_lib.generator(seed, factors_lib.BACKGROUND, number)
  return background.paint(number, rng, image_size)


def render_background(number: int, *, image_size: int, seed: int) -> np.ndarray:
  """Renders what is behind an object: [H, W, 3] uint8.

  Args:
    number: number of the background; `factors.BLACK` for none.
    image_size: H and W, from `MIN_IMAGE_SIZE` to `MAX_IMAGE_SIZE`.
    seed: seed of the world, >= 0.

  Raises:
    UsageError: image_size or seed is out of range.
  """
  check_image_size(image_size)
  picture = _behind(number, image_size, seed)
  return np.uint8(np.clip(picture, 0, 1) * 255 + 0.5)


def render_index(
  seed: int, index: int, image_size: int, *, variety: float = 1.0
) -> np.ndarray:
  """Renders image number `index` of world `seed`: [H, W, 3] uint8.

  Args:
    seed: seed of the world, >= 0.
    index: index of the image, >= 0.
    image_size: H and W.
    variety: range of viewpoint, light, occlusion and backgrounds, 0 to 1.
  """
  drawn = factors_lib.random_factors(seed, index, variety=variety)
  return render(drawn, image_size=image_size, seed=seed)


def still(factors: factors_lib.Factors, *, seed: int) -> scene.Scene:
  """Returns the scene with the one object that the factors describe."""
  eye = camera.orbit(factors.elevation, distance=_CAMERA_DISTANCE)
  solid, surfaces = instance(seed, factors.category, factors.instance)
  posed = scene.PosedObject(
    solid=solid,
    surfaces=surfaces,
    center=eye.at(factors.x, factors.y, _CAMERA_DISTANCE),
    rotation=camera.roll(eye.axes[2], -factors.roll)
    @ camera.turn(factors.azimuth),
    radius=factors.scale * _CAMERA_DISTANCE / (2 * eye.focal),
  )
  light = shading.Light(
    camera.direction(factors.light_azimuth, _LIGHT_ELEVATION),
    np.array(factors.light_color),
  )
  return scene.Scene([posed], light, eye)


@functools.lru_cache(maxsize=256)
def instance(
  seed: int, category: int, number: int
) -> tuple[solids.Solid, tuple[texture.Surface, ...]]:
  """Returns the solid and the surfaces of one instance of a category."""
  shape = factors_lib.generator(seed, factors_lib.SHAPE, category, number)
  looks = factors_lib.generator(seed, factors_lib.LOOKS, category, number)
  return (
    categories.build(category, shape),
    texture.random_surfaces(looks),
  )


def _cover(
  image: np.ndarray,
  mask: np.ndarray,
  eighths: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Puts an occluder in front of an object.

  The occluder is an ellipse or a box next to the object that grows until it
  hides the required fraction. Its size is a quantile over the object's own
  pixels, so the hidden part is exact to the pixel.

  Args:
    image: [H, W, 3] float32, display values 0..1.
    mask: [H, W] bool, pixels of the object.
    eighths: visible eighths of the object, 0 (nothing) to 8 (all, no occluder).
    rng: generator of the occluder's position and appearance.

  Returns:
    The image, and [H, W] bool, the pixels of the object that stay visible.
  """
  count = int(np.count_nonzero(mask))
  hidden = round(count * (8 - eighths) / 8)
  if not hidden:
    return image, mask
  size = _growth(mask, rng)
  inside = np.sort(size[mask])
  if hidden < count:
    edge = float(inside[hidden - 1] + inside[hidden]) / 2
  else:
    edge = float(inside[-1]) * 1.05
  image_size = image.shape[0]
  kind = _OCCLUDER_KINDS[int(rng.integers(len(_OCCLUDER_KINDS)))]
  look = background.paint(kind, rng, image_size)
  # Darker toward its edge, like a thick round object.
  depth = np.clip((edge - size) * 6, 0, 1)
  look = look * (0.55 + 0.45 * np.sqrt(depth))[..., None]
  share = np.clip((edge - size) * image_size + 0.5, 0, 1)
  covered = image + share[..., None] * (look - image)
  return covered, mask & (size > edge)


def _growth(mask, rng):
  """[H, W]: size that the occluder needs to reach each pixel."""
  image_size = mask.shape[0]
  x, y = background.grid(image_size)
  middle_x, middle_y = float(x[mask].mean()), float(y[mask].mean())
  extent = math.sqrt(float(x[mask].var() + y[mask].var()))
  side = rng.uniform(0, 2 * math.pi)
  away = extent * rng.uniform(1.2, 2.2)
  x = x - (middle_x + away * math.cos(side))
  y = y - (middle_y + away * math.sin(side))
  tilt = rng.uniform(0, math.pi)
  cos, sin = math.cos(tilt), math.sin(tilt)
  flat = rng.uniform(0.7, 1.4)
  along, across = (x * cos + y * sin) * flat, (y * cos - x * sin) / flat
  # The exponent of the outline is 2**doublings: an ellipse, or nearly a box.
  doublings = 1 if rng.random() < 0.5 else 3
  for _ in range(doublings):
    along, across = along * along, across * across
  size = along + across
  for _ in range(doublings):
    size = np.sqrt(size)
  return size
