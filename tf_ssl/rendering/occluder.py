"""A textured thing in front of an object that hides a measured part of it."""

import math

import numpy as np

from tf_ssl.rendering import background

# A room's horizon would look odd on a thing.
_LOOKS = tuple(
  number for number, kind in enumerate(background.KINDS) if kind != "room"
)


def cover(
  image: np.ndarray,
  mask: np.ndarray,
  eighths: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Puts an occluder before an object.

  The occluder is an ellipse or a box beside the object that grows until it
  hides what it should: its size is a quantile over the object's own pixels,
  so the hidden part is exact to the pixel.

  Args:
    image: [H, W, 3] float32, display values 0..1.
    mask: [H, W] bool, the object's pixels.
    eighths: how much of the object stays visible, 0 (nothing) to 8 (all; no
      occluder then).
    rng: decides where the occluder stands and how it looks.

  Returns:
    The image, and [H, W] bool: the object's pixels that stay visible.
  """
  count = int(np.count_nonzero(mask))
  hidden = round(count * (8 - eighths) / 8)
  if not hidden:
    return image, mask
  size = _growth(mask, rng)
  inside = np.sort(size[mask])
  if hidden < count:
    edge = float(inside[hidden - 1] + inside[hidden]) / 2
  else:
    edge = float(inside[-1]) * 1.05
  image_size = image.shape[0]
  kind = _LOOKS[int(rng.integers(len(_LOOKS)))]
  look = background.paint(kind, rng, image_size)
  # Darker toward its edge, as something thick and round would be.
  depth = np.clip((edge - size) * 6, 0, 1)
  look = look * (0.55 + 0.45 * np.sqrt(depth))[..., None]
  share = np.clip((edge - size) * image_size + 0.5, 0, 1)
  covered = image + share[..., None] * (look - image)
  return covered, mask & (size > edge)


def _growth(mask, rng):
  """[H, W]: how large the occluder must be to reach each pixel."""
  image_size = mask.shape[0]
  x, y = background.grid(image_size)
  middle_x, middle_y = float(x[mask].mean()), float(y[mask].mean())
  extent = math.sqrt(float(x[mask].var() + y[mask].var()))
  side = rng.uniform(0, 2 * math.pi)
  away = extent * rng.uniform(1.2, 2.2)
  x = x - (middle_x + away * math.cos(side))
  y = y - (middle_y + away * math.sin(side))
  tilt = rng.uniform(0, math.pi)
  cos, sin = math.cos(tilt), math.sin(tilt)
  flat = rng.uniform(0.7, 1.4)
  along, across = (x * cos + y * sin) * flat, (y * cos - x * sin) / flat
  # The exponent of the outline is 2 to the power of this: an ellipse, or
  # nearly a box.
  doublings = 1 if rng.random() < 0.5 else 3
  for _ in range(doublings):
    along, across = along * along, across * across
  size = along + across
  for _ in range(doublings):
    size = np.sqrt(size)
  return size
