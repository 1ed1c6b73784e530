"""Random pictures, as backgrounds and as the texture of occluders.

A painter draws everything from its generator. The image size decides only the
resolution: the same generator state gives the same picture at every size.
"""

import functools
import math

import numpy as np

from tf_ssl.rendering import texture


def paint(kind: int, rng: np.random.Generator, image_size: int) -> np.ndarray:
  """Paints a picture.

  Args:
    kind: any whole number; the kind of picture is `KINDS[kind % len(KINDS)]`.
    rng: generator of colors and layout.
    image_size: H and W.

  Returns:
    [H, W, 3] float32, display values 0..1.
  """
  picture = _PAINTERS[KINDS[kind % len(KINDS)]](rng, image_size)
  return np.ascontiguousarray(np.moveaxis(picture, 0, -1))


@functools.lru_cache(maxsize=8)
def grid(image_size: int) -> tuple[np.ndarray, np.ndarray]:
  """Pixel centers: x and y [H, W] float32, 0..1, to the right and down."""
  steps = (np.arange(image_size, dtype=np.float32) + 0.5) / image_size
  y, x = np.meshgrid(steps, steps, indexing="ij")
  x.flags.writeable = y.flags.writeable = False
  return x, y


def _noise(rng, image_size, cells, channels=1):
  """Smooth random values [channels, H, W], 0..1, with `cells` cells a side."""
  values = rng.random((channels, cells + 1, cells + 1), np.float32)
  weights = _interpolation(image_size, cells)
  return weights @ values @ weights.T


@functools.lru_cache(maxsize=64)
def _interpolation(image_size, cells):
  """[H, cells + 1]: weights of the two values around each pixel, per row."""
  place = (np.arange(image_size) + 0.5) / image_size * cells
  cell = np.minimum(place.astype(int), cells - 1)
  part = place - cell
  part = part * part * (3 - 2 * part)
  weights = np.zeros((image_size, cells + 1), np.float32)
  row = np.arange(image_size)
  weights[row, cell] = 1 - part
  weights[row, cell + 1] = part
  return weights


def _mix(first, second, share):
  """Blend of colors [3, H, W] or [3, 1, 1]; `share` [H, W] is the second's."""
  return first + share * (second - first)


def _colors(rng, count):
  return [texture.random_color(rng)[:, None, None] for _ in range(count)]


def _step(wave, sharpness):
  return np.clip(0.5 + sharpness * wave, 0, 1)


def _slanted(rng, image_size):
  """Two orthogonal coordinates [H, W], -0.7..0.7, at a random angle."""
  x, y = grid(image_size)
  angle = rng.uniform(0, 2 * math.pi)
  cos, sin = math.cos(angle), math.sin(angle)
  return (x - 0.5) * cos + (y - 0.5) * sin, (y - 0.5) * cos - (x - 0.5) * sin


def _paint_gradient(rng, image_size):
  along, _ = _slanted(rng, image_size)
  first, second = _colors(rng, 2)
  return _mix(first, second, np.clip(0.8 * along + 0.5, 0, 1))


def _paint_checker(rng, image_size):
  along, across = _slanted(rng, image_size)
  first, second = _colors(rng, 2)
  rate = rng.uniform(2.5, 7) * math.pi
  shift, drift = rng.uniform(0, math.pi, size=2).tolist()
  wave = np.sin(rate * along + shift) * np.sin(rate * across + drift)
  return _mix(first, second, _step(wave, 5))


def _paint_stripes(rng, image_size):
  along, across = _slanted(rng, image_size)
  first, second, third = _colors(rng, 3)
  bend = rng.uniform(0, 0.12) * np.sin(rng.uniform(3, 9) * across)
  wave = np.sin(rng.uniform(2.5, 8) * 2 * math.pi * (along + bend))
  return _mix(
    first, _mix(second, third, np.clip(across + 0.5, 0, 1)), _step(wave, 3)
  )


def _paint_noise(rng, image_size):
  first, second = _colors(rng, 2)
  cells = int(rng.integers(2, 6))
  share = sum(
    _noise(rng, image_size, cells * 2**octave)[0] * 0.5**octave
    for octave in range(3)
  )
  return _mix(first, second, _step(share - 0.875, rng.uniform(1, 2.5)))


def _paint_clouds(rng, image_size):
  coarse = _noise(rng, image_size, int(rng.integers(2, 5)), 3)
  fine = _noise(rng, image_size, int(rng.integers(5, 12)))
  return np.clip(0.9 * coarse + 0.4 * fine - 0.15, 0, 1)


def _paint_blobs(rng, image_size):
  x, y = grid(image_size)
  picture = _paint_gradient(rng, image_size)
  for _ in range(int(rng.integers(4, 10))):
    (color,) = _colors(rng, 1)
    radius, flat = rng.uniform(0.06, 0.26), rng.uniform(0.6, 1.6)
    dx, dy = x - rng.random(), (y - rng.random()) * flat
    inside = 1 - (dx * dx + dy * dy) * (1 / radius**2)
    share = np.clip(inside * rng.uniform(1, 8), 0, 1)
    picture = _mix(picture, color, share)
  return picture


def _paint_room(rng, image_size):
  _, y = grid(image_size)
  wall, wall_top, floor, floor_front = _colors(rng, 4)
  horizon = rng.uniform(0.45, 0.75)
  wall = _mix(wall_top, wall, np.minimum(y / horizon, 1))
  below = np.maximum((y - horizon) / (1 - horizon), 0)
  grain = _noise(rng, image_size, int(rng.integers(4, 15)))
  floor = _mix(floor, floor_front, below) * (0.75 + 0.4 * grain)
  return np.clip(_mix(wall, floor, _step(y - horizon, 64)), 0, 1)


_PAINTERS = {
  "gradient": _paint_gradient,
  "checker": _paint_checker,
  "noise": _paint_noise,
  "blobs": _paint_blobs,
  "stripes": _paint_stripes,
  "clouds": _paint_clouds,
  "room": _paint_room,
}
KINDS = tuple(_PAINTERS)
