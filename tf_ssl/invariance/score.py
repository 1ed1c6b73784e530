"""The Top-K Representation Invariance Score. NumPy only.

Purushwalkam & Gupta 2020, section 4, after Goodfellow et al. 2009. A unit that
fires on few images, but on all images of a set if it fires on one, is invariant
to what changes within the set.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import firing, image_sets


class InvarianceScore(NamedTuple):
  """The scores of one representation with their parts.

  C classes, S sets, D units. Percentages are of the largest possible value.

  Attributes:
    scores: {K: percent}, mean over classes of the mean invariance of the K
      units that are most invariant for the class.
    class_scores: {K: [C] float64, percent}; 0 for a class without sets.
    top_units: [C, largest K] int64, most invariant units of each class, best
      first and ties by index; -1 for a class without sets.
    unit_invariance: [C, D] float32, percent, invariance of each unit for each
      class.
    rates: [D] float64, global firing rate G of each unit, its divisor. Ties in
      the values of a unit raise it above `firing_fraction`.
    constant_units: [u] int64, units with one value in all images. They never
      fire; their invariance is 0.
    silent_units: [v] int64, other units that fire on no image of a set because
      many values tie with their thresholds; their invariance is 0.
    firing_fraction: share of the images on which each unit fires.
    variant: "code" or "formula".
    sets: sets and classes of the images. `sets.num_skipped` sets were too
      small; `sets.sets_of_class` is 0 for classes that had no others.
    firing: thresholds, and counts of firing images by set and unit.
    subset_units: number of units in the subsets over which `scores` and
      `class_scores` are means, see `matched.at`; None for all units at once.
  """

  scores: dict[int, float]
  class_scores: dict[int, np.ndarray]
  top_units: np.ndarray
  unit_invariance: np.ndarray
  rates: np.ndarray
  constant_units: np.ndarray
  silent_units: np.ndarray
  firing_fraction: float
  variant: str
  sets: image_sets.ImageSets
  firing: firing.Firing
  subset_units: int | None = None

  @property
  def thresholds(self) -> np.ndarray:
    """[2, D], a unit fires above its first value and below its second."""
    return np.stack([self.firing.high, self.firing.low])


def representation_invariance_score(
  features: np.ndarray,
  sets: np.ndarray,
  classes: np.ndarray | None = None,
  *,
  top_k: Sequence[int] = (10, 25),
  variant: str = "code",
  firing_fraction: float | None = None,
  min_images: int = image_sets.MIN_IMAGES,
) -> InvarianceScore:
  """Measures the Top-K Representation Invariance Score.

  >>> rng = np.random.default_rng(0)
  >>> features = np.repeat(rng.normal(size=[20, 64]), 5, axis=0)
  >>> features += 0.3 * rng.normal(size=features.shape)
  >>> found = tf_ssl.representation_invariance_score(
  ...   features, sets=np.repeat(np.arange(20), 5)
  ... )
  >>> {k: round(float(score)) for k, score in found.scores.items()}
  {10: 46, 25: 20}

  The global firing rate G of a unit is the share of all images on which it
  fires. Its local rate L for a class is the mean, over the sets of the class,
  of the share of the set's images on which it fires. Its invariance for the
  class is L / G, at most 1 / G. Sets of fewer than 3 images count for G only.

  `code` is the arithmetic of the authors' published program, which made the
  paper's numbers: for each unit and set, the sign that fires on more of the
  images counts; only sets in which the unit fires enter L; G counts images at
  the threshold, L does not; a class without sets counts as 0.

  `formula` is the text of the paper: all sets of the class enter L, and a class
  without sets is excluded. For each unit and class, the sign with the larger L
  counts (Goodfellow et al. choose it so for each unit). The threshold is the
  lowest at which a unit fires on at most `firing_fraction` of the images. Where
  ties keep a unit below that share, G stays `firing_fraction`: otherwise a unit
  that fires on a single image would have the largest invariance.

  Args:
    features: [N, D] float, array or memory map, which is never loaded at once.
    sets: [N], number or name of each image's set.
    classes: [N], number or name of each image's class, one for all images of a
      set; None makes each set a class.
    top_k: numbers of units, K.
    variant: "code" or "formula".
    firing_fraction: share of all images on which each unit fires, between 0 and
      1, both excluded; None for 1 / C with C classes, and for `code` at least
      0.05.
    min_images: smallest number of images of a set that counts, as in
      `image_sets.group`.

  Raises:
    UsageError: the features are not [N, D], not finite, constant, or have so
      many ties that no unit fires; there are fewer units than K; lengths
      differ; no set has 3 images; there is one class and no firing fraction; or
      the fraction is less than one image.
  """
  top_k = checked_top_k(features, top_k)
  groups = image_sets.group(sets, classes, len(features), min_images=min_images)
  rule = firing.rule(
    variant,
    firing_fraction,
    num_images=len(features),
    num_classes=len(groups.classes),
  )
  fired = measure(features, groups.membership[np.newaxis], groups, rule)
  return score(fired, groups, rule, top_k)


def measure(
  features: np.ndarray,
  memberships: np.ndarray,
  groups: image_sets.ImageSets,
  rule: firing.Rule,
  rows: np.ndarray | None = None,
) -> firing.Firing:
  """`firing.measure` with a UsageError if no score follows, see `silence`."""
  fired = firing.measure(
    features, memberships, len(groups.ids), rank=rule.rank, rows=rows
  )
  reason = silence(fired, rule, memberships.shape[1])
  errors.require(not reason, reason)
  return fired


def silence(fired: firing.Firing, rule: firing.Rule, num_images: int) -> str:
  """Why these counts give no score but 0; "" if they give one.

  Args:
    fired: counts of firing images.
    rule: rule under which they were counted.
    num_images: number of images counted.
  """
  num_units = len(fired.constant)
  if fired.constant.all():
    return (
      f"all {num_units} units have the same value in all {num_images} images: "
      "the encoder has collapsed, or all images are the same"
    )
  if not fired.above.any() and not fired.below.any():
    return (
      f"none of the {num_units} units fires on any image of a set: more than "
      f"{rule.fraction:.3g} of the {num_images} images share the highest value "
      "of each unit, and the lowest, as in binary or rounded features; give a "
      "larger firing_fraction, or read a layer with finer values"
    )
  return ""


def score(
  fired: firing.Firing,
  groups: image_sets.ImageSets,
  rule: firing.Rule,
  top_k: tuple[int, ...],
) -> InvarianceScore:
  """Computes the score from counts of firing images.

  Args:
    fired: counts of one membership, that of `groups`.
    groups: sets and classes of the images.
    rule: rule under which `fired` was counted.
    top_k: numbers of units, from `checked_top_k`.
  """
  num_classes, num_units = len(groups.classes), len(fired.constant)
  most = max(top_k)
  if rule.variant == "code":
    rates = fired.at_or_above / len(groups.membership)
  else:
    rates = np.full(num_units, rule.fraction)
  means = {k: np.zeros(num_classes) for k in top_k}
  top_units = np.full([num_classes, most], -1, np.int64)
  unit_invariance = np.zeros([num_classes, num_units], np.float32)
  measured = groups.sets_of_class > 0
  by_class = np.argsort(groups.set_classes, kind="stable")
  starts = np.concatenate([[0], np.cumsum(groups.sets_of_class)])
  for c in np.flatnonzero(measured):
    rows = by_class[starts[c] : starts[c + 1]]
    shares = (
      fired.above[0, rows] / groups.sizes[rows, np.newaxis],
      fired.below[0, rows] / groups.sizes[rows, np.newaxis],
    )
    invariance = _local_rate(rule.variant, *shares) / rates  # [D]
    top_units[c] = largest(invariance, most)
    running = np.cumsum(invariance[top_units[c]])
    for k in top_k:
      means[k][c] = running[k - 1] / k
    unit_invariance[c] = invariance * rule.percent
  counted = slice(None) if rule.variant == "code" else measured
  return InvarianceScore(
    scores={k: float(np.mean(means[k][counted]) * rule.percent) for k in top_k},
    class_scores={k: means[k] * rule.percent for k in top_k},
    top_units=top_units,
    unit_invariance=unit_invariance,
    rates=rates,
    constant_units=np.flatnonzero(fired.constant),
    silent_units=np.flatnonzero(~fired.constant & ~_fires(fired)),
    firing_fraction=rule.fraction,
    variant=rule.variant,
    sets=groups,
    firing=fired,
  )


def _fires(fired: firing.Firing) -> np.ndarray:
  """[D] bool, whether each unit fires on any image of a set."""
  return fired.above.any(axis=(0, 1)) | fired.below.any(axis=(0, 1))


def _local_rate(
  variant: str, above: np.ndarray, below: np.ndarray
) -> np.ndarray:
  """Local rate L in one class: shares [S, D] of both signs -> [D]."""
  if variant == "formula":
    return np.maximum(above.mean(axis=0), below.mean(axis=0))
  shares = np.maximum(above, below)
  # Set by set, in the authors' order of additions, to the last digit.
  total = np.zeros(shares.shape[1])
  for share in shares:
    total += share
  return total / (np.count_nonzero(shares, axis=0) + 1e-20)


def largest(values: np.ndarray, count: int) -> np.ndarray:
  """Indices of the largest values, descending; the first of tied ones."""
  least = np.partition(values, len(values) - count)[len(values) - count]
  candidates = np.flatnonzero(values >= least)
  order = np.argsort(-values[candidates], kind="stable")
  return candidates[order[:count]]


def checked_top_k(
  features: np.ndarray, top_k: Sequence[int]
) -> tuple[int, ...]:
  """Returns top_k as integers after checking it and the features.

  Raises:
    UsageError: features are no [N, D] array of numbers, or top_k is no list of
      numbers of units that they have.
  """
  errors.require(
    top_k and all(k == int(k) and k >= 1 for k in top_k),
    f"top_k is {top_k}; expected numbers of units, such as (10, 25)",
  )
  if not isinstance(features, np.ndarray) or features.dtype.kind not in "fiu":
    kind = getattr(features, "dtype", type(features).__name__)
    raise errors.UsageError(
      f"features are {kind}; expected a NumPy array or memory map of numbers"
    )
  errors.require(
    features.ndim != 4,
    f"features have shape {features.shape}, a map [N, H, W, C]; average them "
    "over H and W first: features.mean(axis=(1, 2))",
  )
  errors.require(
    features.ndim == 2 and features.size,
    f"features have shape {features.shape}; expected [N, D], one row per image",
  )
  errors.require(
    features.shape[1] >= max(top_k),
    f"top_k asks for {max(top_k)} units and the features have "
    f"{features.shape[1]}; give a top_k of at most {features.shape[1]}",
  )
  return tuple(int(k) for k in top_k)
