"""Pairs frames of a video (Purushwalkam & Gupta 2020, section 5).

V_pairs = {(z_i, z_{i+k}) : i mod k = 0}: both frames of every pair are among
the frames 0, k, 2k, ..., so only these are decoded.
"""

import numpy as np

from tf_ssl import errors

_TOLERANCE = 0.5  # Fraction of the distance, for uneven frame times.


def neighbors(
  numbers: np.ndarray,
  times: np.ndarray,
  *,
  frames: int | None = None,
  seconds: float | None = None,
) -> np.ndarray:
  """Pairs frames at the given distance; set exactly one distance.

  Args:
    numbers: [n] ascending, numbers of the available frames among the multiples
      of the distance.
    times: [n] times of these frames, seconds.
    frames: distance k of the frames of a pair, frames.
    seconds: distance of the frames of a pair, seconds, to within half of it.

  Returns:
    [m, 2] int64, rows of `numbers`: frame i and frame i + k.

  Raises:
    UsageError: not exactly one distance is set, or it is not above 0.
  """
  check_distance(frames, seconds)
  rows = np.arange(len(numbers) - 1 if len(numbers) else 0)
  if frames is not None:
    fits = np.diff(numbers) == frames
  else:
    fits = np.abs(np.diff(times) - seconds) <= _TOLERANCE * seconds
  rows = rows[fits]
  return np.stack([rows, rows + 1], axis=1).astype(np.int64)


def check_distance(frames: int | None, seconds: float | None) -> None:
  """Checks the distance of the frames of a pair.

  Raises:
    UsageError: both or neither are set, or one is not above 0.
  """
  given = seconds if frames is None else frames
  errors.require(
    (frames is None) != (seconds is None) and given > 0,
    f"distance of a frame pair: got frames={frames} and seconds={seconds};"
    " expected one of them, above 0; set SECONDS, or FRAMES and"
    " SECONDS = None",
  )
