"""What a segmentation measured, as results, tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.segmentation import mask_check, metrics
from tf_ssl.reporting import statistics

_PICTURE = "predictions.png"


class Run(NamedTuple):
  """One run.

  Attributes:
    seed: of it.
    loss: the last of training; None where that was done before.
    scores: on the test images.
    picture: the PNG with some of its predictions.
  """

  seed: int
  loss: float | None
  scores: metrics.Scores
  picture: str


def class_names(train: mask_check.Checked) -> tuple[str, ...]:
  """The names of the classes; their ids where they have none."""
  if train.data.class_names:
    return train.data.class_names
  ids = train.data.class_ids or range(train.num_classes)
  return tuple(f"class {number}" for number in ids)


def outcome(
  runs: Sequence[Run],
  names: Sequence[str],
  checked: Mapping[str, mask_check.Checked],
  *,
  title: str,
  settings: Mapping[str, Any],
  data: Mapping[str, Mapping[str, Any]],
  notes: Sequence[str],
) -> protocol.Outcome:
  """Puts everything together.

  Args:
    runs: one for each seed; the first one's predictions are shown.
    names: of the classes, [C].
    checked: "train" and "test".
    title: of the report.
    settings: see `protocol.Outcome`.
    data: the same.
    notes: the same; some are added.
  """
  scores = [run.scores for run in runs]
  headline = {
    "mean_iou_percent": [100 * each.mean_iou for each in scores],
    "pixel_accuracy_percent": [100 * each.pixel_accuracy for each in scores],
  }
  intervals = {
    name: statistics.mean_interval(values) for name, values in headline.items()
  }
  by_class = [
    _mean([100 * each.iou[number] for each in scores])
    for number in range(len(names))
  ]
  with open(runs[0].picture, "rb") as file:
    picture = file.read()
  return protocol.Outcome(
    protocol="segmentation",
    title=title,
    settings=settings,
    data=data,
    results={name: each.mean for name, each in intervals.items()},
    details={
      "intervals_95": {name: list(each) for name, each in intervals.items()},
      "by_seed": [_details(run) for run in runs],
      "iou_percent": dict(zip(names, by_class, strict=True)),
    },
    tables=[_by_seed(runs, intervals), _by_class(names, by_class, checked)],
    pictures={_PICTURE: picture},
    skipped={
      f"{role}/{name}": reason
      for role, found in checked.items()
      for name, reason in found.skipped.items()
    },
    notes=[*notes, *_notes(by_class, checked)],
  )


def _notes(by_class, checked) -> list[str]:
  notes = []
  absent = sum(value is None for value in by_class)
  if absent:
    notes.append(
      f"{absent} of {len(by_class)} classes are neither in the test masks nor "
      "predicted, and do not count in the mean"
    )
  unseen = int((checked["train"].pixels == 0).sum())
  if unseen:
    notes.append(f"{unseen} of {len(by_class)} classes are in no train mask")
  return notes


def _details(run: Run) -> dict[str, Any]:
  return {
    "seed": run.seed,
    "loss": run.loss,
    "mean_iou_percent": 100 * run.scores.mean_iou,
    "pixel_accuracy_percent": 100 * run.scores.pixel_accuracy,
    "iou_percent": [
      None if np.isnan(value) else 100 * value
      for value in run.scores.iou.tolist()
    ],
  }


def _mean(values: Sequence[float]) -> float | None:
  """Of those seeds in which a class occurs."""
  values = [float(value) for value in values if not np.isnan(value)]
  return float(np.mean(values)) if values else None


def _by_seed(
  runs: Sequence[Run], intervals: Mapping[str, statistics.MeanInterval]
) -> protocol.Table:
  rows = [
    [
      str(run.seed),
      100 * run.scores.mean_iou,
      100 * run.scores.pixel_accuracy,
      run.loss,
    ]
    for run in runs
  ]
  if len(runs) > 1:
    for what, label in (
      ("mean", "mean"),
      ("low", "95 % interval, low"),
      ("high", "95 % interval, high"),
    ):
      values = [getattr(each, what) for each in intervals.values()]
      rows.append([label, *values, None])
  columns = ["seed", "mean IoU, %", "pixel accuracy, %", "last training loss"]
  return protocol.Table("By seed", columns, rows)


def _by_class(
  names: Sequence[str],
  by_class: Sequence[float | None],
  checked: Mapping[str, mask_check.Checked],
) -> protocol.Table:
  shares = [
    100 * checked[role].pixels / checked[role].pixels.sum()
    for role in ("train", "test")
  ]
  rows = [
    [name, value, float(shares[0][i]), float(shares[1][i])]
    for i, (name, value) in enumerate(zip(names, by_class, strict=True))
  ]
  columns = ["class", "IoU, %", "of train pixels, %", "of test pixels, %"]
  return protocol.Table("By class, mean over seeds", columns, rows)
