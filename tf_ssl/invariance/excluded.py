"""What a measurement left out or counts as 0, in words: none is silent."""

from collections.abc import Iterable

import numpy as np

from tf_ssl.invariance import measurement

_NAMED = 5  # of each kind


def sentences(result: measurement.SetsResult) -> list[str]:
  """Everything that was not measured as it should have been; often nothing."""
  first = next(iter(result.models.values()))
  found = [
    f"{len(names)} left out by the reader: {reason} ({_some(names)})"
    for reason, names in result.data.skipped.items()
  ]
  if result.unreadable:
    named = [f"{name}: {why}" for name, why in result.unreadable.items()]
    found.append(
      f"{len(named)} of {result.data.images.num_images} images could not be "
      f"read and were left out ({_some(named)})"
    )
  sets = first.score.sets
  if sets.num_skipped:
    found.append(
      f"{sets.num_skipped} sets with fewer than 3 images count for the global "
      "firing rate only"
    )
  empty = int((sets.sets_of_class == 0).sum())
  if empty:
    effect = "count as 0" if first.score.variant == "code" else "are left out"
    found.append(f"{empty} classes have no set of 3 images and {effect}")
  if first.intervals is None:
    found.append("there is a single set: no interval over sets can be given")
  for name, of_model in result.models.items():
    found.extend(_of_model(name, of_model))
  return found


def _of_model(name: str, found: measurement.ModelScore) -> Iterable[str]:
  score = found.score
  num_units = len(score.rates)
  if len(score.constant_units):
    yield (
      f"{len(score.constant_units)} of {num_units} units of {name} have one "
      "value for all images; they never fire"
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


def _some(names: Iterable[str]) -> str:
  names = list(names)
  return "; ".join(names[:_NAMED]) + ("; ..." if len(names) > _NAMED else "")
