"""A pinhole camera and its rays."""

import functools
import math
from typing import NamedTuple

import numpy as np


class Camera(NamedTuple):
  """A camera in the world.

  Attributes:
    position: [3], position in the world.
    axes: [3, 3], rows: right, up and forward of the camera in the world.
    focal: focal length, image heights; 2 is a field of view of 28 degrees.
  """

  position: np.ndarray
  axes: np.ndarray
  focal: float

  def at(self, x: float, y: float, depth: float) -> np.ndarray:
    """Returns the point [3] of the world at a position in a square image.

    Args:
      x: horizontal position, 0 (left edge) to 1 (right edge).
      y: vertical position, 0 (top) to 1 (bottom).
      depth: distance along the optical axis.
    """
    right, up, forward = self.axes
    across = depth * (x - 0.5) / self.focal
    rise = depth * (0.5 - y) / self.focal
    return self.position + depth * forward + across * right + rise * up


def look_at(position, target, *, focal: float = 2.0) -> Camera:
  """Returns an upright camera at `position` [3], facing `target` [3].

  Args:
    position: [3], position of the camera in the world.
    target: [3], point in the middle of the image.
    focal: focal length, image heights.
  """
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
  """Returns a camera on a sphere around the origin, facing the origin.

  Args:
    elevation: angle above the horizon, degrees, between -90 and 90.
    azimuth: angle about the vertical axis, degrees, from +z toward +x.
    distance: distance from the origin.
    focal: focal length, image heights.
  """
  position = distance * direction(azimuth, elevation)
  return look_at(position, (0.0, 0.0, 0.0), focal=focal)


def direction(azimuth: float, elevation: float) -> np.ndarray:
  """Returns the unit vector [3] float64 at two angles in degrees."""
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
  """Returns the rotation [3, 3] about the vertical, from +z to `azimuth`."""
  side, _, front = direction(azimuth, 0.0)
  return np.array([[front, 0, side], [0, 1, 0], [-side, 0, front]])


def roll(axis: np.ndarray, angle: float) -> np.ndarray:
  """Returns the rotation [3, 3] about a unit vector.

  Args:
    axis: [3], unit vector.
    angle: angle in degrees, clockwise for a viewer who looks along the axis;
      at 0 the result is exactly the identity.
  """
  x, y, z = axis
  cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  angle = math.radians(angle % 360.0)
  return (
    np.eye(3)
    + math.sin(angle) * cross
    + (1 - math.cos(angle)) * (cross @ cross)
  )


class Rays(NamedTuple):
  """The rays through all pixels, and cones around neighboring rays.

  Attributes:
    directions: [3, H * W] float32, unit vectors through the pixel centers, row
      by row.
    cones: [3, C] float32, unit vectors, axes of the cones.
    cone: [H * W] int64, cone of each ray.
    pixel: angle of a pixel, radians.
    spread: largest angle between the axis and a ray of a cone, plus 1.5 pixels,
      radians.
  """

  directions: np.ndarray
  cones: np.ndarray
  cone: np.ndarray
  pixel: float
  spread: float

  def turned(self, rotation: np.ndarray) -> "Rays":
    """Returns the rays in other axes, which `rotation` [3, 3] maps to."""
    rotation = np.float32(rotation)
    return self._replace(
      directions=rotation @ self.directions, cones=rotation @ self.cones
    )


_CONE_SIDE = 4  # Pixels.


@functools.lru_cache(maxsize=8)
def rays(image_size: tuple[int, int], focal: float, margin: int = 0) -> Rays:
  """Returns the rays of a camera, in its axes: right, up, forward.

  Args:
    image_size: H and W.
    focal: focal length, image heights.
    margin: number of additional pixels beyond each edge of the image.
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
  """Unit vectors [3, rows * columns] through a grid of positions in pixels.

  Args:
    places: positions of the rows and of the columns, pixels.
    image_size: H and W.
    focal: focal length, image heights.
  """
  height, width = image_size
  rows, columns = places
  down, right = np.meshgrid(
    rows / height - 0.5, columns / height - 0.5 * width / height, indexing="ij"
  )
  directions = np.stack(
    [right.ravel(), -down.ravel(), np.full(right.size, focal)]
  )
  directions = np.float32(directions / np.linalg.norm(directions, axis=0))
  directions.flags.writeable = False  # The cache shares this array.
  return directions
