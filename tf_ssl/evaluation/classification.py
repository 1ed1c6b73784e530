"""What all protocols say that end in guesses of classes.

Top-1, top-5, the accuracy of each class, and which classes are taken for which,
over one or several repetitions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from tf_ssl.evaluation import confusion_chart, predictions, protocol
from tf_ssl.reporting import statistics

_TOP = 5
_CONFIDENCE = 0.95
_MISTAKES = 10  # pairs of classes that the page lists
_WHOLE_MATRIX = 100  # classes up to which report.json has all counts
PICTURE_FILE = "confusion.png"


class Findings(NamedTuple):
  """Parts of a `protocol.Outcome`.

  Attributes:
    results: top1_percent, top5_percent (of more than five classes) and
      mean_per_class_percent: means over repetitions.
    details: by class, by repetition, intervals, counts.
    tables: the hardest classes, the most frequent mistakes.
    pictures: the confusion matrix.
    notes: intervals, in words.
  """

  results: dict[str, float]
  details: dict[str, Any]
  tables: list[protocol.Table]
  pictures: dict[str, bytes]
  notes: list[str]


def measures(
  found: predictions.Guesses, labels: np.ndarray, num_classes: int
) -> dict[str, float]:
  """The headline numbers of one repetition; see `Findings.results`."""
  counts = predictions.confusion(found.best, labels, num_classes)
  values = {"top1_percent": 100 * found.accuracy()}
  if num_classes > _TOP:
    values[f"top{_TOP}_percent"] = 100 * found.accuracy(_TOP)
  values["mean_per_class_percent"] = float(np.nanmean(_by_class(counts)))
  return values


def findings(
  found: Sequence[predictions.Guesses],
  labels: np.ndarray,
  class_names: Sequence[str],
  *,
  names: Sequence[str] = (),
) -> Findings:
  """Describes guesses.

  Args:
    found: of each repetition.
    labels: [M] int, 0..C-1, of the test images.
    class_names: C.
    names: of the repetitions, such as "seed 0"; only where there are several.
  """
  number = len(class_names)
  each = [measures(one, labels, number) for one in found]
  counts = sum(predictions.confusion(one.best, labels, number) for one in found)
  by_class = _by_class(counts)
  over = {
    name: statistics.mean_interval([values[name] for values in each])
    for name in each[0]
  }
  interval = _sampling_interval(over["top1_percent"].mean, len(labels))
  details = {
    "test_images": len(labels),
    "per_class_percent": dict(zip(class_names, by_class, strict=True)),
    "sampling_interval": {"top1_percent": interval},
  }
  if number <= _WHOLE_MATRIX:
    details["confusion"] = counts
  notes = [_sampling_note(interval, len(labels))]
  if len(found) > 1:
    details["repetitions"] = dict(zip(names, each, strict=True))
    details["intervals_95"] = {k: list(v) for k, v in over.items()}
    notes.append(_repetition_note(over["top1_percent"], len(found)))
  unseen = [
    name
    for name, share in zip(class_names, by_class, strict=True)
    if np.isnan(share)
  ]
  if unseen:
    notes.append(
      f"no test image of {len(unseen)} classes could be read: "
      f"{', '.join(unseen[:5])}"
    )
  return Findings(
    {name: value.mean for name, value in over.items()},
    details,
    [
      _hardest(by_class, counts, class_names, len(found)),
      _mistakes(counts, class_names),
    ],
    {PICTURE_FILE: confusion_chart.picture(counts, class_names)},
    notes,
  )


def _by_class(counts: np.ndarray) -> np.ndarray:
  """[C] accuracies in percent; NaN of a class without test images."""
  totals = counts.sum(axis=1)
  right = 100.0 * np.diagonal(counts)
  return np.divide(
    right, totals, out=np.full(len(counts), np.nan), where=totals > 0
  )


def _sampling_interval(percent: float, number: int) -> dict[str, float]:
  """Wilson's interval of a share of `number` images."""
  found = stats.binomtest(round(percent / 100 * number), number).proportion_ci(
    _CONFIDENCE, method="wilson"
  )
  return {"low": 100 * found.low, "high": 100 * found.high}


def _sampling_note(interval: dict[str, float], number: int) -> str:
  return (
    f"with {number} other test images top-1 would lie between "
    f"{interval['low']:.1f} and {interval['high']:.1f} % (95 %, Wilson); the "
    "same test images for two models make their difference surer than that"
  )


def _repetition_note(over: statistics.MeanInterval, number: int) -> str:
  return (
    f"mean of {number} seeds; 95 % interval of the mean of top-1 over seeds "
    f"{over.low:.2f} to {over.high:.2f} % (Student)"
  )


def _hardest(by_class, counts, class_names, repeated) -> protocol.Table:
  order = np.argsort(by_class, kind="stable")
  totals = counts.sum(axis=1) // repeated
  return protocol.Table(
    "Classes, the hardest first",
    ["class", "top-1, %", "test images"],
    [[class_names[i], by_class[i], int(totals[i])] for i in order],
  )


def _mistakes(counts, class_names) -> protocol.Table:
  totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
  shares = 100.0 * counts / totals
  np.fill_diagonal(shares, 0.0)
  order = np.argsort(-shares, axis=None, kind="stable")[:_MISTAKES]
  rows = [
    [class_names[i], class_names[j], shares[i, j]]
    for i, j in zip(*np.unravel_index(order, shares.shape), strict=True)
    if shares[i, j]
  ]
  return protocol.Table(
    "Most frequent mistakes",
    ["true class", "taken for", "% of the class"],
    rows,
  )
