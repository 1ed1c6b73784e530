"""Alterations of a picture with a known strength. NumPy and OpenCV only.

The picture is seen through a square window that leaves a margin on all sides:
where the window turns, moves or zooms, it shows what is there, never a filled
border, so that no version differs from the picture by an artifact.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from tf_ssl import errors
from tf_ssl.ops import jpeg

# Part of the identity of features. Increase it when a version changes.
VERSION = 1
# Side of the picture, in sides of the window: it may turn by any angle (at
# least the square root of 2), move by a quarter of its side or grow by a half.
REACH = 1.5
# Largest zoom in, for which the picture has more pixels than the window needs.
ZOOM = 1.5
# Mean color of ImageNet's training images, that of the occluding patch.
_GRAY = (124, 116, 104)
_SHADES = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class Picture:
  """A picture, and the window through which it is seen.

  Attributes:
    size: side of the window, pixels.
    whole: [C, C, 3] uint8, the picture with `ZOOM` pixels per pixel of the
      window.
    wide: [W, W, 3] uint8, the picture with one pixel per pixel of the window.
    window: [size, size, 3] uint8, its middle.
  """

  def __init__(self, whole: np.ndarray, size: int):
    self.size, self.whole = size, whole
    side = size + 2 * round((REACH - 1) / 2 * size)  # Equal margins.
    self.wide = _resized(whole, side)
    self.window = self.shifted(0, 0)

  def shifted(self, x: int, y: int) -> np.ndarray:
    """The window moved right by x and down by y pixels."""
    margin = (len(self.wide) - self.size) // 2
    top, left = margin + y, margin + x
    return self.wide[top : top + self.size, left : left + self.size]


class Alteration(NamedTuple):
  """One way to alter pictures.

  Attributes:
    name: name, such as "rotation".
    factor: name of the strength, such as "angle".
    unit: unit of the strength; "" if it has none.
    strengths: strengths, weakest first.
    neutral: strength that changes nothing.
    alter: function (picture, strength, drawn) -> [size, size, 3] uint8.
    target: function (strength, drawn) -> coordinates of the strength that a
      linear map could predict; with `neutral` for the picture as it is.
    draw: function of a generator that draws what all versions of one picture
      have in common, such as the direction of a shift.
  """

  name: str
  factor: str
  unit: str
  strengths: tuple[float, ...]
  neutral: float
  alter: Callable[[Picture, float, Any], np.ndarray]
  target: Callable[[float, Any], tuple[float, ...]]
  draw: Callable[[np.random.Generator], Any]


def whole_side(size: int) -> int:
  """Side in pixels of the whole picture for a window of `size` pixels."""
  return round(REACH * ZOOM * size)


def named(names: Sequence[str] | None) -> tuple[Alteration, ...]:
  """The alterations of some names, in the order of `ALL`; all for None.

  Raises:
    UsageError: unknown name, or none.
  """
  if names is None:
    return ALL
  known = [one.name for one in ALL]
  wrong = [name for name in names if name not in known]
  errors.require(
    names and not wrong,
    f"alterations={','.join(names)!r}: expected some of {', '.join(known)}",
  )
  return tuple(one for one in ALL if one.name in names)


def number_of_versions(alterations: Sequence[Alteration]) -> int:
  """Number of versions of a picture, V, with the picture as it is."""
  return 1 + sum(len(one.strengths) for one in alterations)


def versions(
  whole: np.ndarray,
  alterations: Sequence[Alteration],
  *,
  size: int,
  picture: int,
  seed: int,
) -> np.ndarray:
  """All versions of a picture.

  Args:
    whole: [C, C, 3] uint8, with C from `whole_side`.
    alterations: alterations to make.
    size: side of the versions, pixels.
    picture: number of the picture, for `drawn`.
    seed: seed of what is drawn.

  Returns:
    [V, size, size, 3] uint8: the picture as it is, then the versions of each
    alteration, weakest first.
  """
  seen = Picture(whole, size)
  found = [seen.window]
  for one in alterations:
    common = drawn(one, picture, seed)
    found += [one.alter(seen, level, common) for level in one.strengths]
  return np.stack(found)


def drawn(alteration: Alteration, picture: int, seed: int) -> Any:
  """What all versions of a picture by one alteration have in common."""
  number = [one.name for one in ALL].index(alteration.name)
  return alteration.draw(np.random.default_rng([seed, picture, number]))


def _resized(image: np.ndarray, side: int) -> np.ndarray:
  shrinks = side < len(image)
  how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(image, (side, side), interpolation=how)


def _pixels(values: np.ndarray) -> np.ndarray:
  return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _sign(rng: np.random.Generator) -> float:
  return float(rng.choice((-1.0, 1.0)))


def _nothing(rng: np.random.Generator) -> None:
  del rng


def _rotated(picture: Picture, degrees: float, sign: float) -> np.ndarray:
  """The picture turned about the middle, counterclockwise for sign +1."""
  middle = (len(picture.wide) - 1) / 2
  turn = cv2.getRotationMatrix2D((middle, middle), sign * degrees, 1.0)
  turn[:, 2] -= (len(picture.wide) - picture.size) / 2
  return cv2.warpAffine(
    picture.wide,
    turn,
    (picture.size, picture.size),
    flags=cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REFLECT_101,
  )


def _scaled(picture: Picture, factor: float, sign: float) -> np.ndarray:
  """The picture enlarged for sign +1, made smaller for -1."""
  side = len(picture.whole) / REACH / factor**sign
  margin = round((len(picture.whole) - side) / 2)
  end = len(picture.whole) - margin
  return _resized(picture.whole[margin:end, margin:end], picture.size)


def _shift(share: float, angle: float) -> tuple[float, float]:
  return share * np.cos(angle), share * np.sin(angle)


def _translated(picture: Picture, share: float, angle: float) -> np.ndarray:
  x, y = (round(picture.size * part) for part in _shift(share, angle))
  return picture.shifted(x, y)


def _occluded(picture: Picture, area: float, place: np.ndarray) -> np.ndarray:
  """A square patch over a share of the window; all have one middle."""
  size = picture.size
  largest = size * np.sqrt(_PATCHES[-1])
  middle = largest / 2 + place * (size - largest)
  side = size * np.sqrt(area)
  top, left = (round(float(edge)) for edge in middle - side / 2)
  found = picture.window.copy()
  side = round(float(side))
  found[max(0, top) : top + side, max(0, left) : left + side] = _GRAY
  return found


def _brightened(picture: Picture, factor: float, sign: float) -> np.ndarray:
  return _pixels(picture.window * np.float32(factor**sign))


def _contrasted(picture: Picture, factor: float, sign: float) -> np.ndarray:
  values = picture.window.astype(np.float32)
  mean = (values @ _SHADES).mean()  # Of the shades, as in torchvision.
  return _pixels((values - mean) * np.float32(factor**sign) + mean)


def _recolored(picture: Picture, degrees: float, sign: float) -> np.ndarray:
  """Hues turned on the color circle of HSV."""
  values = picture.window.astype(np.float32) / 255
  hsv = cv2.cvtColor(values, cv2.COLOR_RGB2HSV)  # Hue in degrees.
  hsv[..., 0] = (hsv[..., 0] + sign * degrees) % 360
  return _pixels(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def _blurred(picture: Picture, percent: float, _: None) -> np.ndarray:
  """Gaussian blur of the wide picture, so that the window has no border."""
  blurred = cv2.GaussianBlur(picture.wide, (0, 0), percent / 100 * picture.size)
  margin = (len(blurred) - picture.size) // 2
  return blurred[margin:-margin, margin:-margin]


def _noisy(picture: Picture, deviation: float, seed: int) -> np.ndarray:
  rng = np.random.default_rng(seed)
  noise = rng.standard_normal(picture.window.shape, np.float32)
  return _pixels(picture.window + np.float32(deviation) * noise)


def _compressed(picture: Picture, quality: float, _: None) -> np.ndarray:
  return jpeg.decode(jpeg.encode(picture.window, quality=int(quality)))


def _flipped(picture: Picture, strength: float, _: None) -> np.ndarray:
  del strength  # There is one.
  return picture.window[:, ::-1]


def _grayed(picture: Picture, percent: float, _: None) -> np.ndarray:
  values = picture.window.astype(np.float32)
  gray = (values @ _SHADES)[..., np.newaxis]
  return _pixels(values + np.float32(percent / 100) * (gray - values))


def _circle(degrees: float, sign: float) -> tuple[float, float]:
  angle = np.radians(sign * degrees)
  return float(np.sin(angle)), float(np.cos(angle))


def _ratio(factor: float, sign: float) -> tuple[float]:
  return (float(sign * np.log(factor)),)


def _itself(strength: float, _: Any) -> tuple[float]:
  return (strength,)


_PATCHES = (0.05, 0.1, 0.2, 0.4)
_EITHER_WAY = functools.partial(Alteration, draw=_sign, neutral=1.0)
_ONE_WAY = functools.partial(
  Alteration, draw=_nothing, neutral=0.0, target=_itself
)
# Each picture is turned, shifted, enlarged and so on in one direction, drawn
# for it; half of the pictures become brighter, the others darker.
ALL: tuple[Alteration, ...] = (
  Alteration(
    "rotation",
    "angle",
    "degrees",
    (10.0, 30.0, 60.0, 90.0, 180.0),
    neutral=0.0,
    alter=_rotated,
    target=_circle,
    draw=_sign,
  ),
  _EITHER_WAY(
    "scale",
    "zoom in or out",
    "times",
    (1.1, 1.2, 1.35, 1.5),
    alter=_scaled,
    target=_ratio,
  ),
  Alteration(
    "translation",
    "shift",
    "image sides",
    (0.05, 0.1, 0.15, 0.25),
    neutral=0.0,
    alter=_translated,
    target=_shift,
    draw=lambda rng: float(rng.uniform(0, 2 * np.pi)),
  ),
  Alteration(
    "occluding_patch",
    "occluded share",
    "",
    _PATCHES,
    neutral=0.0,
    alter=_occluded,
    target=lambda area, _: (float(np.sqrt(area)),),
    draw=lambda rng: rng.uniform(size=2),
  ),
  _EITHER_WAY(
    "brightness",
    "brighter or darker",
    "times",
    (1.2, 1.5, 2.0, 3.0),
    alter=_brightened,
    target=_ratio,
  ),
  _EITHER_WAY(
    "contrast",
    "more or less contrast",
    "times",
    (1.2, 1.5, 2.0, 3.0),
    alter=_contrasted,
    target=_ratio,
  ),
  Alteration(
    "hue",
    "turn of the hues",
    "degrees",
    (15.0, 45.0, 90.0, 180.0),
    neutral=0.0,
    alter=_recolored,
    target=_circle,
    draw=_sign,
  ),
  _ONE_WAY(
    "blur",
    "deviation of the kernel",
    "% of the image side",
    (0.5, 1.0, 2.0, 4.0),
    alter=_blurred,
  ),
  Alteration(
    "noise",
    "deviation of the noise",
    "gray levels of 255",
    (8.0, 16.0, 32.0, 64.0),
    neutral=0.0,
    alter=_noisy,
    target=_itself,
    draw=lambda rng: int(rng.integers(2**32)),
  ),
  Alteration(
    "jpeg",
    "JPEG quality",
    "",
    (75.0, 40.0, 20.0, 10.0),
    neutral=100.0,
    alter=_compressed,
    target=_itself,
    draw=_nothing,
  ),
  _ONE_WAY("horizontal_flip", "flipped", "", (1.0,), alter=_flipped),
  _ONE_WAY("gray", "color removed", "%", (50.0, 100.0), alter=_grayed),
)
