"""Tables of runs of the few-minutes configs, and their curve over steps."""

import csv
import pathlib
import statistics
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts, tables
from tf_ssl.reporting import statistics as intervals

TABLE = "few_minutes"
CURVE = "few_minutes_steps"  # Runs with other numbers of steps.
# Columns of the CSV files, and how their text is read.
_COLUMNS = {
  "config": str,
  "seed": int,
  "knn_untrained": float,
  "knn_trained": float,
  "steps": int,
  "wall_minutes": float,
  "cpu_minutes": float,
  "resumed": "True".__eq__,
  "precision": str,
  "cores": int,
  "processor": str,
}


class Table:
  """The rows of a CSV file, written with each new one beside a Markdown table.

  The curve has a chart of all rows, too, together with those of the table for
  the same configs.
  """

  def __init__(self, folder: pathlib.Path, name: str = TABLE):
    """Reads the rows that there are.

    Args:
      folder: folder of the files.
      name: TABLE or CURVE.

    Raises:
      UsageError: the file is no such table.
    """
    self._path = folder / f"{name}.csv"
    self._lock = threading.Lock()
    self._rows = {_key(row): row for row in _read(self._path)}

  def has(self, config: str, seed: int, steps: int | None = None) -> bool:
    """Whether a run is finished.

    Args:
      config: name of the config.
      seed: seed of the run.
      steps: number of steps of the run; None for any.
    """
    return any(
      (row["config"], row["seed"]) == (config, seed)
      and steps in (None, row["steps"])
      for row in self._rows.values()
    )

  def rows(self) -> list[dict[str, Any]]:
    """All rows, by config in their order of arrival, by steps and seed."""
    configs = list(dict.fromkeys(row["config"] for row in self._rows.values()))
    return sorted(
      self._rows.values(),
      key=lambda r: (configs.index(r["config"]), r["steps"], r["seed"]),
    )

  def add(self, row: dict[str, Any]) -> None:
    """Adds a finished run and writes the files."""
    with self._lock:
      self._rows[_key(row)] = row
      self.write()

  def write(self) -> None:
    """Writes the CSV file, the Markdown table and, for the curve, the chart."""
    rows = self.rows()
    workdir.write_text(self._path, tables.csv_text(rows, list(_COLUMNS)))
    workdir.write_text(self._path.with_suffix(".md"), markdown(rows))
    if self._path.stem == CURVE:
      configs = {row["config"] for row in rows}
      main = _read(self._path.with_name(f"{TABLE}.csv"))
      rows += [row for row in main if row["config"] in configs]
      self._path.with_suffix(".png").write_bytes(chart(rows))


def _key(row: Mapping[str, Any]) -> tuple[str, int, int]:
  return row["config"], row["seed"], row["steps"]


def _read(path: pathlib.Path) -> list[dict[str, Any]]:
  """Rows of a CSV file; none if there is no file."""
  try:
    with open(path, encoding="utf-8", newline="") as stream:
      return [
        {name: read(line[name]) for name, read in _COLUMNS.items()}
        for line in csv.DictReader(stream)
      ]
  except FileNotFoundError:
    return []
  except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
    raise errors.UsageError(
      f"{path} cannot be read ({type(error).__name__}: {error}); expected the"
      f" columns {', '.join(_COLUMNS)}; restore or remove it"
    ) from error


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
  """The table over configs and numbers of steps, with each seed."""
  processors = dict.fromkeys(row["processor"] for row in rows)
  text = [
    "kNN accuracy (k 20, temperature 0.1), untrained → trained; mean over the"
    " seeds with 95 % Student's t interval. Minutes are those of the whole"
    f" command on so many cores. Processor: {'; '.join(processors)}.",
    "",
    "| config | seeds | untrained | trained | interval | each seed | steps |"
    " minutes | CPU minutes | cores | precision |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
  ]
  groups = {}
  for row in rows:
    groups.setdefault((row["config"], row["steps"]), []).append(row)
  for (config, steps), group in groups.items():
    trained = [row["knn_trained"] for row in group]
    mean, low, high = intervals.mean_interval(trained)
    interval = "–" if low is None else f"{low:.1%} to {high:.1%}"
    resumed = ", resumed" if any(row["resumed"] for row in group) else ""
    text.append(
      f"| `{config}.gin` | {len(group)} | {_mean(group, 'knn_untrained'):.1%} |"
      f" {mean:.1%} | {interval} | {', '.join(f'{x:.1%}' for x in trained)} |"
      f" {steps} |"
      f" {_mean(group, 'wall_minutes'):.1f}{resumed} |"
      f" {_mean(group, 'cpu_minutes'):.1f} | {_each(group, 'cores')} |"
      f" {_each(group, 'precision')} |"
    )
  return "\n".join(text) + "\n"


def _mean(rows, name: str) -> float:
  return statistics.fmean(row[name] for row in rows)


def _each(rows, name: str) -> str:
  return ", ".join(dict.fromkeys(str(row[name]) for row in rows))


def chart(rows: Sequence[Mapping[str, Any]]) -> bytes:
  """Draws kNN accuracy against CPU minutes; a PNG file.

  A point is a run; a line joins the means over the seeds of each number of
  steps, and begins at the untrained encoder.
  """
  with charts.figure(6, 3.6) as drawn:
    axes = drawn.subplots()
    for number, config in enumerate(dict.fromkeys(r["config"] for r in rows)):
      runs = [row for row in rows if row["config"] == config]
      budgets = [
        [row for row in runs if row["steps"] == steps]
        for steps in sorted({row["steps"] for row in runs})
      ]
      axes.plot(
        [0.0, *(_mean(group, "cpu_minutes") for group in budgets)],
        [
          100 * _mean(runs, "knn_untrained"),
          *(100 * _mean(group, "knn_trained") for group in budgets),
        ],
        color=charts.color(number),
        label=config,
      )
      axes.plot(
        [row["cpu_minutes"] for row in runs],
        [100 * row["knn_trained"] for row in runs],
        "o",
        color=charts.color(number),
      )
    axes.set_xlabel("CPU minutes of the whole command")
    axes.set_ylabel("kNN accuracy, %")
    axes.legend(frameon=False)
    charts.clean(axes)
    return charts.png(drawn)
