"""The scores beside the paper's, as columns of a table."""

from collections.abc import Callable
from typing import NamedTuple

from tf_ssl.invariance import intervals, measurement

_CLEARLY = 0.1  # Of R², above that of permuted values.


class Cell(NamedTuple):
  """A value and what it is to be compared with.

  Attributes:
    value: value as text, with its interval.
    beside: chance level or the like as text; may be empty.
  """

  value: str
  beside: str = ""


class Column(NamedTuple):
  """One score.

  Attributes:
    title: name of the score.
    sentence: what it adds to the paper's score.
    cell: function from a model's scores and K to the cell.
  """

  title: str
  sentence: str
  cell: Callable[[measurement.ModelScore, int], Cell]


def _of_paper(found: measurement.ModelScore, k: int) -> Cell:
  return Cell(
    _percent(found.score.scores[k], (found.intervals or {}).get(k)),
    f"chance {found.chance.scores[k]:.1f}",
  )


def _matched(found: measurement.ModelScore, k: int) -> Cell:
  return Cell(
    _percent(found.matched.scores[k], (found.matched_intervals or {}).get(k)),
    f"chance {found.chance.matched[k]:.1f}",
  )


def _cross_fitted(found: measurement.ModelScore, k: int) -> Cell:
  fitted = found.cross_fitted
  if fitted is None:
    return Cell("–", "one set per class")
  return Cell(
    _percent(fitted.scores[k], fitted.intervals[k]),
    f"chance {fitted.chance[k]:.1f}",
  )


def _correlation(found: measurement.ModelScore, _: int) -> Cell:
  whole = found.whole
  if whole is None:
    return Cell("–", "a single set")
  ends = f"{whole.correlation_low:.2f}..{whole.correlation_high:.2f}"
  return Cell(
    f"{whole.correlation:.2f} ({ends})",
    f"median unit {whole.median_correlation:.2f}",
  )


def _reidentified(found: measurement.ModelScore, _: int) -> Cell:
  whole = found.whole
  if whole is None:
    return Cell("–", "a single set")
  return Cell(
    _percent(whole.reidentified.estimate, whole.reidentified),
    f"chance {whole.chance:.1f}",
  )


def _decoded(found: measurement.ModelScore, k: int) -> Cell:
  decoded = found.decoded
  if decoded is None:
    return Cell("–", "no values")
  return Cell(
    f"{decoded.r2:.2f} ({decoded.low:.2f}..{decoded.high:.2f})",
    f"permuted {decoded.permuted:.2f}: {verdict(found, k)}",
  )


def _background(found: measurement.ModelScore, k: int) -> Cell:
  if found.background is None:
    return Cell("–", "unknown")
  share, low, high, _ = found.background[k]
  return Cell(f"{share:.0f} % ({low:.0f}..{high:.0f})", "of the score")


def verdict(found: measurement.ModelScore, k: int) -> str:
  """Whether the factor is lost or kept, in a word; "" without its values.

  "equivariant (R² 0.8)" if it can be predicted: the interval of R² lies more
  than 0.1 above R² for permuted values. Otherwise "invariant" if the score is
  at least half-way from chance to 100 %, cross-fitted where that is defined,
  and "neither" if not.
  """
  decoded = found.decoded
  if decoded is None:
    return ""
  if decoded.low > decoded.permuted + _CLEARLY:
    return f"equivariant (R² {decoded.r2:.1f})"
  score, chance = found.score.scores[k], found.chance.scores[k]
  if found.cross_fitted:
    score, chance = found.cross_fitted.scores[k], found.cross_fitted.chance[k]
  return "invariant" if score - chance >= (100 - chance) / 2 else "neither"


def _percent(value: float, interval: intervals.Interval | None) -> str:
  if interval is None:
    return f"{value:.1f}"
  return f"{value:.1f} ({interval.low:.1f}..{interval.high:.1f})"


COLUMNS = (
  Column(
    "Score",
    "The Top-K score of Purushwalkam & Gupta 2020; it rises with the number of "
    "units, because the best K of more units are chosen.",
    _of_paper,
  ),
  Column(
    "Matched",
    "All models at the number of units of the narrowest: the mean score over "
    "all subsets of so many units. Compare models of different width by it, as "
    "the differences do.",
    _matched,
  ),
  Column(
    "Cross-fitted",
    "Units are chosen on one half of each class's sets and scored on the other "
    "half, both ways, in 20 random splits: the choice can no longer gain from "
    "chance, and the chance level follows from the rate at which the chosen "
    "units fire.",
    _cross_fitted,
  ),
  Column(
    "Correlation",
    "All units instead of the best K: the share of their variance that lies "
    "between sets (intraclass correlation, 0 to 1); 1 if no unit changes "
    "within a set, 0 if images of a set are no more alike than others.",
    _correlation,
  ),
  Column(
    "Re-identified",
    "All units together: percent of the images whose nearest neighbor among "
    "all others is of the same set, which needs units that differ between sets "
    "as well as units that stay within one.",
    _reidentified,
  ),
  Column(
    "Decoded, R²",
    "Is the factor lost or kept? R² of a cross-validated ridge regression from "
    "the features to the factor, for objects that it has not seen, beside R² "
    "for values permuted within sets. Equivariant: clearly above that. "
    "Invariant: not, and the score is high. Neither: the factor moves the "
    "units in a way that a linear map cannot read.",
    _decoded,
  ),
  Column(
    "Background",
    "Share of the score that is left when the object is removed and only the "
    "images count on which a unit fires with and without it: 100 % for units "
    "that see only the background.",
    _background,
  ),
)
