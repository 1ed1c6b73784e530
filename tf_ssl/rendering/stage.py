"""The stage of videos: a floor with a cylindrical wall, and soft shadows.

Both are textured and static, so the background moves with the camera, the near
floor more than the far wall.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from tf_ssl.rendering import background, scene
from tf_ssl.rendering import camera as cameras

_WALL = 10.0  # Radius of the wall around the origin.
_TILES = 6  # Pairs of mirrored pictures along the wall.
_TILE = np.pi * _WALL / _TILES  # Side of a picture on wall and floor.
# Contrast of the pictures and saturation of their mean, reduced so that objects
# stand out.
_CONTRAST, _SATURATION = 0.6, 0.7
_DIM = 0.35  # Darkening of the far floor and the wall, a fraction.
_SHADOW = 0.6  # Fraction of light that a shadow removes.
_SHADOW_EDGES = 0.5, 1.15  # Full shadow, end of shadow; 1 is the outline.


class Stage(NamedTuple):
  """The pictures on floor and wall, [S, S, 3] float32, display values 0..1."""

  floor: np.ndarray
  wall: np.ndarray


def build(
  floor: tuple[int, np.random.Generator],
  wall: tuple[int, np.random.Generator],
  size: int,
) -> Stage:
  """Paints a stage.

  Args:
    floor: kind and generator of the floor's picture, see `background.paint`.
    wall: kind and generator of the wall's picture, see `background.paint`.
    size: side of the pictures, pixels.
  """
  pictures = []
  for kind, rng in (floor, wall):
    if background.KINDS[kind % len(background.KINDS)] == "room":
      kind -= 1  # A room has its own floor and wall.
    picture = background.paint(kind, rng, size)
    mean = picture.mean(axis=(0, 1))
    muted = mean.mean() + np.float32(_SATURATION) * (mean - mean.mean())
    pictures.append(muted + np.float32(_CONTRAST) * (picture - mean))
  return Stage(*pictures)


def paint(
  stage: Stage,
  camera: cameras.Camera,
  image_size: tuple[int, int],
  *,
  light: np.ndarray,
  objects: Sequence[scene.PosedObject],
) -> np.ndarray:
  """Renders the stage as seen by a camera.

  Args:
    stage: stage from `build`.
    camera: camera inside the wall and above the floor.
    image_size: H and W.
    light: [3], unit vector toward the light.
    objects: objects that cast shadows on the floor.

  Returns:
    [H, W, 3] float32, display values 0..1.
  """
  rays = cameras.rays(image_size, camera.focal).turned(camera.axes.T)
  x, y, z = rays.directions
  eye_x, height, eye_z = (float(value) for value in camera.position)
  level = x * x + z * z + np.float32(1e-9)
  along = eye_x * x + eye_z * z
  beyond = np.float32(eye_x**2 + eye_z**2 - _WALL**2)
  to_wall = (np.sqrt(along * along - level * beyond) - along) / level
  to_floor = height / np.maximum(-y, np.float32(1e-3))
  # The edge between them is one pixel wide.
  share = np.clip(0.5 + (-y - height / to_wall) / rays.pixel, 0, 1)

  floor_x, floor_z = eye_x + to_floor * x, eye_z + to_floor * z
  floor = _look_up(stage.floor, floor_x / _TILE, floor_z / _TILE, image_size)
  on_floor = np.flatnonzero(share > 0)
  floor_x, floor_z = floor_x[on_floor], floor_z[on_floor]
  bright = np.zeros_like(share)
  bright[on_floor] = _lit(floor_x, floor_z, light, objects) * (
    1 - _DIM / _WALL**2 * (floor_x * floor_x + floor_z * floor_z)
  )
  azimuth = np.arctan2(eye_x + to_wall * x, eye_z + to_wall * z)
  rise = (height + to_wall * y) / np.float32(_TILE)
  wall = _look_up(
    stage.wall, azimuth * np.float32(_TILES / np.pi), -rise, image_size
  )
  share, bright = share.reshape(*image_size, 1), bright.reshape(*image_size, 1)
  return np.float32(share * bright * floor + (1 - share) * (1 - _DIM) * wall)


def _look_up(picture, across, down, image_size):
  """Colors [H, W, 3] at positions [H * W] in pictures, mirrored beyond 0..1."""
  size = picture.shape[0]
  across, down = (
    np.float32(place * size - 0.5).reshape(image_size)
    for place in (across, down)
  )
  return cv2.remap(
    picture, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
  )


def _lit(x, z, light, objects):
  """Fraction [n] of the light that reaches points on the floor."""
  lit = np.ones_like(x)
  full, none = _SHADOW_EDGES
  for posed in objects:
    # In axes in which the object is approximately a unit ball.
    half = np.array(posed.solid.half) * (posed.radius / posed.solid.radius)
    to_ball = posed.rotation.T / half[:, None]
    toward = to_ball @ light
    toward = np.float32(toward / np.linalg.norm(toward))
    a, b = np.float32(to_ball[:, 0]), np.float32(to_ball[:, 2])
    middle = np.float32(to_ball @ posed.center)
    place = a[:, None] * x + b[:, None] * z - middle[:, None]
    passed = toward @ place
    miss = np.sqrt(
      np.maximum(np.sum(place * place, axis=0) - passed * passed, 0)
    )
    dark = np.clip((none - miss) / (none - full), 0, 1)
    lit *= 1 - _SHADOW * dark * dark * (3 - 2 * dark)
  return lit
