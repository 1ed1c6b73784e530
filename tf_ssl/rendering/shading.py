"""Light on surfaces: Lambert, highlight, sky light and soft shadows."""

from typing import NamedTuple

import numpy as np

from tf_ssl.rendering import ray_march, solids, texture

_SUN = 1.0
_SKY, _GROUND = 0.42, 0.16  # Ambient light from straight above and below.
# Distances toward the light at which shadows are sampled, in radii of the
# bounding sphere, and how fast a near miss darkens.
_SHADOW_REACH = (0.08, 0.2, 0.45)
_SHADOW_HARDNESS = 5.0
_CREVICE = 0.12  # Points with less free space, in radii, are in a crevice.


class Light(NamedTuple):
  """A distant light.

  Attributes:
    direction: [3], unit vector from the scene toward the light.
    color: [3], 1, 1, 1 is white light of full strength.
  """

  direction: np.ndarray
  color: np.ndarray


def shade(
  solid: solids.Solid,
  surfaces: tuple[texture.Surface, ...],
  points: np.ndarray,
  distance: np.ndarray,
  *,
  toward_eye: np.ndarray,
  toward_light: np.ndarray,
  toward_sky: np.ndarray,
  light_color: np.ndarray,
  step: float,
) -> np.ndarray:
  """Returns the colors of points of a solid; vectors are in the solid's axes.

  Args:
    solid: solid of the points.
    surfaces: appearance of each material.
    points: [3, n] float32, points on the surface.
    distance: [n], true distance of the points from it, a fraction of a pixel.
    toward_eye: [3, n] float32, unit vectors.
    toward_light: [3] float32, unit vector.
    toward_sky: [3] float32, unit vector, up in the world.
    light_color: [3], color of the light.
    step: step of the finite differences.

  Returns:
    [3, n] float32, display values 0..1.
  """
  if not points.size:
    return np.zeros_like(points)
  normal = ray_march.normals(solid, *points, distance, step)
  free, lit = _openness(solid, points, normal, toward_light)
  lambert = np.maximum(toward_light @ normal, 0) * lit
  ambient = (_SKY + _GROUND) / 2 + (_SKY - _GROUND) / 2 * (toward_sky @ normal)
  halfway = toward_eye + toward_light[:, None]
  halfway /= np.sqrt(np.sum(halfway * halfway, axis=0)) + 1e-6
  facing = np.maximum(np.sum(halfway * normal, axis=0), 1e-6)

  color = np.empty_like(points)
  highlight = np.empty_like(facing)
  material = solid.material(*points)
  unit = (points - np.float32(solid.center)[:, None]) / np.float32(solid.radius)
  for number in np.unique(material):
    surface = surfaces[number]
    chosen = np.flatnonzero(material == number)
    color[:, chosen] = texture.albedo(surface, unit[:, chosen])
    highlight[chosen] = surface.shine * facing[chosen] ** surface.sharpness
  sun = _SUN * np.float32(light_color)[:, None]
  color *= ambient * free + sun * lambert
  color += sun * (highlight * lit * (lambert > 0))
  return np.sqrt(np.clip(color, 0, 1))  # Linear light to display, gamma 2.


def _openness(solid, points, normal, toward_light):
  """Returns the fractions [n], [n] of sky and light that reach each point."""
  radius = solid.radius
  room = _CREVICE * radius
  away = [room * normal] + [
    (reach * radius) * toward_light[:, None] + (0.02 * radius) * normal
    for reach in _SHADOW_REACH
  ]
  samples = np.concatenate([points + offset for offset in away], axis=1)
  distance = solid.distance(*samples).reshape(len(away), -1)
  free = np.clip(0.35 + 0.65 * distance[0] / room, 0.2, 1)
  reaches = np.float32(_SHADOW_REACH)[:, None] * np.float32(radius)
  clear = np.min(distance[1:] / reaches, axis=0) * _SHADOW_HARDNESS
  return free, np.clip(clear, 0, 1)
