"""What is measured, how, and what came out: settings and results."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import chance, firing_rule
from tf_ssl.invariance import curve as invariance_curve
from tf_ssl.invariance import intervals as bootstrap
from tf_ssl.invariance import score as invariance
from tf_ssl.models import image_model

_ANGLES = (10.0, 20.0, 30.0, 60.0, 90.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
  """What to measure and how.

  Attributes:
    sets: the images, in sets; one entry for each invariance.
    top_k: numbers of units (Purushwalkam & Gupta 2020 report 10 and 25).
    variant: "code" or "formula"; see `invariance`.
    firing_fraction: share of images on which a unit is to fire; None for the
      variant's own.
    image_size: pixels a side that images are brought to; None for that of each
      entry of `sets`.
    resamples: of the intervals.
    confidence: of the intervals, between 0 and 1.
    permutations: for the chance level.
    batch_size: images at once.
    max_skipped_fraction: of the images of a set list that may be unreadable.
    seed: of resamples and permutations.
  """

  sets: Sequence[invariance_sets.InvarianceSets]
  top_k: Sequence[int] = (10, 25)
  variant: str = "code"
  firing_fraction: float | None = None
  image_size: int | None = None
  resamples: int = 1000
  confidence: float = 0.95
  permutations: int = 5
  batch_size: int = 64
  max_skipped_fraction: float = 0.05
  seed: int = 0

  def __post_init__(self):
    """Refuses what would fail only after all images have been read."""
    if not self.sets:
      raise errors.UsageError(
        "there are no sets of images to measure on; expected at least one"
      )
    if not self.top_k or any(k < 1 for k in self.top_k):
      raise errors.UsageError(
        f"top_k is {self.top_k}; expected numbers of units, such as 10,25"
      )
    if self.variant not in firing_rule.VARIANTS:
      raise errors.UsageError(
        f"variant is {self.variant!r}; expected one of "
        f"{', '.join(firing_rule.VARIANTS)}"
      )
    if self.image_size is not None and self.image_size < 2:
      raise errors.UsageError(
        f"image_size is {self.image_size}; expected at least 2 pixels"
      )
    if self.batch_size < 1:
      raise errors.UsageError(
        f"batch_size is {self.batch_size}; expected at least 1"
      )
    if not 0 <= self.max_skipped_fraction <= 1:
      raise errors.UsageError(
        f"max_skipped_fraction is {self.max_skipped_fraction}; expected a share"
        " of the images between 0 and 1"
      )
    firing_rule.check_fraction(self.firing_fraction)
    if self.permutations < 1:
      raise errors.UsageError(
        f"permutations is {self.permutations}; the chance level needs at least "
        "1"
      )
    if self.resamples < 2 or not 0 < self.confidence < 1:
      raise errors.UsageError(
        f"resamples is {self.resamples} and confidence {self.confidence}; "
        "expected at least 2 resamples and a confidence between 0 and 1"
      )

  @property
  def labels(self) -> tuple[str, ...]:
    """A name for each entry of `sets`: its invariance, where that is unique.

    Raises:
      UsageError: two entries have the same source and invariance.
    """
    names = [entry.invariance for entry in self.sets]
    if len(set(names)) != len(names):
      names = [f"{entry.source} {entry.invariance}" for entry in self.sets]
    if len(set(names)) != len(names):
      raise errors.UsageError(
        f"the sets are {', '.join(names)}; expected each of them once"
      )
    return tuple(names)


class ModelScore(NamedTuple):
  """How invariant one model is on one list of sets.

  Attributes:
    score: with per-class scores and top units.
    intervals: {K: Interval}; None for a single set.
    chance: the level of sets that mean nothing.
    curve: over the factor's range; empty where images have no factor.
    chance_curve: the same of images dealt to sets at random.
  """

  score: invariance.InvarianceScore
  intervals: dict[int, bootstrap.Interval] | None
  chance: chance.ChanceScore
  curve: Sequence[invariance_curve.CurvePoint]
  chance_curve: Sequence[invariance_curve.CurvePoint]


class Difference(NamedTuple):
  """How much more invariant one model is than another.

  Attributes:
    model: the one.
    other: the other.
    intervals: {K: Interval} of model - other, in points.
  """

  model: str
  other: str
  intervals: dict[int, bootstrap.Interval]


class SetsResult(NamedTuple):
  """All that was measured on one list of sets; M images could be read.

  Attributes:
    label: its name among the others.
    data: the images and sets.
    digest: of the images and sets; see `InvarianceSets.digest`.
    image_size: pixels a side that images were brought to.
    index: [M] int64, which of the images were read.
    unreadable: from names of images to why they could not be read.
    features: from a model's name to [M, D] float32.
    models: from a model's name to what was measured.
    differences: of all pairs of models.
  """

  label: str
  data: invariance_sets.InvarianceSets
  digest: str
  image_size: int
  index: np.ndarray
  unreadable: Mapping[str, str]
  features: Mapping[str, np.ndarray]
  models: Mapping[str, ModelScore]
  differences: Sequence[Difference]

  @property
  def title(self) -> str:
    """The label for people: "illumination direction"."""
    return self.label.replace("_", " ")


class Results(NamedTuple):
  """A whole measurement.

  Attributes:
    settings: how it was measured.
    models: descriptions, in the order given.
    sets: results, in the order of `settings.sets`.
    command: with which it was made; may be empty.
  """

  settings: Measurement
  models: Sequence[image_model.Description]
  sets: Sequence[SetsResult]
  command: str


def curve_ranges(data: invariance_sets.InvarianceSets) -> tuple[float, ...]:
  """Ranges of the factor that a curve goes over; empty without a factor.

  Degrees: the usual angles, as far as the images go. Everything else: shares of
  half of the way from the least value to the greatest, as distances are from
  the middle.
  """
  if not np.isfinite(data.factor).all():
    return ()
  reach = float(np.ptp(data.factor)) / 2
  if not reach:
    return ()
  if data.factor_unit == "degrees":
    return (*(angle for angle in _ANGLES if angle < reach), math.inf)
  return (
    *(float(f"{reach * share:.2g}") for share in (0.25, 0.5, 0.75)),
    math.inf,
  )
