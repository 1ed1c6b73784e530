"""Sphere tracing: the distance along each ray to a solid.

A distance function bounds how far a ray may advance without meeting the solid.
Cones of neighboring rays advance first, as far as all their rays can; only the
rays of cones near the solid are followed individually.
"""

from typing import NamedTuple

import numpy as np

from tf_ssl.rendering import camera, solids

# More steps change less than one pixel in a hundred.
_CONE_STEPS = 6
_RAY_STEPS = 18
# A ray has arrived when the surface is nearer than this fraction of a pixel.
_ARRIVED = 0.25
# Finished rays are removed once fewer than this fraction is still active.
_CROWDED = 0.8


class Hits(NamedTuple):
  """Rays that meet a solid, or pass it within one pixel.

  Attributes:
    ray: [n] int64, index of the ray.
    depth: [n], distance along the ray to the point nearest to the solid.
    distance: [n], distance of that point to the solid.
    coverage: [n] in (0, 1], fraction of the pixel that the solid covers.
  """

  ray: np.ndarray
  depth: np.ndarray
  distance: np.ndarray
  coverage: np.ndarray


def march(
  solid: solids.Solid, origin: np.ndarray, rays: camera.Rays, pixel: float
) -> Hits:
  """Follows rays until they meet a solid.

  Args:
    solid: solid to intersect.
    origin: [3], common start of the rays, outside the solid.
    rays: rays in the solid's axes.
    pixel: side of a pixel at the solid's distance, the required precision.

  Returns:
    The hits, in the order of the rays.
  """
  origin = tuple(float(value) for value in origin)
  margin = rays.spread / rays.pixel * pixel * 1.5
  cone, near, far = _enter_box(solid, origin, rays.cones, margin)
  distance, reached = _follow(
    solid, origin, rays.cones[:, cone], near, far, spread=rays.spread
  )
  start = np.full(rays.cones.shape[1], -1, np.float32)
  end = start.copy()
  near_solid = reached < far
  start[cone[near_solid]] = reached[near_solid]
  end[cone[near_solid]] = far[near_solid]

  start_of_ray = start[rays.cone]
  ray = np.flatnonzero(start_of_ray >= 0)
  distance, depth = _follow(
    solid,
    origin,
    rays.directions[:, ray],
    start_of_ray[ray],
    end[rays.cone[ray]],
    arrived=_ARRIVED * pixel,
  )
  coverage = np.clip(1 + _ARRIVED - distance / np.float32(pixel), 0, 1)
  hit = np.flatnonzero(coverage > 0)
  return Hits(ray[hit], depth[hit], distance[hit], coverage[hit])


def _follow(solid, origin, directions, start, end, *, arrived=0.0, spread=0.0):
  """Advances along rays, or cones, in steps of the distance to the solid.

  Args:
    solid: solid to intersect.
    origin: three floats, common start of the rays.
    directions: [3, n] unit vectors.
    start: [n], start of each ray, as a distance from the origin.
    end: [n], distance from the origin at which to stop.
    arrived: distance to the solid at which a ray stops.
    spread: spread of a cone, radians; a cone stops when it nearly touches the
      solid. 0 for rays.

  Returns:
    The distance [n] to the solid and the position [n] on the ray: for rays
    those of the nearest approach, for cones those of the last step.
  """
  ox, oy, oz = origin
  dx, dy, dz = directions
  closest = np.full(start.shape, np.inf, np.float32)
  place = start.copy()
  if not start.size:
    return closest, place
  active = np.arange(start.size)
  traveled, here, where = start, closest, place
  for _ in range(_CONE_STEPS if spread else _RAY_STEPS):
    distance = solid.distance(
      ox + traveled * dx, oy + traveled * dy, oz + traveled * dz
    )
    if spread:
      radius = spread * traveled
      going = (distance > 1.3 * radius) & (traveled < end)
      distance = (distance - radius) / (1 + spread)
      where = traveled
    else:
      going = (distance > arrived) & (traveled < end)
      where = np.where(distance < here, traveled, where)
      here = np.minimum(distance, here)
    left = np.count_nonzero(going)
    if left < _CROWDED * going.size:
      closest[active], place[active] = here, where
      if not left:
        return closest, place
      keep = np.flatnonzero(going)
      active, distance = active[keep], distance[keep]
      traveled, end = traveled[keep], end[keep]
      here, where = here[keep], where[keep]
      dx, dy, dz = dx[keep], dy[keep], dz[keep]
      traveled = traveled + distance
    else:
      # Finished rays do not advance until they are removed.
      traveled = traveled + distance * going
  closest[active], place[active] = here, where
  return closest, place


def normals(solid, x, y, z, distance, step: float) -> np.ndarray:
  """Outward unit normals [3, n] at points on the surface.

  Args:
    solid: solid of the surface.
    x: [n], x of the points.
    y: [n], y of the points.
    z: [n], z of the points.
    distance: [n], distance of the points from the solid.
    step: step of the finite differences.
  """
  ahead = solid.distance(
    np.concatenate([x + step, x, x]),
    np.concatenate([y, y + step, y]),
    np.concatenate([z, z, z + step]),
  )
  gradient = ahead.reshape(3, -1) - distance
  length = np.sqrt(np.sum(gradient * gradient, axis=0))
  return gradient / np.maximum(length, 1e-12)


def _enter_box(solid, origin, directions, margin):
  """Returns the rays that meet the solid's bounding box, entry and exit."""
  to_center = [c - o for c, o in zip(solid.center, origin, strict=True)]
  along = np.float32(to_center) @ directions
  reach = (solid.radius + margin) ** 2 - float(np.dot(to_center, to_center))
  ray = np.flatnonzero(along * along + reach > 0)  # Rays that meet the sphere.
  near = np.zeros(ray.shape, np.float32)
  far = np.full(ray.shape, np.inf, np.float32)
  for axis in range(3):
    step = directions[axis, ray]
    step = np.where(np.abs(step) < 1e-6, np.float32(1e-6), step)
    middle = to_center[axis] / step
    half = np.abs((solid.half[axis] + margin) / step)
    near = np.maximum(near, middle - half)
    far = np.minimum(far, middle + half)
  meets = np.flatnonzero(near < far)
  return ray[meets], near[meets], far[meets]
