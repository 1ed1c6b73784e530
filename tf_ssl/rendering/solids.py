"""Solids: unions of parts, each a signed distance function.

A distance function maps three float32 arrays x, y, z [n] to [n]: how far each
point lies outside the surface, negative inside. y points up. Points stay three
separate arrays because NumPy is fastest on contiguous memory.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Vector = tuple[float, float, float]


class Part(NamedTuple):
  """One primitive of a solid.

  Attributes:
    distance: its signed distance function.
    low: least corner of a box around it.
    high: greatest corner of that box.
    material: which of the instance's surfaces covers it.
  """

  distance: Distance
  low: Vector
  high: Vector
  material: int


class Solid(NamedTuple):
  """Parts that make one object, with the box and the sphere around them.

  Attributes:
    parts: the primitives.
    center: middle of the box around all parts.
    half: half the sides of that box.
    radius: of a sphere around `center` that holds all parts.
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
    """Surface number [n] of the part that each point is nearest to."""
    distances = np.stack([part.distance(x, y, z) for part in self.parts])
    materials = np.array([part.material for part in self.parts])
    return materials[np.argmin(distances, axis=0)]


def join(parts: Sequence[Part]) -> Solid:
  """Makes one solid of parts that share a coordinate system."""
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
  """`part` with everything inside `cavity` taken away."""

  def distance(x, y, z):
    return np.maximum(part.distance(x, y, z), -cavity.distance(x, y, z))

  return part._replace(distance=distance)
