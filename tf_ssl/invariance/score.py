"""What a representation is invariant to: the Top-K invariance score.

The Representation Invariance Score of Purushwalkam & Gupta 2020, section 4,
after Goodfellow et al. 2009. A unit that fires on few images, but on all of a
set where it fires on one, is invariant to what changes within the set. NumPy
only: no TensorFlow is imported.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.invariance import firing, firing_rule, image_sets

VARIANTS = firing_rule.VARIANTS


class InvarianceScore(NamedTuple):
  """How invariant a representation is, and where that comes from.

  C classes, S sets, D units. Percentages are of the largest possible value.

  Attributes:
    scores: {K: percent}, the mean over classes of the mean of the K units that
      are most invariant for the class.
    class_scores: {K: [C] float64, percent}; 0 for a class without sets.
    top_units: [C, largest K] int64, the most invariant units of each class,
      best first, of equal ones the first; -1 for a class without sets.
    unit_invariance: [C, D] float32, percent.
    rates: [D] float64, the global firing rate G by which each unit is divided.
      Above `firing_fraction` where values of a unit are tied.
    constant_units: [u] int64, units with one value for all images. They never
      fire; their invariance is 0, not perfect.
    silent_units: [v] int64, other units that fire on no image of a set, as many
      values are tied with their thresholds; their invariance is 0, too.
    firing_fraction: the share of images on which each unit is to fire.
    variant: "code" or "formula".
    sets: the sets and classes; `sets.num_skipped` were too small,
      `sets.sets_of_class` is 0 for classes that had only such.
    firing: the count of firing images of each set and unit, and thresholds.
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

  @property
  def thresholds(self) -> np.ndarray:
    """[2, D]: a unit fires above the first, and below the second."""
    return np.stack([self.firing.high, self.firing.low])


def representation_invariance_score(
  features: np.ndarray,
  sets: np.ndarray,
  classes: np.ndarray | None = None,
  *,
  top_k: Sequence[int] = (10, 25),
  variant: str = "code",
  firing_fraction: float | None = None,
) -> InvarianceScore:
  """Measures the Top-K Representation Invariance Score.

  A unit has a global firing rate G, over all images, and for each class a local
  one L, the mean over the class's sets of the share of images on which it
  fires. Its invariance for the class is L / G, at most 1 / G. Sets of fewer
  than 3 images count for G only.

  `code` is the arithmetic of the authors' published program, from which the
  paper's numbers came: the positive sign is taken or the negative per unit and
  set, whichever fires on more of its images; only sets in which the unit fires
  at all enter L; G counts images at the threshold, L does not; a class without
  sets counts as 0.

  `formula` is the text of the paper: all sets of the class enter L, and a
  class without sets is left out. The sign is one per unit and class, the one
  that gives the larger L (Goodfellow et al. choose it so per unit). The
  threshold is the lowest at which a unit fires on no more than
  `firing_fraction` of the images. Where tied values keep a unit below that, G
  stays `firing_fraction`: otherwise a unit that fires on a single image of all
  would be as invariant as can be.

  Args:
    features: [N, D], float; array or memory map, which is never read into
      memory as a whole.
    sets: [N], the set of each image: number or name.
    classes: [N], the class of each image, one for all images of a set; None:
      every set is its own class.
    top_k: numbers of units.
    variant: "code" or "formula".
    firing_fraction: share of all images on which each unit is to fire, between
      0 and 1, both excluded. By default 1 / C, and for `code` at least 0.05.

  Returns:
    An InvarianceScore.

  Raises:
    UsageError: features that are not [N, D], not finite, all constant, or so
      tied that no unit fires; fewer units than K; lengths that differ; no set
      of at least 3 images; one class and no firing fraction; a fraction of less
      than one image.
  """
  top_k = checked_top_k(features, top_k)
  groups = image_sets.group(sets, classes, len(features))
  rule = firing_rule.rule(
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
  rule: firing_rule.Rule,
  rows: np.ndarray | None = None,
) -> firing.Firing:
  """`firing.measure`; a UsageError where nothing can be said, see `silence`."""
  fired = firing.measure(
    features, memberships, len(groups.ids), rank=rule.rank, rows=rows
  )
  reason = silence(fired, rule, memberships.shape[1])
  if reason:
    raise errors.UsageError(reason)
  return fired


def silence(
  fired: firing.Firing, rule: firing_rule.Rule, num_images: int
) -> str:
  """Why no score follows from these counts, which would be 0; "" if one does.

  Args:
    fired: the counts.
    rule: under which they were measured.
    num_images: of how many images.
  """
  num_units = len(fired.constant)
  if fired.constant.all():
    return (
      f"all {num_units} units have the same value in all {num_images} images: "
      "the encoder has collapsed, or was given the same image again and again"
    )
  if not fired.above.any() and not fired.below.any():
    return (
      f"none of the {num_units} units fires on any image of a set: more than "
      f"{rule.fraction:.3g} of the {num_images} images share the highest value "
      "of each unit, and the lowest, as where features are binary or rounded; "
      "give a larger firing_fraction, or read a layer of finer values"
    )
  return ""


def score(
  fired: firing.Firing,
  groups: image_sets.ImageSets,
  rule: firing_rule.Rule,
  top_k: tuple[int, ...],
) -> InvarianceScore:
  """The score that follows from counts of firing images.

  Args:
    fired: of one membership, that of `groups`.
    groups: the sets and classes.
    rule: under which `fired` was measured.
    top_k: numbers of units, checked.

  Returns:
    An InvarianceScore.
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
    top_units[c] = _largest(invariance, most)
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
  """[D] bool, whether a unit fires on any image of a set."""
  return fired.above.any(axis=(0, 1)) | fired.below.any(axis=(0, 1))


def _local_rate(
  variant: str, above: np.ndarray, below: np.ndarray
) -> np.ndarray:
  """L of the sets of one class: shares [S, D] of both signs -> [D]."""
  if variant == "formula":
    return np.maximum(above.mean(axis=0), below.mean(axis=0))
  shares = np.maximum(above, below)
  # One set after the other, as the authors add them: the last digit counts.
  total = np.zeros(shares.shape[1])
  for share in shares:
    total += share
  return total / (np.count_nonzero(shares, axis=0) + 1e-20)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
  """Indices of the largest values, in falling order; the first of equals."""
  least = np.partition(values, len(values) - count)[len(values) - count]
  candidates = np.flatnonzero(values >= least)
  order = np.argsort(-values[candidates], kind="stable")
  return candidates[order[:count]]


def checked_top_k(
  features: np.ndarray, top_k: Sequence[int]
) -> tuple[int, ...]:
  """Returns top_k if it and the features' shape and type can be used."""
  if not top_k or any(k != int(k) or k < 1 for k in top_k):
    raise errors.UsageError(
      f"top_k is {top_k}; expected numbers of units, such as (10, 25)"
    )
  if not isinstance(features, np.ndarray) or features.dtype.kind not in "fiu":
    kind = getattr(features, "dtype", type(features).__name__)
    raise errors.UsageError(
      f"features are {kind}; expected a NumPy array or memory map of numbers"
    )
  if features.ndim == 4:
    raise errors.UsageError(
      f"features have shape {features.shape}, a map [N, H, W, C]; average them "
      "over H and W first: features.mean(axis=(1, 2))"
    )
  if features.ndim != 2 or not features.size:
    raise errors.UsageError(
      f"features have shape {features.shape}; expected [N, D], one row for "
      "each image"
    )
  if features.shape[1] < max(top_k):
    raise errors.UsageError(
      f"top_k asks for {max(top_k)} units and the features have "
      f"{features.shape[1]}; give a top_k of at most {features.shape[1]}"
    )
  return tuple(int(k) for k in top_k)
