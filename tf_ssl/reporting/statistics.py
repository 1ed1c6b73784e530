"""The mean over repetitions of a measurement, and how sure it is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from tf_ssl import errors


class MeanInterval(NamedTuple):
  """A mean with its interval.

  Attributes:
    mean: over the repetitions.
    low: lower end of the interval; None for a single repetition.
    high: upper end, the same.
  """

  mean: float
  low: float | None
  high: float | None


def mean_interval(
  values: Sequence[float], *, confidence: float = 0.95
) -> MeanInterval:
  """Student's t interval of the mean.

  It takes the repetitions for independent draws. Those that share images, such
  as several splits of the same ones, are less different than new images would
  be: their interval says how much the split matters, not more.

  Args:
    values: of the repetitions, such as one a seed; finite.
    confidence: between 0 and 1.

  Raises:
    UsageError: no value, or a confidence out of range.
  """
  values = np.asarray(values, np.float64)
  if not values.size or not 0 < confidence < 1:
    raise errors.UsageError(
      f"got {values.size} repetitions and a confidence of {confidence}; "
      "expected at least one, and a confidence between 0 and 1"
    )
  mean = float(values.mean())
  if values.size == 1:
    return MeanInterval(mean, None, None)
  error = float(values.std(ddof=1)) / np.sqrt(values.size)
  half = float(stats.t.ppf((1 + confidence) / 2, values.size - 1)) * error
  return MeanInterval(mean, mean - half, mean + half)


def check_seeds(seeds: Sequence[int]) -> None:
  """Refuses seeds that are none, repeated or negative.

  Raises:
    UsageError: names SEEDS.
  """
  if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
    raise errors.UsageError(
      f"seeds={tuple(seeds)}: expected different numbers from 0, such as "
      "(0, 1, 2); change SEEDS"
    )
