"""A share of each class: of whose labels are seen, or of what is held out."""

import numpy as np


def keep_fraction(
  labels: np.ndarray, fraction: float, *, seed: int
) -> np.ndarray:
  """Hides all labels but a random share of each class, at least one of each.

  Args:
    labels: [N] int32, -1 where unknown.
    fraction: of each class, 0..1.
    seed: decides which; the same for every method that is compared.

  Returns:
    [N] int32.
  """
  rng = np.random.default_rng(seed)
  kept = np.full_like(labels, -1)
  for label in np.unique(labels[labels >= 0]):
    members = np.flatnonzero(labels == label)
    count = max(1, round(fraction * len(members)))
    kept[rng.permutation(members)[:count]] = label
  return kept
