"""Settings and results of a measurement of invariances."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import chance as chance_lib
from tf_ssl.invariance import cross_fitted as cross_fitted_lib
from tf_ssl.invariance import curve as curve_lib
from tf_ssl.invariance import decoding, firing, own_pictures
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.invariance import score as score_lib
from tf_ssl.invariance import strengths as strengths_lib
from tf_ssl.invariance import whole as whole_lib
from tf_ssl.models import image_model

_ANGLES = (10.0, 20.0, 30.0, 60.0, 90.0)


@dataclasses.dataclass(frozen=True)
class Measurement:
  """What to measure and how.

  Attributes:
    sets: lists of image sets, one for each invariance.
    top_k: numbers of units, K (Purushwalkam & Gupta 2020 report 10 and 25).
    variant: "code" or "formula", see `score.representation_invariance_score`.
    firing_fraction: share of images on which a unit fires; None for the
      variant's default.
    image_size: side in pixels to which images are resized; None for the size
      that each entry of `sets` gives.
    resamples: number of resamples of the intervals.
    confidence: confidence level of the intervals, between 0 and 1.
    permutations: number of permutations of the chance level.
    batch_size: images in a batch of feature extraction.
    max_skipped_fraction: largest share of unreadable images in an entry of
      `sets`.
    seed: seed of resamples and permutations.
    pictures: the user's own pictures whose versions are `sets`, see
      `settings_choice.of_pictures`; None for other sets.
  """

  sets: Sequence[invariance_sets.InvarianceSets]
  _: dataclasses.KW_ONLY
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
  pictures: own_pictures.OwnPictures | None = None

  def __post_init__(self):
    """Refuses values that would fail only after all images were read."""
    errors.require(
      self.sets, "there are no sets of images; expected at least one"
    )
    errors.require(
      self.top_k and all(k >= 1 for k in self.top_k),
      f"top_k is {self.top_k}; expected numbers of units, such as 10,25",
    )
    firing.check_rule(self.variant, self.firing_fraction)
    errors.require(
      self.image_size is None or self.image_size >= 2,
      f"image_size is {self.image_size}; expected at least 2 pixels",
    )
    errors.require(
      self.batch_size >= 1,
      f"batch_size is {self.batch_size}; expected at least 1",
    )
    errors.require(
      0 <= self.max_skipped_fraction <= 1,
      f"max_skipped_fraction is {self.max_skipped_fraction}; expected a share "
      "of the images between 0 and 1",
    )
    errors.require(
      self.permutations >= 1,
      f"permutations is {self.permutations}; the chance level needs at least 1",
    )
    intervals_lib.tails(self.resamples, self.confidence)

  @property
  def labels(self) -> tuple[str, ...]:
    """A name for each entry of `sets`: its invariance, where that is unique.

    Raises:
      UsageError: two entries have the same source and invariance.
    """
    names = [entry.invariance for entry in self.sets]
    if len(set(names)) != len(names):
      names = [f"{entry.source} {entry.invariance}" for entry in self.sets]
    errors.require(
      len(set(names)) == len(names),
      f"the sets are {', '.join(names)}; expected each of them once",
    )
    return tuple(names)


class ModelScore(NamedTuple):
  """How invariant one model is on one list of sets.

  Attributes:
    score: invariance score with its scores by class and unit.
    intervals: {K: Interval} over sets; None for a single set.
    chance: chance level of the score.
    curve: scores over ranges of the factor; empty if images have no factor.
    chance_curve: chance level of each point of `curve`.
    matched: the score at the width of the narrowest model, see `matched.at`.
    matched_intervals: {K: Interval} of `matched`; None for a single set.
    cross_fitted: score of units chosen on other sets; None if each class has
      one set.
    whole: invariance of all units together; None for a single set.
    decoded: share of the factor that can be predicted; None if images have no
      factor, or for fewer than 3 sets.
    background: {K: Interval}, percent of the score that is left without the
      object, see `background.share`; None if the backgrounds are unknown.
    strengths: scores by strength of the alteration; empty unless the sets are
      of the user's own pictures.
  """

  score: score_lib.InvarianceScore
  intervals: dict[int, intervals_lib.Interval] | None
  chance: chance_lib.ChanceScore
  curve: Sequence[curve_lib.CurvePoint]
  chance_curve: Sequence[curve_lib.CurvePoint]
  matched: score_lib.InvarianceScore
  matched_intervals: dict[int, intervals_lib.Interval] | None
  cross_fitted: cross_fitted_lib.CrossFitted | None
  whole: whole_lib.Whole | None
  decoded: decoding.Decoded | None
  background: dict[int, intervals_lib.Interval] | None
  strengths: Sequence[strengths_lib.StrengthPoint] = ()


class Difference(NamedTuple):
  """How much more invariant one model is than another: matched scores.

  Attributes:
    model: name of the one model.
    other: name of the other model.
    intervals: {K: Interval} of model - other, in percentage points.
  """

  model: str
  other: str
  intervals: dict[int, intervals_lib.Interval]

  def is_significant(self, k: int) -> bool:
    """Whether the interval of the top-k difference excludes 0."""
    interval = self.intervals[k]
    return not interval.low <= 0 <= interval.high


class SetsResult(NamedTuple):
  """All measurements on one list of sets; M of its images could be read.

  Attributes:
    label: name of the list, unique in the measurement.
    data: images and sets.
    digest: SHA-256 of the images and sets, see `InvarianceSets.digest`.
    image_size: side in pixels to which images were resized.
    index: [M] int64, numbers of the images that were read.
    unreadable: {name of an image: why it could not be read}.
    features: {name of a model: [M, D] float32}.
    models: {name of a model: its scores}.
    differences: differences of all pairs of models.
    images_per_second: speed of feature extraction; None if features were
      stored, or extracted for several lists at once.
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
  images_per_second: float | None = None

  @property
  def title(self) -> str:
    """The label with spaces, such as "illumination direction"."""
    return self.label.replace("_", " ")


class Results(NamedTuple):
  """A measurement of several models on several lists of sets.

  Attributes:
    settings: settings of the measurement.
    models: descriptions of the models, in the order given.
    sets: results by list of sets, in the order of `settings.sets`.
    command: command line of the measurement; may be empty.
  """

  settings: Measurement
  models: Sequence[image_model.Description]
  sets: Sequence[SetsResult]
  command: str


def curve_ranges(data: invariance_sets.InvarianceSets) -> tuple[float, ...]:
  """Ranges of the factor for a curve; empty without a factor.

  Empty for own pictures, too, whose scores are by strength.

  For degrees, fixed angles up to the range of the images. Otherwise a quarter,
  a half and three quarters of half the range of the values, since distances are
  measured from the middle.
  """
  if data.levels is not None or not np.isfinite(data.factor).all():
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
