"""A pinhole camera, and the rays that leave through its pixels."""

import functools
import math
from typing import NamedTuple

import numpy as np


class Camera(NamedTuple):
  """Where the eye is and what it points at.

  Attributes:
    position: [3], in the world.
    axes: [3, 3], rows: the camera's right, up and forward in the world.
    focal: focal length, in image heights. 2 gives a field of view of 28
      degrees.
  """

  position: np.ndarray
  axes: np.ndarray
  focal: float

  def at(self, x: float, y: float, depth: float) -> np.ndarray:
    """The point [3] of the world seen at a place of a square image.

    Args:
      x: 0 (left edge) to 1 (right edge).
      y: 0 (top) to 1 (bottom).
      depth: distance along the optical axis.
    """
    right, up, forward = self.axes
    across = depth * (x - 0.5) / self.focal
    rise = depth * (0.5 - y) / self.focal
    return self.position + depth * forward + across * right + rise * up


def look_at(position, target, *, focal: float = 2.0) -> Camera:
  """A camera at `position` [3] that looks at `target` [3], kept upright."""
  position = np.asarray(position, np.float64)
  forward = np.asarray(target, np.float64) - position
  forward = forward / np.linalg.norm(forward)
  right = np.cross(forward, (0.0, 1.0, 0.0))
  right = right / np.linalg.norm(right)
  up = np.cross(right, forward)
  return Camera(position, np.stack([right, up, forward]), focal)


def orbit(
  elevation: float,
  *,
  azimuth: float = 0.0,
  distance: float = 5.0,
  focal: float = 2.0,
) -> Camera:
  """A camera on a sphere around the origin; at 0, 0 it sits on +z.

  Args:
    elevation: degrees above the horizon, less than 90 either way.
    azimuth: degrees about the vertical, counted from +z toward +x.
    distance: from the origin.
    focal: see `Camera`.
  """
  position = distance * direction(azimuth, elevation)
  return look_at(position, (0.0, 0.0, 0.0), focal=focal)


def direction(azimuth: float, elevation: float) -> np.ndarray:
  """The unit vector [3] float64 at two angles, in degrees."""
  azimuth = math.radians(azimuth % 360.0)
  elevation = math.radians(elevation)
  level = math.cos(elevation)
  return np.array(
    [
      math.sin(azimuth) * level,
      math.sin(elevation),
      math.cos(azimuth) * level,
    ]
  )


def turn(azimuth: float) -> np.ndarray:
  """The rotation [3, 3] about the vertical that takes +z to this azimuth."""
  side, _, front = direction(azimuth, 0.0)
  return np.array([[front, 0, side], [0, 1, 0], [-side, 0, front]])


class Rays(NamedTuple):
  """Rays through all pixels, and cones around neighboring ones.

  Attributes:
    directions: [3, H * W] float32, unit, through the pixels' middles, row
      after row.
    cones: [3, C] float32, unit, the axes of the cones.
    cone: [H * W] int64, the cone that each ray lies in.
    pixel: float, the angle of a pixel in radians.
    spread: float, the angle in radians between a cone's axis and its farthest
      ray, and a pixel and a half more.
  """

  directions: np.ndarray
  cones: np.ndarray
  cone: np.ndarray
  pixel: float
  spread: float

  def turned(self, rotation: np.ndarray) -> "Rays":
    """The same rays in other axes; `rotation` [3, 3] leads there."""
    rotation = np.float32(rotation)
    return self._replace(
      directions=rotation @ self.directions, cones=rotation @ self.cones
    )


_CONE_SIDE = 4  # Pixels.


@functools.lru_cache(maxsize=8)
def rays(image_size: tuple[int, int], focal: float, margin: int = 0) -> Rays:
  """The rays of a camera, in its own axes: right, up, forward.

  Args:
    image_size: H and W.
    focal: in image heights.
    margin: how many pixels more to look at beyond each edge of the image.
  """
  pixel = 1 / (focal * image_size[0])
  sides = [side + 2 * margin for side in image_size]
  down, across = [np.arange(side) // _CONE_SIDE for side in sides]
  cones = [-(-side // _CONE_SIDE) for side in sides]
  return Rays(
    _directions(
      [np.arange(side) + 0.5 - margin for side in sides], image_size, focal
    ),
    _directions(
      [(np.arange(count) + 0.5) * _CONE_SIDE - margin for count in cones],
      image_size,
      focal,
    ),
    (down[:, None] * cones[1] + across).ravel(),
    pixel,
    pixel * ((_CONE_SIDE - 1) / math.sqrt(2) + 1.5),
  )


def _directions(places, image_size, focal):
  """Unit vectors [3, rows * columns] through a grid of places, in pixels."""
  height, width = image_size
  rows, columns = places
  down, right = np.meshgrid(
    rows / height - 0.5, columns / height - 0.5 * width / height, indexing="ij"
  )
  directions = np.stack(
    [right.ravel(), -down.ravel(), np.full(right.size, focal)]
  )
  directions = np.float32(directions / np.linalg.norm(directions, axis=0))
  directions.flags.writeable = False  # Everybody gets the same array.
  return directions
