"""Results, table and chart of fine-tuning runs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import figure as figure_lib

from tf_ssl.evaluation import protocol, sanity
from tf_ssl.reporting import charts, statistics

TOP = 5  # Top-5 is reported for more than five classes.
_PICTURE = "fine_tuning.png"
_STARTS = {"pretrained": "the model's weights", "scratch": "random weights"}


class Run(NamedTuple):
  """One run.

  Attributes:
    share: share of the labels, 0..1.
    start: "pretrained" or "scratch".
    seed: seed of the run.
    images: number of training images.
    steps: number of training steps.
    loss: last training loss; None if training had finished in an earlier call.
    tested: number of test images.
    top1: percentage of test images whose class has the largest score.
    top5: percentage of test images whose class is among the five largest.
    skipped: {name of a skipped image: reason}.
    predicted_classes: number of different predicted classes; None if an earlier
      version kept the run.
    seconds: time of training and testing in the call that finished the run;
      None if an earlier version kept it.
  """

  share: float
  start: str
  seed: int
  images: int
  steps: int
  loss: float | None
  tested: int
  top1: float
  top5: float
  skipped: Mapping[str, str]
  predicted_classes: int | None = None
  seconds: float | None = None

  def text(self) -> str:
    """The result in one line."""
    return (
      f"{100 * self.share:g} % of labels ({self.images} images), from "
      f"{_STARTS[self.start]}, seed {self.seed}: top-1 {self.top1:.2f} %"
    )


def outcome(
  runs: Sequence[Run],
  *,
  num_classes: int,
  settings: Mapping[str, Any],
  data: Mapping[str, Mapping[str, Any]],
  notes: Sequence[str],
) -> protocol.Outcome:
  """Makes the outcome of all runs.

  Args:
    runs: runs of all shares, starts and seeds.
    num_classes: C.
    settings: settings of the protocol, JSON values.
    data: {role: fingerprint of the images}.
    notes: notes for the report, to which this adds its own.
  """
  cells: dict[tuple[float, str], list[Run]] = {}
  for run in runs:
    cells.setdefault((run.share, run.start), []).append(run)
  measures = ("top1", "top5") if num_classes > TOP else ("top1",)
  intervals = {
    (measure, *cell): statistics.mean_interval(
      [getattr(run, measure) for run in of_cell]
    )
    for cell, of_cell in cells.items()
    for measure in measures
  }
  skipped = {}
  for run in runs:
    skipped |= run.skipped
  return protocol.Outcome(
    protocol="fine_tuning",
    title="Fine-tuning with a share of the labels",
    settings=settings,
    data={role: dict(found) for role, found in data.items()},
    results={_name(*key): each.mean for key, each in intervals.items()},
    details={
      "intervals_95": {
        _name(*key): list(each) for key, each in intervals.items()
      },
      "runs": [
        {k: v for k, v in run._asdict().items() if k != "skipped"}
        for run in runs
      ],
    },
    tables=[_table(cells, intervals, measures)],
    pictures={_PICTURE: charts.png(_chart(cells, intervals), dpi=120)},
    skipped=skipped,
    notes=[
      *notes,
      *_notes(cells, num_classes),
      *sanity.warned("fine_tuning", _constant(runs)),
    ],
  )


def _name(measure: str, share: float, start: str) -> str:
  scratch = "_from_scratch" if start == "scratch" else ""
  return f"{measure}_at_{100 * share:g}_percent_of_labels{scratch}_percent"


def _notes(cells, num_classes) -> list[str]:
  return [
    f"{100 * share:g} % of the labels are one image of each class, the "
    "smallest possible subset"
    for (share, start), runs in cells.items()
    if start == "pretrained" and share < 1 and runs[0].images == num_classes
  ]


def _constant(runs: Sequence[Run]) -> list[str]:
  constant = [run for run in runs if run.predicted_classes == 1]
  return [
    f"{run.text()} is no result of the model: all test images are predicted as "
    "one class"
    for run in constant
  ]


def _table(cells, intervals, measures) -> protocol.Table:
  columns = ["labels, %", "images", "steps", "from"]
  for measure in measures:
    name = f"top-{measure[3:]}"
    columns += [f"{name}, %", f"{name} low", f"{name} high"]
  rows = []
  for (share, start), runs in cells.items():
    row = [f"{100 * share:g}", runs[0].images, runs[0].steps, _STARTS[start]]
    for measure in measures:
      row += intervals[measure, share, start]
    rows.append([*row, ", ".join(f"{run.top1:.2f}" for run in runs)])
  return protocol.Table(
    "Mean over seeds, with 95 % intervals",
    [*columns, "top-1 of each seed"],
    rows,
  )


def _chart(cells, intervals) -> figure_lib.Figure:
  """Draws accuracy over the share of labels."""
  with charts.figure(5.2, 3.6) as figure:
    axes = figure.add_subplot()
    shares = sorted({share for share, _ in cells})
    for number, (start, name) in enumerate(_STARTS.items()):
      places = [i for i, s in enumerate(shares) if (s, start) in cells]
      if not places:
        continue
      found = [intervals["top1", shares[i], start] for i in places]
      spread = [
        (0.0, 0.0) if e.low is None else (e.mean - e.low, e.high - e.mean)
        for e in found
      ]
      axes.errorbar(
        places,
        [each.mean for each in found],
        yerr=np.array(spread).T,
        marker="o",
        capsize=4,
        color=charts.color(number),
        label=f"from {name}",
      )
      for place in places:
        values = [run.top1 for run in cells[shares[place], start]]
        axes.plot(
          [place] * len(values),
          values,
          ".",
          color=charts.color(number),
          alpha=0.4,
        )
    axes.set_xticks(range(len(shares)), [f"{100 * s:g} %" for s in shares])
    axes.set_xlim(-0.4, len(shares) - 0.6)
    axes.set_xlabel("labels used")
    axes.set_ylabel("top-1 on test images, %")
    axes.set_ylim(0, 100)
    charts.clean(axes, grid="y")
    axes.legend(frameon=False, fontsize=9)
  return figure
