"""What fine-tuning measured, as results, tables and a chart."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg

from tf_ssl.evaluation import protocol
from tf_ssl.reporting import colors, statistics

_PICTURE = "fine_tuning.png"
_DPI = 120
_STARTS = {"pretrained": "the model's weights", "scratch": "random weights"}
_TOP = 5  # of more classes than that


class Run(NamedTuple):
  """One run.

  Attributes:
    share: of the labels.
    start: "pretrained" or "scratch".
    seed: of it.
    images: that it learned from.
    steps: of training.
    loss: the last; None where training was done before.
    tested: images that it was tested on.
    top1: percent of them whose class has the largest score.
    top5: percent of them whose class is among the five largest.
    skipped: from the names of images left out to the reasons.
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

  def text(self) -> str:
    """One line for people."""
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
  """Puts everything together.

  Args:
    runs: of all shares, starts and seeds.
    num_classes: C.
    settings: see `protocol.Outcome`.
    data: the same.
    notes: the same; some are added.
  """
  cells: dict[tuple[float, str], list[Run]] = {}
  for run in runs:
    cells.setdefault((run.share, run.start), []).append(run)
  measures = ("top1", "top5") if num_classes > _TOP else ("top1",)
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
    pictures={_PICTURE: _chart(cells, intervals)},
    skipped=skipped,
    notes=[*notes, *_notes(cells, num_classes)],
  )


def _name(measure: str, share: float, start: str) -> str:
  scratch = "_from_scratch" if start == "scratch" else ""
  return f"{measure}_at_{100 * share:g}_percent_of_labels{scratch}_percent"


def _notes(cells, num_classes) -> list[str]:
  few = [
    f"{100 * share:g} % of the labels are one image of each class, which is "
    "the least that is taken"
    for (share, start), runs in cells.items()
    if start == "pretrained" and share < 1 and runs[0].images == num_classes
  ]
  return few


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


def _chart(cells, intervals) -> bytes:
  """Accuracy over the share of labels, as a PNG."""
  figure = figure_lib.Figure(figsize=(5.2, 3.6), layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
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
      color=colors.color(number),
      label=f"from {name}",
    )
    for run in (run for i in places for run in cells[shares[i], start]):
      axes.plot(
        shares.index(run.share),
        run.top1,
        ".",
        color=colors.color(number),
        alpha=0.4,
      )
  axes.set_xticks(range(len(shares)), [f"{100 * s:g} %" for s in shares])
  axes.set_xlim(-0.4, len(shares) - 0.6)
  axes.set_xlabel("labels used")
  axes.set_ylabel("top-1 on test images, %")
  axes.set_ylim(0, 100)
  axes.grid(axis="y", color="#dddddd")
  axes.spines[["top", "right"]].set_visible(False)
  axes.legend(frameon=False, fontsize=9)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
  return buffer.getvalue()
