"""Surfaces of objects: colors and patterns in the object's coordinates."""

import colorsys
import math
from typing import NamedTuple

import numpy as np

_PATTERNS = ("plain", "stripes", "checker", "spots", "marble", "gradient")
_SURFACES = 3  # Number of materials in `categories`.


class Surface(NamedTuple):
  """Appearance of one material.

  Attributes:
    pattern: plain, stripes, checker, spots, marble or gradient.
    colors: [2, 3] float32, linear light, 0..1; the pattern mixes the two.
    waves: [3, 3] float32, three wave vectors; patterns are sines of their
      products with a point.
    phases: [3] float32, radians.
    shine: strength of the highlight, 0..1.
    sharpness: exponent of the highlight.
  """

  pattern: str
  colors: np.ndarray
  waves: np.ndarray
  phases: np.ndarray
  shine: float
  sharpness: float


def random_color(rng: np.random.Generator) -> np.ndarray:
  """Draws a display color [3] float32, 0..1; one in six is nearly gray."""
  saturation = (
    rng.uniform(0.0, 0.12) if rng.random() < 1 / 6 else rng.uniform(0.3, 0.95)
  )
  value = rng.uniform(0.3, 1.0)
  return np.float32(colorsys.hsv_to_rgb(rng.random(), saturation, value))


def random_surfaces(rng: np.random.Generator) -> tuple[Surface, ...]:
  """Draws the surfaces of one instance, one per material."""
  return tuple(_random_surface(rng) for _ in range(_SURFACES))


def _random_surface(rng):
  pattern = _PATTERNS[int(rng.integers(len(_PATTERNS)))]
  if rng.random() < 0.4:
    pattern = "plain"
  colors = np.stack([random_color(rng), random_color(rng)])
  low, high = (1.2, 2.5) if pattern == "gradient" else (5.0, 13.0)
  frequency = low * (high / low) ** rng.random()
  shiny = rng.random() < 0.5
  return Surface(
    pattern,
    colors * colors,  # Display value to linear light, gamma taken as 2.
    np.float32(_random_axes(rng)) * np.float32(frequency),
    np.float32(rng.uniform(0, 2 * math.pi, size=3)),
    rng.uniform(0.2, 0.7) if shiny else 0.0,
    rng.uniform(10, 50),
  )


def _random_axes(rng):
  """Draws three orthonormal vectors, uniformly: from a unit quaternion."""
  a, b, c, d = rng.normal(size=4).tolist()
  scale = 2 / (a * a + b * b + c * c + d * d)
  return [
    [
      1 - scale * (c * c + d * d),
      scale * (b * c - a * d),
      scale * (b * d + a * c),
    ],
    [
      scale * (b * c + a * d),
      1 - scale * (b * b + d * d),
      scale * (c * d - a * b),
    ],
    [
      scale * (b * d - a * c),
      scale * (c * d + a * b),
      1 - scale * (b * b + c * c),
    ],
  ]


def albedo(surface: Surface, points: np.ndarray) -> np.ndarray:
  """Returns the color of points of a surface.

  Args:
    surface: appearance of the surface.
    points: [3, n], in the solid's axes, scaled to a bounding sphere of radius
      1.

  Returns:
    [3, n], linear light.
  """
  first, second = surface.colors
  if surface.pattern == "plain":
    return np.broadcast_to(first[:, None], points.shape)
  share = _SHARES[surface.pattern](
    surface.waves @ points + surface.phases[:, None]
  )
  return first[:, None] + share * (second - first)[:, None]


def _edge(wave):
  # A step, softened against aliasing.
  return np.clip(0.5 + 3 * wave, 0, 1)


def _marble(angle):
  return 0.5 + 0.5 * np.sin(
    angle[0] + 1.6 * np.sin(0.7 * angle[1]) + 1.2 * np.sin(1.3 * angle[2])
  )


# Functions from three angles [3, n] per point to the fraction [n] of the second
# color, 0..1.
_SHARES = {
  "stripes": lambda angle: _edge(np.sin(angle[0])),
  "checker": lambda angle: _edge(3 * np.prod(np.sin(0.7 * angle), axis=0)),
  "spots": lambda angle: _edge(np.sum(np.sin(angle), axis=0) - 1.1),
  "marble": _marble,
  "gradient": lambda angle: 0.5 + 0.5 * np.sin(angle[0]),
}
