"""What a detector measured, as results, tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.detection import coco_metrics
from tf_ssl.reporting import statistics

_PICTURE = "detections.png"


class Run(NamedTuple):
  """One run.

  Attributes:
    seed: of it.
    result: as `detection.run.Runs.run` gives it.
    picture: the PNG with some of its detections.
  """

  seed: int
  result: Mapping[str, Any]
  picture: str


def headline(overall: Mapping[str, float | None]) -> str:
  """AP, AP50 and AP75 in one line."""
  return ", ".join(
    f"{name} {100 * overall[name]:.2f} %"
    for name in coco_metrics.NAMES[:3]
    if overall[name] is not None
  )


def outcome(
  runs: Sequence[Run],
  train: annotations_lib.Annotations,
  test: annotations_lib.Annotations,
  *,
  title: str,
  settings: Mapping[str, Any],
  data: Mapping[str, Mapping[str, Any]],
  skipped: Mapping[str, str],
  notes: Sequence[str],
) -> protocol.Outcome:
  """Puts everything together.

  Args:
    runs: one for each seed; the first one's detections are shown.
    train: images and boxes that were trained on.
    test: those that were tested with.
    title: of the report.
    settings: see `protocol.Outcome`.
    data: the same.
    skipped: the same; what the runs left out is added.
    notes: the same; some are added.
  """
  intervals = {}
  for name in coco_metrics.NAMES:
    values = [run.result["overall"][name] for run in runs]
    if None not in values:
      intervals[f"{name}_percent"] = statistics.mean_interval(
        [100 * value for value in values]
      )
  by_class = {
    name: _mean([run.result["by_class"][name] for run in runs])
    for name in test.class_names
  }
  with open(runs[0].picture, "rb") as file:
    picture = file.read()
  for run in runs:
    skipped = {**skipped, **run.result["skipped"]}
  return protocol.Outcome(
    protocol="detection",
    title=title,
    settings=settings,
    data=data,
    results={name: each.mean for name, each in intervals.items()},
    details={
      "intervals_95": {name: list(each) for name, each in intervals.items()},
      "by_seed": [
        {"seed": run.seed, **run.result, "skipped": len(run.result["skipped"])}
        for run in runs
      ],
      "AP_percent_by_class": by_class,
      "tested_images": [run.result["tested"] for run in runs],
    },
    tables=[
      _by_seed(runs, intervals),
      _by_class(by_class, train, test),
    ],
    pictures={_PICTURE: picture},
    skipped=skipped,
    notes=[*notes, *_notes(intervals, by_class, train, test)],
  )


def _notes(intervals, by_class, train, test) -> list[str]:
  notes = []
  missing = [n for n in coco_metrics.NAMES if f"{n}_percent" not in intervals]
  if missing:
    notes.append(
      f"no test object is of the size that {', '.join(missing)} are about"
    )
  absent = sum(value is None for value in by_class.values())
  if absent:
    notes.append(
      f"{absent} of {len(by_class)} classes have no object in the test images, "
      "and do not count in AP"
    )
  known = set(train.class_ids[~(train.crowd | train.difficult)].tolist())
  unseen = len(set(test.class_ids.tolist()) - known)
  if unseen:
    notes.append(f"{unseen} classes of test objects are in no train image")
  return notes


def _mean(values: Sequence[float | None]) -> float | None:
  """In percent; of those seeds in which a class occurs."""
  values = [value for value in values if value is not None]
  return 100 * float(np.mean(values)) if values else None


def _by_seed(
  runs: Sequence[Run], intervals: Mapping[str, statistics.MeanInterval]
) -> protocol.Table:
  names = [
    name for name in coco_metrics.NAMES if f"{name}_percent" in intervals
  ]
  rows = [
    [
      str(run.seed),
      *(100 * run.result["overall"][name] for name in names),
      run.result["loss"],
    ]
    for run in runs
  ]
  if len(runs) > 1:
    for what in ("mean", "low", "high"):
      label = what if what == "mean" else f"95 % interval, {what}"
      rows.append(
        [label, *(getattr(each, what) for each in intervals.values()), None]
      )
  columns = ["seed", *(f"{name}, %" for name in names), "last training loss"]
  return protocol.Table("By seed", columns, rows)


def _by_class(
  by_class: Mapping[str, float | None],
  train: annotations_lib.Annotations,
  test: annotations_lib.Annotations,
) -> protocol.Table:
  counts = [
    np.bincount(
      each.class_ids[~each.crowd], minlength=len(each.class_names)
    ).tolist()
    for each in (train, test)
  ]
  rows = [
    [name, value, *count]
    for (name, value), count in zip(
      by_class.items(), zip(*counts, strict=True), strict=True
    )
    if any(count)
  ]
  rows.sort(key=lambda row: (row[1] is None, -(row[1] or 0.0)))
  columns = ["class", "AP, %", "train objects", "test objects"]
  return protocol.Table("By class", columns, rows)
