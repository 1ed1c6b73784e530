"""How much of a score the background alone reaches. NumPy only.

A unit that responds only to the background fires on an image and on its
background without the object. Where the background stays within a set, such
units seem invariant to everything that happens to the object.
"""

import numpy as np

from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.invariance import score as score_lib


def share(
  score: score_lib.InvarianceScore,
  features: np.ndarray,
  backgrounds: np.ndarray,
  background_of: np.ndarray,
  *,
  resamples: int = 1000,
  confidence: float = 0.95,
  seed: int = 0,
) -> dict[int, intervals_lib.Interval]:
  """Share of the score that is left when the object is removed.

  The score of the same units, thresholds and sets is computed again, but only
  images count on which a unit fires with the object and, with the same sign,
  without it. Units that see only the background keep their score; units that
  see only the object lose it, except for firing on backgrounds by chance.

  The interval is a bootstrap over the sets of each class, or over classes if
  each has one set. Units and signs are not chosen again.

  Args:
    score: score of the model.
    features: [N, D] float, from which it was computed.
    backgrounds: [B, D] float, features of the backgrounds.
    background_of: [N] int, index in `backgrounds` for each image.
    resamples: number of resamples of the interval, at least 2.
    confidence: confidence level of the interval, between 0 and 1.
    seed: seed of the resamples.

  Returns:
    {K: Interval}, percent of the score; 0 for a score of 0.

  Raises:
    UsageError: resamples or confidence are out of range.
  """
  tails = intervals_lib.tails(resamples, confidence)
  groups = score.sets
  chosen = np.unique(score.top_units[score.top_units >= 0])
  order = np.argsort(groups.membership, kind="stable")[: groups.sizes.sum()]
  starts = np.cumsum(groups.sizes) - groups.sizes
  seen = features[order][:, chosen]
  alone = backgrounds[:, chosen]
  sizes = groups.sizes[:, np.newaxis]
  high, low = score.thresholds[:, chosen]
  shares, kept = [], []  # Each [S, u], by sign.
  for fires, fires_alone in (
    (seen > high, alone > high),
    (seen < low, alone < low),
  ):
    both = fires & fires_alone[background_of[order]]
    shares.append(np.add.reduceat(fires, starts, axis=0, dtype=int) / sizes)
    kept.append(np.add.reduceat(both, starts, axis=0, dtype=int) / sizes)
  measured = np.flatnonzero(groups.sets_of_class)
  one_set_each = groups.sets_of_class.max() == 1
  rng = np.random.default_rng(seed)
  drawn = rng.multinomial(
    len(measured), np.full(len(measured), 1 / len(measured)), size=resamples
  )  # [R, classes], used if each class has one set.
  totals = {k: np.zeros([2, 1 + resamples]) for k in score.scores}
  for place, c in enumerate(measured):
    rows = np.flatnonzero(groups.set_classes == c)
    units = np.searchsorted(chosen, score.top_units[c])
    count = len(rows)
    weights = np.ones([1 + resamples, count])  # The first are the sets.
    if count > 1:
      weights[1:] = rng.multinomial(
        count, np.full(count, 1 / count), size=resamples
      )
    values = _local_rates(
      score.variant,
      np.stack([one[rows][:, units] for one in shares]),
      np.stack([one[rows][:, units] for one in kept]),
      weights,
    )
    values = values / score.rates[score.top_units[c]]  # [2, 1 + R, K]
    if one_set_each:
      values[:, 1:] *= drawn[:, place, np.newaxis]
    for k, total in totals.items():
      total += values[..., :k].mean(axis=-1)
  found = {}
  for k, (whole, left) in totals.items():
    percent = 100 * left / np.where(whole > 0, whole, np.inf)
    ends = np.quantile(percent[1:], tails)
    found[k] = intervals_lib.Interval(
      float(percent[0]), float(ends[0]), float(ends[1]), 0.0
    )
  return found


def _local_rates(
  variant: str, shares: np.ndarray, kept: np.ndarray, weights: np.ndarray
) -> np.ndarray:
  """Local rates with and without the object, for weights of the sets.

  Args:
    variant: "code" or "formula".
    shares: [2, s, K], share of firing images of each set by sign.
    kept: [2, s, K], the same without the object.
    weights: [r, s], how often each set counts.

  Returns:
    [2, r, K].
  """
  if variant == "formula":
    sign = shares.mean(axis=1).argmax(axis=0)[np.newaxis, np.newaxis]
  else:
    sign = shares.argmax(axis=0)[np.newaxis]
  counted, left = (
    np.take_along_axis(one, sign, axis=0)[0] for one in (shares, kept)
  )  # [s, K]
  fires = counted > 0 if variant == "code" else np.ones_like(counted)
  number = np.maximum(np.einsum("rs,sk->rk", weights, fires), 1e-20)
  return np.stack(
    [np.einsum("rs,sk->rk", weights, one) / number for one in (counted, left)]
  )
