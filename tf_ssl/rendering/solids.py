"""Solids: unions of primitives, given by signed distance functions.

A distance function maps three float32 arrays x, y, z [n] to [n], the distance
of each point to the surface, negative inside. y points up. Coordinates are
separate arrays because NumPy is fastest on contiguous memory.

If an exact distance is expensive, a primitive uses a lower bound, with which
sphere tracing is still correct. All primitives take `material`, the number of
their surface, and most take the placement arguments of `_place`: `axis`, `turn`
and `mirror`.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Vector = tuple[float, float, float]


class Part(NamedTuple):
  """One primitive of a solid.

  Attributes:
    distance: signed distance function.
    low: minimum corner of its bounding box.
    high: maximum corner of its bounding box.
    material: index of its surface among those of the instance.
  """

  distance: Distance
  low: Vector
  high: Vector
  material: int


class Solid(NamedTuple):
  """Parts that form one object, with bounding box and bounding sphere.

  Attributes:
    parts: primitives of the object.
    center: center of the bounding box.
    half: half the sides of the bounding box.
    radius: radius of the bounding sphere around `center`.
  """

  parts: tuple[Part, ...]
  center: Vector
  half: Vector
  radius: float

  def distance(self, x, y, z) -> np.ndarray:
    """Signed distance [n] to the union of the parts."""
    nearest = self.parts[0].distance(x, y, z)
    for part in self.parts[1:]:
      nearest = np.minimum(nearest, part.distance(x, y, z))
    return nearest

  def material(self, x, y, z) -> np.ndarray:
    """Surface number [n] of the part nearest to each point."""
    distances = np.stack([part.distance(x, y, z) for part in self.parts])
    materials = np.array([part.material for part in self.parts])
    return materials[np.argmin(distances, axis=0)]


def join(parts: Sequence[Part]) -> Solid:
  """Returns the solid of parts that share a coordinate system."""
  low = np.min([part.low for part in parts], axis=0)
  high = np.max([part.high for part in parts], axis=0)
  center = (high + low) / 2
  reaches = [
    np.maximum(np.abs(part.low - center), np.abs(part.high - center))
    for part in parts
  ]
  return Solid(
    tuple(parts),
    tuple(map(float, center)),
    tuple(map(float, (high - low) / 2)),
    float(np.linalg.norm(reaches, axis=1).max()),
  )


def hollow(part: Part, cavity: Part) -> Part:
  """Returns `part` without the inside of `cavity`."""

  def distance(x, y, z):
    return np.maximum(part.distance(x, y, z), -cavity.distance(x, y, z))

  return part._replace(distance=distance)


def box(center, half, *, rounding=0.0, material=0, **placing) -> Part:
  """Returns a box with sides 2 * `half` and edges of radius `rounding`."""
  hx, hy, hz = (size - rounding for size in half)

  def sharp(x, y, z):
    return np.maximum(
      np.maximum(np.abs(x) - hx, np.abs(y) - hy), np.abs(z) - hz
    )

  def rounded(x, y, z):
    x, y, z = np.abs(x) - hx, np.abs(y) - hy, np.abs(z) - hz
    inside = np.minimum(np.maximum(np.maximum(x, y), z), 0)
    x, y, z = np.maximum(x, 0), np.maximum(y, 0), np.maximum(z, 0)
    return np.sqrt(x * x + y * y + z * z) + (inside - rounding)

  distance = rounded if rounding else sharp
  return _place(distance, half, center, material, **placing)


def cone(center, bottom, top, half_height, *, material=0, **placing) -> Part:
  """Returns a truncated cone; `bottom` and `top` are the radii of its ends."""
  slope = (bottom - top) / (2 * half_height)
  shrink = 1 / math.hypot(1, slope)
  middle = (bottom + top) / 2

  def distance(x, y, z):
    side = (np.sqrt(x * x + z * z) + (slope * y - middle)) * shrink
    return np.maximum(side, np.abs(y) - half_height)

  widest = max(bottom, top)
  extent = (widest, half_height, widest)
  return _place(distance, extent, center, material, **placing)


def cylinder(center, radius, half_height, *, material=0, **placing) -> Part:
  """Returns an upright cylinder."""

  def distance(x, y, z):
    return np.maximum(np.sqrt(x * x + z * z) - radius, np.abs(y) - half_height)

  extent = (radius, half_height, radius)
  return _place(distance, extent, center, material, **placing)


def torus(center, ring, tube, *, material=0, **placing) -> Part:
  """Returns a horizontal ring of radius `ring` with a tube of radius `tube`."""

  def distance(x, y, z):
    across = np.sqrt(x * x + z * z) - ring
    return np.sqrt(across * across + y * y) - tube

  extent = (ring + tube, tube, ring + tube)
  return _place(distance, extent, center, material, **placing)


def ellipsoid(center, radii, *, material=0, **placing) -> Part:
  """Returns an ellipsoid, or a sphere if `radii` is one number.

  The distance of an ellipsoid is approximate.
  """
  radii = (radii,) * 3 if np.isscalar(radii) else radii
  ax, ay, az = (1 / radius for radius in radii)
  smallest = min(radii)

  def distance(x, y, z):
    x, y, z = x * ax, y * ay, z * az
    scaled = np.sqrt(x * x + y * y + z * z)
    x, y, z = x * ax, y * ay, z * az
    slope = np.sqrt(x * x + y * y + z * z)
    # First-order approximation about the surface; the slope vanishes at the
    # center.
    return np.where(
      scaled < 0.5,
      (scaled - 1) * smallest,
      scaled * (scaled - 1) / np.maximum(slope, 1e-6),
    )

  def ball(x, y, z):
    return np.sqrt(x * x + y * y + z * z) - smallest

  if smallest == max(radii):
    distance = ball
  return _place(distance, radii, center, material, **placing)


def rods(segments, *, material=0, mirror="") -> Part:
  """Returns rods with round ends.

  Args:
    segments: start, end and radius of each rod.
    material: surface number.
    mirror: axes across which the rods are mirrored, such as "xz".
  """
  start = np.float32([segment[0] for segment in segments])
  end = np.float32([segment[1] for segment in segments])
  radius = np.float32([segment[2] for segment in segments])[:, None]
  ax, ay, az = start.T[:, :, None]
  bx, by, bz = (end - start).T[:, :, None]
  length = bx * bx + by * by + bz * bz
  ux, uy, uz = bx / length, by / length, bz / length

  def distance(x, y, z):
    x, y, z = x - ax, y - ay, z - az  # [rods, n]
    along = x * ux + y * uy + z * uz
    along = np.minimum(np.maximum(along, 0), 1)
    x, y, z = x - along * bx, y - along * by, z - along * bz
    apart = np.sqrt(x * x + y * y + z * z) - radius
    return apart[0] if len(apart) == 1 else apart.min(axis=0)

  low = (np.minimum(start, end) - radius).min(axis=0)
  high = (np.maximum(start, end) + radius).max(axis=0)
  part = Part(distance, tuple(low.tolist()), tuple(high.tolist()), material)
  return _mirror(part, mirror)


def _place(
  distance, extent, center, material, *, axis="y", turn=None, mirror=""
):
  """Moves a primitive from the origin to its place.

  Args:
    distance: distance function of the primitive, centered, its axis along y.
    extent: half the sides of its bounding box.
    center: [3], new center.
    material: surface number.
    axis: world axis that the primitive's y axis is mapped to.
    turn: axis and degrees of a further rotation about a world axis.
    mirror: axes across which the primitive is mirrored, such as "xz".

  Returns:
    The part.
  """
  cx, cy, cz = center
  ex, ey, ez = extent
  extent = {"x": (ey, ex, ez), "y": (ex, ey, ez), "z": (ex, ez, ey)}[axis]
  cos, sin, plane = 1.0, 0.0, None
  if turn is not None:
    about, degrees = turn
    cos = math.cos(math.radians(degrees))
    sin = math.sin(math.radians(degrees))
    plane = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[about]
    first, second = plane
    sides = list(extent)
    sides[first] = abs(cos) * extent[first] + abs(sin) * extent[second]
    sides[second] = abs(sin) * extent[first] + abs(cos) * extent[second]
    extent = tuple(sides)

  def placed(x, y, z):
    if cx:
      x = x - cx
    if cy:
      y = y - cy
    if cz:
      z = z - cz
    if plane is not None:
      point = [x, y, z]
      first, second = plane
      a, b = point[first], point[second]
      point[first] = cos * a + sin * b
      point[second] = cos * b - sin * a
      x, y, z = point
    if axis == "x":
      x, y = y, x
    elif axis == "z":
      y, z = z, y
    return distance(x, y, z)

  low = tuple(c - e for c, e in zip(center, extent, strict=True))
  high = tuple(c + e for c, e in zip(center, extent, strict=True))
  return _mirror(Part(placed, low, high, material), mirror)


def _mirror(part, axes):
  """Adds mirror images by folding space, at the cost of one primitive."""
  if not axes:
    return part
  low, high = list(part.low), list(part.high)
  for axis in axes:
    low["xyz".index(axis)] = -high["xyz".index(axis)]

  def mirrored(x, y, z):
    if "x" in axes:
      x = np.abs(x)
    if "y" in axes:
      y = np.abs(y)
    if "z" in axes:
      z = np.abs(z)
    return part.distance(x, y, z)

  return Part(mirrored, tuple(low), tuple(high), part.material)
