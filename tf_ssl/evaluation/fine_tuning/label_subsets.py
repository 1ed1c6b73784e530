"""Class-balanced parts of a labeled dataset, as if few labels were known."""

import numpy as np

from tf_ssl import errors


def balanced(
  labels: np.ndarray, share: float, *, num_classes: int, seed: int
) -> np.ndarray:
  """Chooses a share of the images, as many of each class.

  That is share * N / C of each, rounded, at least one; of a class with fewer
  images all. A smaller share of the same seed is a part of a larger one.

  Args:
    labels: [N] int, 0 to C - 1; negative ones are never chosen.
    share: greater than 0; 1 is everything that has a label.
    num_classes: C.
    seed: of the choice.

  Returns:
    Indices, ascending.

  Raises:
    UsageError: the share is out of range, or a class has no image.
  """
  if not 0 < share <= 1:
    raise errors.UsageError(
      f"label share {share}: expected a number greater than 0, at most 1; "
      "change LABEL_SHARES"
    )
  labels = np.asarray(labels)
  counts = np.bincount(labels[labels >= 0], minlength=num_classes)
  if not counts.all():
    missing = np.flatnonzero(counts == 0).tolist()
    raise errors.UsageError(
      f"the train images have none of the classes {missing[:10]}; expected at "
      f"least one of each of the {num_classes} classes"
    )
  if share == 1:
    return np.flatnonzero(labels >= 0)
  of_each = max(1, round(share * counts.sum() / num_classes))
  rng = np.random.default_rng(seed)
  chosen = [
    rng.permutation(np.flatnonzero(labels == number))[:of_each]
    for number in range(num_classes)
  ]
  return np.sort(np.concatenate(chosen))
