"""Which frames of a video make a pair (Purushwalkam & Gupta 2020, section 5).

V_pairs = {(z_i, z_{i+k}) : i mod k = 0}: both frames of every pair are among
the frames 0, k, 2k, ..., and only those are ever decoded.
"""

import numpy as np

from tf_ssl import errors

_TOLERANCE = 0.5  # of the distance, where times are uneven


def neighbors(
  numbers: np.ndarray,
  times: np.ndarray,
  *,
  frames: int | None = None,
  seconds: float | None = None,
) -> np.ndarray:
  """Pairs the frames that lie one distance apart.

  Args:
    numbers: [n] ascending, the frames that there are of those at multiples of
      the distance; some may be missing.
    times: [n] seconds, of the same frames.
    frames: the distance k, in frames.
    seconds: or the distance in seconds, to within half of it.

  Returns:
    [m, 2] int64, rows of `numbers`: frame i and frame i + k.

  Raises:
    UsageError: not exactly one distance is given, or it is not above 0.
  """
  check_distance(frames, seconds)
  rows = np.arange(len(numbers) - 1 if len(numbers) else 0)
  if frames is not None:
    right = np.diff(numbers) == frames
  else:
    right = np.abs(np.diff(times) - seconds) <= _TOLERANCE * seconds
  rows = rows[right]
  return np.stack([rows, rows + 1], axis=1).astype(np.int64)


def check_distance(frames: int | None, seconds: float | None) -> None:
  """Refuses a distance between frames that is none.

  Raises:
    UsageError: both or neither are given, or one is not above 0.
  """
  given = seconds if frames is None else frames
  if (frames is None) == (seconds is None) or not given > 0:
    raise errors.UsageError(
      f"distance of a frame pair: got frames={frames} and seconds={seconds};"
      " expected one of them, above 0; set SECONDS, or FRAMES and"
      " SECONDS = None"
    )
