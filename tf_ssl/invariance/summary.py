"""A measurement in sentences, for terminals and reports."""

from tf_ssl.invariance import excluded, measurement


def lines(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> list[str]:
  """What a terminal shows of one list of sets."""
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
  for difference in result.differences:
    k = min(settings.top_k)
    text.append(in_words(result.title, difference, k, settings.confidence))
  text.extend(f"{result.title}: {loss}" for loss in excluded.sentences(result))
  return text


def is_decided(difference: measurement.Difference, k: int) -> bool:
  """Whether the interval tells which of two models is more invariant."""
  _, low, high, _ = difference.intervals[k]
  return not low <= 0 <= high


def in_words(
  title: str, difference: measurement.Difference, k: int, confidence: float
) -> str:
  """A paired comparison as a sentence.

  Args:
    title: of the invariance, such as "viewpoint".
    difference: of two models.
    k: number of units.
    confidence: of the interval.
  """
  one, other = difference.model, difference.other
  estimate, low, high, _ = difference.intervals[k]
  hyphened = title.replace(" ", "-")
  if not is_decided(difference, k):
    verdict = f"{one} and {other} cannot be told apart in {title} invariance"
  elif low > 0:
    verdict = f"{one} is more {hyphened}-invariant than {other}"
  else:
    verdict = f"{other} is more {hyphened}-invariant than {one}"
    estimate, low, high = -estimate, -high, -low
  return (
    f"{verdict}: {estimate:+.1f}, {confidence:.0%} {low:.1f}..{high:.1f}"
  ).replace("%", " %")
