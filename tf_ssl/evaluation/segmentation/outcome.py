"""Results, tables and notes of segmentation runs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl.evaluation import protocol, seeds
from tf_ssl.evaluation.segmentation import mask_check, metrics

_PICTURE = "predictions.png"


class Run(NamedTuple):
  """One run.

  Attributes:
    seed: seed of the run.
    loss: last training loss; None if training had finished in an earlier call.
    scores: scores on the test images.
    picture: path of the PNG file with some of its predictions.
  """

  seed: int
  loss: float | None
  scores: metrics.Scores
  picture: str


def class_names(train: mask_check.Checked) -> tuple[str, ...]:
  """Names of the classes, made from their ids if they have none."""
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
  """Makes the outcome of all runs.

  Args:
    runs: one run per seed; the predictions of the first one are shown.
    names: [C] names of the classes.
    checked: {"train" or "test": checked images}.
    title: title of the report.
    settings: settings of the protocol, JSON values.
    data: {role: fingerprint of the images}.
    notes: notes for the report, to which this adds its own.
  """
  scores = [run.scores for run in runs]
  repeated = seeds.Repetitions(
    [str(run.seed) for run in runs],
    [
      {
        "mean_iou_percent": 100 * each.mean_iou,
        "pixel_accuracy_percent": 100 * each.pixel_accuracy,
      }
      for each in scores
    ],
  )
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
    results=repeated.results(),
    details={
      **repeated.details(),
      "by_seed": [
        {"seed": run.seed, "loss": run.loss, **values}
        | {"iou_percent": [_number(100 * value) for value in run.scores.iou]}
        for run, values in zip(runs, repeated.values, strict=True)
      ],
      "iou_percent": dict(zip(names, by_class, strict=True)),
    },
    tables=[
      repeated.table(
        "By seed",
        {
          "mean_iou_percent": "mean IoU, %",
          "pixel_accuracy_percent": "pixel accuracy, %",
        },
        extra={"last training loss": [run.loss for run in runs]},
      ),
      _by_class(names, by_class, checked),
    ],
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


def _number(value: float) -> float | None:
  return None if np.isnan(value) else float(value)


def _mean(values: Sequence[float]) -> float | None:
  """Mean over the seeds in which a class occurs."""
  values = [float(value) for value in values if not np.isnan(value)]
  return float(np.mean(values)) if values else None


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
