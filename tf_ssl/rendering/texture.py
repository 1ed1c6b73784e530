"""What covers an object: colors and patterns fixed to its solid."""

import colorsys
import math
from typing import NamedTuple

import numpy as np

_PATTERNS = ("plain", "stripes", "checker", "spots", "marble", "gradient")
_SURFACES = 3  # The materials that recipes may name.


class Surface(NamedTuple):
  """How one material looks.

  Attributes:
    pattern: one of plain, stripes, checker, spots, marble, gradient.
    colors: [2, 3] float32, linear light, 0..1; the pattern mixes the two.
    waves: [3, 3] float32, three vectors; patterns are made of sines of a
      point's products with them.
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
  """A color [3] float32 as displayed, 0..1; one in six is nearly gray."""
  saturation = (
    rng.uniform(0.0, 0.12) if rng.random() < 1 / 6 else rng.uniform(0.3, 0.95)
  )
  value = rng.uniform(0.3, 1.0)
  return np.float32(colorsys.hsv_to_rgb(rng.random(), saturation, value))


def random_surfaces(rng: np.random.Generator) -> tuple[Surface, ...]:
  """Draws the looks of one instance, a surface for each material."""
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
  """Three unit vectors at right angles, uniform: from a unit quaternion."""
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
  """The color of points of a surface.

  Args:
    surface: how it looks.
    points: [3, n], in the solid's own axes, its bounding sphere of radius 1.

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
  # A step, softened so that it does not flicker between pixels.
  return np.clip(0.5 + 3 * wave, 0, 1)


def _marble(angle):
  return 0.5 + 0.5 * np.sin(
    angle[0] + 1.6 * np.sin(0.7 * angle[1]) + 1.2 * np.sin(1.3 * angle[2])
  )


# From the three angles [3, n] at each point to the share [n] of the second
# color, 0..1.
_SHARES = {
  "stripes": lambda angle: _edge(np.sin(angle[0])),
  "checker": lambda angle: _edge(3 * np.prod(np.sin(0.7 * angle), axis=0)),
  "spots": lambda angle: _edge(np.sum(np.sin(angle), axis=0) - 1.1),
  "marble": _marble,
  "gradient": lambda angle: 0.5 + 0.5 * np.sin(angle[0]),
}
