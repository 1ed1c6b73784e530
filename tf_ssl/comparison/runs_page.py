"""The comparison of runs as a text table and as an HTML page."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_ssl.comparison import differences as differences_lib
from tf_ssl.comparison import runs as runs_lib
from tf_ssl.comparison import runs_chart
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts, pages, tables

PAGE_FILE = "report.html"
_COLUMNS = (
  "run",
  "method",
  "step",
  "loss",
  "kNN, %",
  "best kNN, %",
  "images/s",
  "data wait, %",
  "minutes",
)
_NONE = "–"
_DPI = 200
_LETTERS = 40  # Of a setting's value in the text table.


def write(
  paths: Sequence[str],
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> str:
  """Compares runs, prints the table and writes the page.

  Args:
    paths: paths of folders; those that are no runs are left out with a line.
    output_dir: folder of the page, created where missing.
    command: command line of the user, for the page.
    say: function that takes each line of the table and about its limits.

  Returns:
    Path of the page.

  Raises:
    UsageError: none of the folders is a run, or `output_dir` cannot be written.
  """
  found = runs_lib.read(paths)
  page = os.path.join(output_dir, PAGE_FILE)
  text = html(found, command=command)
  with workdir.writable(output_dir, "--output_dir"):
    os.makedirs(output_dir, exist_ok=True)
    workdir.write_text(page, text)
  for line in lines(found):
    say(line)
  return page


def lines(found: runs_lib.Found) -> list[str]:
  """The tables as text, and the notes."""
  printed = tables.aligned([_COLUMNS, *map(row, found.runs)], left=2)
  for title, _, rows in differences(found.runs):
    if rows:
      printed += ["", f"{title}, in the order of the runs:"]
      width = max(len(name) for name, *_ in rows)
      printed += [
        f"{name:{width}}  {' / '.join(_cut(values))}" for name, *values in rows
      ]
  if notes := [*found.left_out, *(n for run in found.runs for n in run.notes)]:
    printed += ["", *notes]
  return printed


def html(found: runs_lib.Found, *, command: str = "") -> str:
  """The page, which loads nothing."""
  runs = found.runs
  drawn = [
    (chart.title, charts.data_uri(charts.png(chart.figure, dpi=_DPI)), chart)
    for chart in runs_chart.draw(runs)
  ]
  return pages.render(
    "comparison/runs.html.j2",
    title=f"Comparison of {len(runs)} run{'s' if len(runs) > 1 else ''}",
    columns=_COLUMNS,
    keys=list(
      zip(runs, runs_chart.colors(len(runs)), map(row, runs), strict=True)
    ),
    charts=drawn,
    methods=len({run.method for run in runs}) > 1,
    differences=differences(runs),
    notes=[*found.left_out, *(note for run in runs for note in run.notes)],
    command=" ".join(command.split()),
  )


def row(run: runs_lib.Run) -> tuple[str, ...]:
  """The cells of a run in the table."""
  total = "" if run.num_steps is None else f" of {run.num_steps}"
  _, losses = run.curve("loss")
  steps, accuracies = run.curve("knn_accuracy")
  knn = best = _NONE
  if len(steps):
    knn = f"{100 * accuracies[-1]:.1f}"
    if len(steps) > 1:
      knn = f"{100 * accuracies[0]:.1f} → {knn}"
    highest = int(np.argmax(accuracies))
    best = f"{100 * accuracies[highest]:.1f} at {steps[highest]}"
  rates = run.curve("images_per_second")[1]
  waits = run.curve("data_wait_fraction")[1]
  return (
    run.label,
    run.method or _NONE,
    f"{run.step}{total}",
    f"{losses[-1]:.4g}" if len(losses) else _NONE,
    knn,
    best,
    f"{np.median(rates):.0f}" if len(rates) else _NONE,
    f"{100 * np.mean(waits):.1f}" if len(waits) else _NONE,
    _NONE if run.minutes is None else f"{run.minutes:.1f}",
  )


def differences(
  runs: Sequence[runs_lib.Run],
) -> list[tuple[str, list[str], list[tuple[str, ...]]]]:
  """Tables of what differs: title, labels of the runs, rows of cells.

  The first cell of a row is the name of the setting, the others are its values
  in the runs.
  """
  labels = [run.label for run in runs]
  return [
    ("settings that differ", labels, _rows([run.settings for run in runs])),
    (
      "code, data and machine that differ",
      labels,
      _rows([run.origin for run in runs]),
    ),
  ]


def _rows(values: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
  return [
    (name, *(_cell(each.get(name)) for each in values))
    for name in sorted(differences_lib.several(values))
  ]


def _cell(value: Any) -> str:
  return pages.plain(differences_lib.short(value)) or "''"


def _cut(values: Sequence[str]) -> list[str]:
  """The values, of long ones a part that begins shortly before they differ."""
  if max(map(len, values)) <= _LETTERS:
    return list(values)
  start = len(os.path.commonprefix(values)) - _LETTERS // 4
  parts = [f"…{v[start:]}" if start > 0 else v for v in values]
  return [p if len(p) <= _LETTERS else f"{p[: _LETTERS - 1]}…" for p in parts]
