"""How much of a score the background alone reaches. NumPy only.

A unit that responds only to the background fires on an image and on its
background without the object. Where the background stays within a set, such
units seem invariant to everything that happens to the object.
"""

import numpy as np

from tf_ssl.invariance import score as score_lib


def share(
  score: score_lib.InvarianceScore,
  features: np.ndarray,
  backgrounds: np.ndarray,
  background_of: np.ndarray,
) -> dict[int, float]:
  """Share of the score that is left when the object is removed.

  The score of the same units, thresholds and sets is computed again, but only
  images count on which a unit fires with the object and, with the same sign,
  without it. Units that see only the background keep their score; units that
  see only the object lose it, except for firing on backgrounds by chance.

  Args:
    score: score of the model.
    features: [N, D] float, from which it was computed.
    backgrounds: [B, D] float, features of the backgrounds.
    background_of: [N] int, index in `backgrounds` for each image.

  Returns:
    {K: percent of the score}; 0 for a score of 0.
  """
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
  totals = {k: np.zeros(2) for k in score.scores}
  for c in np.flatnonzero(groups.sets_of_class):
    rows = np.flatnonzero(groups.set_classes == c)
    units = np.searchsorted(chosen, score.top_units[c])
    values = _local_rates(
      score.variant,
      np.stack([one[rows][:, units] for one in shares]),
      np.stack([one[rows][:, units] for one in kept]),
    )
    values = values / score.rates[score.top_units[c]]  # [2, K]
    for k, total in totals.items():
      total += values[:, :k].mean(axis=1)
  return {
    k: float(100 * left / whole) if whole else 0.0
    for k, (whole, left) in totals.items()
  }


def _local_rates(
  variant: str, shares: np.ndarray, kept: np.ndarray
) -> np.ndarray:
  """Local rates with and without the object: [2, s, K] each -> [2, K]."""
  if variant == "formula":
    rates = shares.mean(axis=1)
    sign = rates.argmax(axis=0)[np.newaxis]
    left = kept.mean(axis=1)
    return np.concatenate(
      [np.take_along_axis(one, sign, axis=0) for one in (rates, left)]
    )
  sign = shares.argmax(axis=0)[np.newaxis]
  counted = np.take_along_axis(shares, sign, axis=0)[0]  # [s, K]
  left = np.take_along_axis(kept, sign, axis=0)[0]
  number = np.maximum(np.count_nonzero(counted, axis=0), 1)
  return np.stack([counted.sum(axis=0), left.sum(axis=0)]) / number
