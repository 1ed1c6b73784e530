"""The page of the benchmarks: each ratio beside its goal, and the machine."""

import os
import pathlib
import shlex
import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks import ratios, suite

_ROOT = pathlib.Path(__file__).resolve().parents[1]
PATH = _ROOT / "docs" / "results" / "benchmarks.md"
_DATA = "data"  # In the commands of the page.
_BUSY_CORES = 0.2  # Of other programs, from which on the page points to them.


def page(
  described: Mapping[str, Any] | None, found: Mapping[str, Mapping[str, Any]]
) -> str:
  """Markdown of the page.

  Args:
    described: `machine.description()` and `began`; None if nothing has run.
    found: what `run` has returned, by the name of the benchmark.
  """
  kept = {
    name: [ratios.Ratio(**ratio) for ratio in result["ratios"]]
    for name, result in found.items()
  }
  goals = [
    ratio.is_met
    for each in kept.values()
    for ratio in each
    if ratio.is_met is not None
  ]
  text = [
    "<!-- Written by `make benchmarks`. -->",
    "",
    "# Benchmarks",
    "",
    "Speed and memory depend on the machine, so each number is a ratio that is"
    " measured within one run, or has a goal of its own. `make benchmarks"
    " DATA=data` measures them on your machine, in one sitting, and writes this"
    " page. [Other machines](benchmarks_by_machine.md) have been measured one"
    " benchmark at a time.",
    "",
    *_of_machine(described, found),
    "",
  ]
  if goals:
    text += [f"**{sum(goals)} of {len(goals)} goals are met.**", ""]
  text += [
    "| benchmark | measured quantity | measured | goal | |",
    "|---|---|---|---|---|",
  ]
  for benchmark in suite.BENCHMARKS:
    name = benchmark.name
    text += [_row(name, ratio) for ratio in kept.get(name, ())]
    problem = found[name]["error"] if name in found else "not run yet"
    if problem:
      cells = (f"`{name}`", _cell(problem), "–", "–", "not measured")
      text.append(f"| {' | '.join(cells)} |")
  text += [
    "",
    "## Commands",
    "",
    "| benchmark | command | minutes | cores used by other programs |",
    "|---|---|---|---|",
  ]
  for benchmark in suite.BENCHMARKS:
    result = found.get(benchmark.name, {})
    command = shlex.join(("python", *benchmark.command(_DATA)))
    cells = [f"`{benchmark.name}`", f"`{command}`", "–", "–"]
    if "minutes" in result:
      busy = f"{result['others']:.1f}"
      if result["others"] >= _BUSY_CORES:
        busy = f"**{busy}**"
      cells[2:] = [f"{result['minutes']:.1f}", busy]
    text.append(f"| {' | '.join(cells)} |")
  text += [
    "",
    "## Not in this run",
    "",
    "These take hours, much memory or a GPU. Their last results are from other"
    " days and machines, which the linked table names.",
    "",
    "| command | last result |",
    "|---|---|",
  ]
  for long in suite.LONG:
    link = os.path.relpath(_ROOT / long.document, PATH.parent)
    text.append(
      f"| `python -m {long.command}` | {long.result} ([table]({link})) |"
    )
  return "\n".join(text) + "\n"


def _of_machine(described, found) -> list[str]:
  if described is None:
    return ["**This page has no numbers yet**: run the command."]
  versions = ", ".join(
    f"{package} {version}" for package, version in described["versions"].items()
  )
  gpus = ", ".join(described["accelerators"]) or "none"
  measured = [each for each in found.values() if "minutes" in each]
  lines = [
    f"- Date: {described['began']}, {sum(e['minutes'] for e in measured):.0f}"
    " minutes",
    f"- Processor: {described['processor']}, {described['cores']} cores",
    f"- Memory: {described['memory_bytes'] / 2**30:.0f} GiB; GPUs: {gpus}",
    f"- Software: {versions}; commit {described['commit'] or 'unknown'}",
  ]
  if measured:
    others = statistics.fmean(each["others"] for each in measured)
    lines.append(f"- Other programs used {others:.1f} cores, on average")
  return lines


def _row(name: str, ratio: ratios.Ratio) -> str:
  verdict = {None: "", True: "met", False: "**missed**"}[ratio.is_met]
  cells = (f"`{name}`", ratio.what, ratio.measured, ratio.goal or "–", verdict)
  return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
  return " ".join(text.replace("|", "\\|").split())
