"""Stills: pictures of one object, as a function of named factors.

A still is a scene with one object; `videos` fills a `scene.Scene` with several
that move.
"""

import functools
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import (
  background,
  camera,
  categories,
  occluder,
  scene,
  shading,
  solids,
  texture,
)
from tf_ssl.rendering import factors as factors_lib

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 16, 512
_CAMERA_DISTANCE = 5.0
_LIGHT_ELEVATION = 50.0  # Degrees.


def check_image_size(image_size: int) -> None:
  """Raises UsageError if images of this size are not made."""
  if not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE:
    raise errors.UsageError(
      f"image_size={image_size}: expected {MIN_IMAGE_SIZE} to "
      f"{MAX_IMAGE_SIZE} pixels; change image_size."
    )


class Rendering(NamedTuple):
  """A rendered still.

  Attributes:
    image: [H, W, 3] uint8.
    mask: [H, W] bool, the object's pixels, hidden ones included.
    visible: [H, W] bool, those of them that no occluder hides.
  """

  image: np.ndarray
  mask: np.ndarray
  visible: np.ndarray


def render(
  factors: factors_lib.Factors, *, image_size: int, seed: int
) -> np.ndarray:
  """Renders one object.

  Args:
    factors: what to show, and how.
    image_size: H and W, from `MIN_IMAGE_SIZE` to `MAX_IMAGE_SIZE`.
    seed: of the world, >= 0: instances, backgrounds and occluders of the same
      number differ between worlds.

  Returns:
    [H, W, 3] uint8, the same bytes for the same arguments.

  Raises:
    UsageError: if a factor, image_size or seed is out of range.
  """
  return render_with_mask(factors, image_size=image_size, seed=seed).image


def render_with_mask(
  factors: factors_lib.Factors, *, image_size: int, seed: int
) -> Rendering:
  """Renders one object and says where it is. Arguments as of `render`."""
  check_image_size(image_size)
  factors_lib.check(factors)
  picture = scene.draw(
    still(factors, seed=seed), _behind(factors.background, image_size, seed)
  )
  image, visible = occluder.cover(
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


def render_index(
  seed: int, index: int, image_size: int, *, variety: float = 1.0
) -> np.ndarray:
  """Renders image number `index` of world `seed`: [H, W, 3] uint8."""
  drawn = factors_lib.random_factors(seed, index, variety=variety)
  return render(drawn, image_size=image_size, seed=seed)


def still(factors: factors_lib.Factors, *, seed: int) -> scene.Scene:
  """The scene with the one object that the factors describe."""
  eye = camera.orbit(factors.elevation, distance=_CAMERA_DISTANCE)
  solid, surfaces = instance(seed, factors.category, factors.instance)
  posed = scene.PosedObject(
    solid=solid,
    surfaces=surfaces,
    center=eye.at(factors.x, factors.y, _CAMERA_DISTANCE),
    rotation=camera.turn(factors.azimuth),
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
  """The solid and the surfaces of one instance of a category."""
  shape = factors_lib.generator(seed, factors_lib.SHAPE, category, number)
  looks = factors_lib.generator(seed, factors_lib.LOOKS, category, number)
  return (
    categories.build(category, shape),
    texture.random_surfaces(looks),
  )
