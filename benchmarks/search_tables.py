"""Tables of a search: all trials, best first, and measures without labels."""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scipy import stats

from benchmarks import machine, search_trials

# Measures without labels -> sign with which more is better.
LABEL_FREE = {
  "contrastive_accuracy": 1,
  "effective_rank": 1,
  "alignment": -1,
  "uniformity": -1,
}


def row(
  trial: search_trials.Trial,
  seed: int,
  budget: search_trials.Budget,
  result: Mapping[str, Any],
) -> dict[str, Any]:
  """The row of one run in the CSV table.

  Args:
    trial: trial that was run.
    seed: seed of the run.
    budget: what it might use.
    result: content of its result.json; see `recipe_trial`.
  """
  before, after = result.get("before", {}), result.get("after", {})
  return {
    "trial": trial.number,
    "settings": search_trials.described(trial.bindings),
    "seed": seed,
    "budget_seconds": budget.seconds,
    "clock": budget.clock,
    **{
      name: result.get(name)
      for name in ("steps", "cpu_seconds", "wall_seconds", "images_per_second")
    },
    "knn_untrained": before.get("knn_accuracy"),
    "knn_trained": after.get("knn_accuracy"),
    "loss": after.get("loss"),
    **{name: after.get(name) for name in LABEL_FREE},
    "error": result.get("error"),
  }


class Line(NamedTuple):
  """The seeds of one trial in one round.

  Attributes:
    trial: number of the trial.
    settings: settings of the trial, as text.
    budget_seconds: seconds of training it may use.
    seeds: number of seeds that ended.
    means: {column: mean over the seeds}.
    spread: largest less smallest kNN of the seeds.
  """

  trial: int
  settings: str
  budget_seconds: float
  seeds: int
  means: Mapping[str, float]
  spread: float


def summed_up(rows: Iterable[Mapping[str, Any]]) -> list[Line]:
  """Averages over seeds, best kNN first; trials that failed come last."""
  groups = {}
  for row in rows:
    groups.setdefault((row["budget_seconds"], row["trial"]), []).append(row)
  lines = []
  for (budget, trial), group in groups.items():
    done = [row for row in group if row["knn_trained"] is not None]
    means = {}
    for name in done[0] if done else ():
      values = [row[name] for row in done]
      if all(isinstance(v, int | float) for v in values):
        means[name] = statistics.fmean(values)
    trained = [row["knn_trained"] for row in done]
    lines.append(
      Line(
        trial,
        group[0]["settings"],
        budget,
        len(done),
        means,
        max(trained) - min(trained) if done else math.nan,
      )
    )
  return sorted(
    lines,
    key=lambda line: (-line.budget_seconds, -line.means.get("knn_trained", -1)),
  )


def rank_correlations(lines: Sequence[Line]) -> dict[str, float]:
  """Spearman's rank correlation of measures without labels with the kNN.

  Args:
    lines: trials of one round.

  Returns:
    {measure: -1..1}, positive where it prefers the trials that the kNN
    prefers; NaN with fewer than 3 trials or equal values.
  """
  done = [line for line in lines if line.seeds]
  trained = [line.means["knn_trained"] for line in done]
  found = {}
  for name, sign in LABEL_FREE.items():
    values = [sign * line.means.get(name, math.nan) for line in done]
    constant = len(set(values)) < 2 or len(set(trained)) < 2
    found[name] = (
      math.nan
      if len(done) < 3 or constant
      else float(stats.spearmanr(values, trained).statistic)
    )
  return found


def markdown(rows: Sequence[Mapping[str, Any]], title: str) -> str:
  """All trials as Markdown, a table for each budget."""
  lines = summed_up(rows)
  text = [f"# {title}", "", f"Processor: {machine.processor()}.", ""]
  clock = rows[0]["clock"] if rows else "cpu"
  for budget, group in itertools.groupby(lines, lambda x: x.budget_seconds):
    group = list(group)
    text += [
      f"## {budget:g} {'CPU ' if clock == 'cpu' else ''}seconds each",
      "",
      "| trial | settings | seeds | steps | images/s | kNN untrained | trained"
      " | spread | contrastive accuracy | effective rank |",
      "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in group:
      if not line.seeds:
        text.append(
          f"| {line.trial} | {line.settings} | 0 | | | | failed | | | |"
        )
        continue
      m = line.means
      text.append(
        f"| {line.trial} | {line.settings} | {line.seeds} | {m['steps']:.0f} |"
        f" {m['images_per_second']:.0f} | {m['knn_untrained']:.1%} |"
        f" {m['knn_trained']:.1%} | {100 * line.spread:.1f} |"
        f" {m.get('contrastive_accuracy', math.nan):.1%} |"
        f" {m.get('effective_rank', math.nan):.1f} |"
      )
    ranks = ", ".join(
      f"{name} {value:+.2f}"
      for name, value in rank_correlations(group).items()
      if not math.isnan(value)
    )
    text += ["", f"Rank correlation with the kNN: {ranks or 'too few trials'}."]
    text.append("")
  return "\n".join(text)
