"""Sentences about a measurement, for terminals and reports."""

from collections.abc import Iterable

import numpy as np

from tf_ssl.invariance import further, measurement
from tf_ssl.ops import names

_NAMES = 5  # Images named in one sentence.
# Scores above it, in percent, leave no room for differences between models.
CEILING = 90.0
CEILING_SENTENCE = (
  f"at the ceiling: every model scores {CEILING:g} or more, so this factor "
  "tells nothing about them; untrained encoders may score as high"
)
_FULL = 100 - 1e-9  # 100 % but for rounding.


def lines(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> list[str]:
  """Lines for the terminal: scores, differences and exclusions."""
  text = []
  for name, found in result.models.items():
    values = []
    for k, value in found.score.scores.items():
      interval = ""
      if found.intervals is not None:
        low, high = found.intervals[k].low, found.intervals[k].high
        interval = f" ({low:.1f}..{high:.1f})"
      values.append(
        f"top {k}: {value:.1f}{interval}, chance {found.chance.scores[k]:.1f}"
      )
    text.append(f"{result.title}: {name}: {'; '.join(values)}")
  k = min(settings.top_k)
  for name, found in result.models.items():
    text.append(f"{result.title}: {name}: {further_scores(found, k)}")
  for difference in result.differences:
    text.append(comparison(result.title, difference, k, settings.confidence))
  if at_ceiling(result, k):
    text.append(f"{result.title}: {CEILING_SENTENCE}")
  text.extend(f"{result.title}: {line}" for line in exclusions(result))
  return text


def at_ceiling(result: measurement.SetsResult, k: int) -> bool:
  """Whether all models score so high that the factor does not tell them apart.

  Args:
    result: scores of the models on one list of sets.
    k: number of units, K.
  """
  scores = [found.score.scores[k] for found in result.models.values()]
  return min(scores) >= CEILING


def further_scores(found: measurement.ModelScore, k: int) -> str:
  """The scores beside the paper's at K, as far as they are defined."""
  parts = []
  if found.matched is not found.score:
    units = found.matched.subset_units
    parts.append(f"at {units} units {found.matched.scores[k]:.1f}")
  if found.cross_fitted:
    score, chance = found.cross_fitted.scores[k], found.cross_fitted.chance[k]
    parts.append(f"cross-fitted {score:.1f}, chance {chance:.1f}")
  if found.whole:
    share = found.whole.reidentified.estimate
    parts.append(f"correlation {found.whole.correlation:.2f}")
    parts.append(
      f"re-identified {share:.1f} %, chance {found.whole.chance:.1f}"
    )
  if found.decoded:
    parts.append(f"R² {found.decoded.r2:.2f}: {further.verdict(found, k)}")
  if found.background:
    share = found.background[k].estimate
    parts.append(f"background alone {share:.0f} % of the score")
  return "; ".join(parts) or "one set, no further scores"


def comparison(
  title: str, difference: measurement.Difference, k: int, confidence: float
) -> str:
  """A paired comparison of two models as a sentence.

  Args:
    title: name of the invariance, such as "viewpoint".
    difference: difference of the two models.
    k: number of units, K.
    confidence: confidence level of the interval.
  """
  one, other = difference.model, difference.other
  estimate, low, high, _ = difference.intervals[k]
  if not difference.is_significant(k):
    verdict = (
      f"no significant difference in {title} invariance between {one} and "
      f"{other}"
    )
  else:
    if low < 0:
      one, other = other, one
      estimate, low, high = -estimate, -high, -low
    verdict = f"{one} is more {title.replace(' ', '-')}-invariant than {other}"
  return (
    f"{verdict}: {estimate:+.1f}, {confidence:.0%} {low:.1f}..{high:.1f}"
  ).replace("%", " %")


def exclusions(result: measurement.SetsResult) -> list[str]:
  """Sentences about what is excluded or counts as 0, and about full scores."""
  first = next(iter(result.models.values()))
  found = [
    f"{len(who)} skipped by the reader: {reason} ({names.listed(who, _NAMES)})"
    for reason, who in result.data.skipped.items()
  ]
  if result.unreadable:
    named = [f"{name}: {why}" for name, why in result.unreadable.items()]
    images = f"{result.data.images.num_images} images"
    if result.data.levels is not None:
      images = f"{len(result.data.set_names)} pictures"
    found.append(
      f"{len(named)} of {images} could not be read and were skipped "
      f"({names.listed(named, _NAMES)})"
    )
  sets = first.score.sets
  least = sets.min_images
  if sets.num_skipped:
    found.append(
      f"{sets.num_skipped} sets with fewer than {least} images count for the "
      "global firing rate only"
    )
  empty = int((sets.sets_of_class == 0).sum())
  if empty:
    effect = "count as 0" if first.score.variant == "code" else "are excluded"
    found.append(f"{empty} classes have no set of {least} images and {effect}")
  if first.intervals is None:
    found.append("there is a single set, so there is no interval over sets")
  for name, of_model in result.models.items():
    found.extend(_silent(name, of_model))
  return found


def _silent(name: str, found: measurement.ModelScore) -> Iterable[str]:
  """Sentences about a full score, and what counts as 0, of one model."""
  score = found.score
  if min(score.scores.values()) >= _FULL:
    yield (
      f"the score of {name} is exactly 100 % for every K: check that the sets "
      "do not consist of copies of one image"
    )
  num_units = len(score.rates)
  if len(score.constant_units):
    yield (
      f"{len(score.constant_units)} of {num_units} units of {name} have one "
      "value for all images and never fire"
    )
  if len(score.silent_units):
    yield (
      f"{len(score.silent_units)} of {num_units} units of {name} fire on no "
      "image of a set, because many images share their extreme values"
    )
  best = score.class_scores[min(score.class_scores)]
  none = np.flatnonzero((best == 0) & (score.sets.sets_of_class > 0))
  if len(none):
    yield (
      f"no unit of {name} fires on any image of {len(none)} of "
      f"{len(score.sets.classes)} classes, which count as 0"
    )
