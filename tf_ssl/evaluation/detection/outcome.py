"""Results, tables and notes of detection runs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.evaluation import protocol, seeds
from tf_ssl.evaluation.detection import coco_metrics

_PICTURE = "detections.png"


class Run(NamedTuple):
  """One run.

  Attributes:
    seed: seed of the run.
    result: JSON values: "overall", "by_class", "loss", "skipped" and "tested".
    picture: path of the PNG file with some of its detections.
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
  """Makes the outcome of all runs.

  Args:
    runs: one run per seed; the detections of the first one are shown.
    train: training images with boxes.
    test: test images with boxes.
    title: title of the report.
    settings: settings of the protocol, JSON values.
    data: {role: fingerprint of the images}.
    skipped: {name of a skipped image: reason}, to which this adds those that
      the runs skipped.
    notes: notes for the report, to which this adds its own.
  """
  repeated = seeds.Repetitions(
    [str(run.seed) for run in runs],
    [
      {
        f"{name}_percent": _percent(run.result["overall"][name])
        for name in coco_metrics.NAMES
      }
      for run in runs
    ],
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
    results=repeated.results(),
    details={
      **repeated.details(),
      "by_seed": [
        {"seed": run.seed, **run.result, "skipped": len(run.result["skipped"])}
        for run in runs
      ],
      "AP_percent_by_class": by_class,
      "tested_images": [run.result["tested"] for run in runs],
    },
    tables=[
      repeated.table(
        "By seed",
        {f"{name}_percent": f"{name}, %" for name in coco_metrics.NAMES},
        extra={"last training loss": [run.result["loss"] for run in runs]},
      ),
      _by_class(by_class, train, test),
    ],
    pictures={_PICTURE: picture},
    skipped=skipped,
    notes=[*notes, *_notes(repeated.results(), by_class, train, test)],
  )


def _notes(results, by_class, train, test) -> list[str]:
  notes = []
  missing = [n for n in coco_metrics.NAMES if f"{n}_percent" not in results]
  if missing:
    notes.append(f"no test object has the size for {', '.join(missing)}")
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


def _percent(share: float | None) -> float | None:
  return None if share is None else 100 * share


def _mean(values: Sequence[float | None]) -> float | None:
  """Mean in percent over the seeds in which a class occurs."""
  values = [value for value in values if value is not None]
  return 100 * float(np.mean(values)) if values else None


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
