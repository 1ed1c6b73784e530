"""RESULTS.md: one page with the results of all experiments of a folder."""

import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tf_ssl.experiment.results import charts, orderings, results
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts as report_charts
from tf_ssl.reporting import pages, power, statistics

# Start and end of a step in seconds since 1970.
Span = tuple[float, float]

_SUMMARY_FIGURE = "orderings.png"


def write(root: str, path: str) -> None:
  """Writes the page, and its figures into a folder beside it.

  Args:
    root: folder of the experiments.
    path: path of the page, such as RESULTS.md; its figures go to results/.

  Raises:
    UsageError: results cannot be read, or the page cannot be written.
  """
  page = pathlib.Path(path)
  figures = page.with_name(page.stem.lower())
  experiments, outdated = results.read_all(root)

  def save(name: str, figure) -> str:
    with workdir.replacing_file(figures / name) as temporary:
      temporary.write_bytes(report_charts.png(figure, dpi=charts.DPI))
    return f"{figures.name}/{name}"

  with workdir.writable(page, "--results"):
    figures.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, content in experiments.items():
      pictures = [
        save(f"{name}_{number}.png", charts.table(table))
        for number, table in enumerate(content["tables"], start=1)
      ]
      curves = charts.learning(content.get("learning", ()))
      learning = save(f"{name}_learning.png", curves) if curves else ""
      shown.append(
        {**content, "name": name, "pictures": pictures, "curves": learning}
      )
    summary = charts.orderings(shown)
    figure = save(_SUMMARY_FIGURE, summary) if summary else ""
    workdir.write_text(page, markdown(shown, outdated, figure=figure))


def markdown(
  experiments: Sequence[Mapping[str, Any]],
  outdated: Sequence[str] = (),
  *,
  figure: str = "",
) -> str:
  """The page.

  Args:
    experiments: contents of `results.as_json`, each with the name of its folder
      as `name`, the paths of the figures of its tables as `pictures`, and that
      of its learning curves as `curves`, "" for none.
    outdated: names of experiments that must be run again.
    figure: path of the figure of all orderings; "" for none.
  """
  significant = (orderings.CONFIRMED, orderings.REVERSED)
  return pages.render(
    "experiment/results/results.md.j2",
    experiments=experiments,
    outdated=outdated,
    figure=figure,
    answered=[content for content in experiments if content.get("answer")],
    planned=planned,
    percent=f"{statistics.CONFIDENCE * 100:g} %",
    spans={k: v for c in experiments for k, v in c["spans"].items()},
    verdicts=[
      verdict
      for verdict in orderings.VERDICTS
      if any(
        one[which] == verdict
        for content in experiments
        for one in content["orderings"]
        for which in ("verdict", "corrected")
      )
    ],
    significant=[
      (content, one)
      for content in experiments
      for one in content["orderings"]
      if one["verdict"] in significant
    ],
    by_finding=_by_finding,
    closed=closed,
    interval=interval,
    by_reason=_by_reason,
    counts=_counts,
    corrected=corrected,
    duration=duration,
    is_partial=lambda c: bool(c["failed"] or c["not_run"]),
    mean=_mean,
    portable=_portable,
    sentence=sentence,
    total_compute=total_compute,
    wall_clock=wall_clock,
  )


def sentence(ordering: Mapping[str, Any]) -> str:
  """The numbers of an ordering: "51.0 and 48.2, difference +2.8 (...)"."""
  if ordering.get("unlearned"):
    return f"did not learn: {pages.cell(', '.join(ordering['unlearned']))}"
  difference = ordering["difference"]
  if difference is None:
    return "–"
  text = (
    f"{pages.number(ordering['left_mean'])} and"
    f" {pages.number(ordering['right_mean'])}, difference"
    f" {pages.number(difference['mean'], signed=True)}"
  )
  seeds = f"{difference['count']} seed{'s' * (difference['count'] > 1)}"
  if difference["low"] is None:
    return f"{text} ({seeds})"
  ends = "..".join(
    pages.number(difference[end], signed=True) for end in ("low", "high")
  )
  return f"{text} ({ends}, {seeds})"


def planned(content: Mapping[str, Any]) -> str:
  """How the number of seeds was decided, and what needs more of them."""
  seeds, pilot = (
    ", ".join(map(str, content[name])) for name in ("seeds", "pilot_seeds")
  )
  plan = content["planned"]
  if plan is None or not plan["before"]:
    return (
      f"The seeds of the pilot ({pilot}) are not used here. There is no plan"
      " with the seeds of the main run from before it."
    )
  text = (
    f"The seeds ({seeds}) were fixed before the main run, from a pilot with"
    f" seeds {pilot}, which are not used here."
  )
  beyond = [
    need
    for need in plan["needs"]
    if need["measured"]
    and (need["seeds"] is None or need["seeds"] > len(content["seeds"]))
  ]
  if not beyond:
    return text
  names = "; ".join(
    pages.cell(
      f"{need['left']} {need['relation']} {need['right']}, {need['measure']}"
    )
    + f": {number_of_seeds(need['seeds'])}, with Holm's correction"
    f" {number_of_seeds(need['corrected'])}"
    for need in beyond
  )
  return (
    f"{text} By the pilot, these orderings need more seeds for a power of"
    f" {power.POWER:g}: {names}."
  )


def number_of_seeds(seeds: int | None) -> str:
  """A number of seeds as text; None is more than any that was tried."""
  return f"more than {power.MOST_SEEDS:,}" if seeds is None else f"{seeds:,}"


def closed(gap: Mapping[str, Any]) -> str:
  """Share of a gap that is closed: "53 % (40 %..71 %, 5 seeds)".

  There is none where the reference is not better than the plain model, whatever
  the results of an earlier version say.
  """
  if gap["gap"] is None:
    return "–"
  seeds = f"{gap['seeds']} seed{'s' * (gap['seeds'] > 1)}"
  high = gap["gap"]["high"]
  if high is not None and high <= 0:
    return f"no gap: {pages.cell(gap['plain'])} is not worse ({seeds})"
  if gap["share"] is None:
    return f"undefined: the gap may be 0 ({seeds})"
  share, low, high = (
    f"{pages.number(100 * gap[name], digits=0)} %"
    for name in ("share", "low", "high")
  )
  return f"{share} ({low}..{high}, {seeds})"


def interval(found: Mapping[str, Any] | None) -> str:
  """A difference with its interval: "+8.8 (+5.0..+12.6)"."""
  if found is None:
    return "–"
  text = pages.number(found["mean"], signed=True)
  if found["low"] is None:
    return text
  ends = "..".join(
    pages.number(found[end], signed=True) for end in ("low", "high")
  )
  return f"{text} ({ends})"


def total_compute(spans: Iterable[Span]) -> float:
  """Seconds of all spans together."""
  return sum(end - begin for begin, end in spans)


def wall_clock(spans: Iterable[Span]) -> float:
  """Seconds that at least one span covers."""
  total, reached = 0.0, float("-inf")
  for begin, end in sorted(spans):
    total += max(end - max(begin, reached), 0.0)
    reached = max(reached, end)
  return total


def duration(seconds: float) -> str:
  """Seconds as text, such as "2 h 5 min", "12 min" or "8 s"."""
  if seconds < 59.5:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  if minutes < 60:
    return f"{minutes} min"
  return f"{minutes // 60} h {minutes % 60} min"


def _counts(content: Mapping[str, Any], verdict: str) -> str:
  """Orderings with a verdict, in parentheses after Holm's correction."""
  before, after = (
    sum(one[which] == verdict for one in content["orderings"])
    for which in ("verdict", "corrected")
  )
  return f"{before} ({after})"


def corrected(ordering: Mapping[str, Any]) -> str:
  """A verdict after Holm's correction: "confirmed, p = 0.012"."""
  p = ordering["p_holm"]
  return "–" if p is None else f"{ordering['corrected']}, p = {p:.2g}"


def _by_finding(
  given: Sequence[Mapping[str, Any]],
) -> list[tuple[str, list[str]]]:
  """Each finding once, with the orderings that it explains."""
  found: dict[str, list[str]] = {}
  for one in given:
    if one["finding"]:
      name = f"{one['left']} {one['relation']} {one['right']}"
      about = pages.cell(f"{name}, {one['measure']}")
      found.setdefault(one["finding"], []).append(about)
  return list(found.items())


def _by_reason(skipped: Mapping[str, str]) -> list[tuple[str, list[str]]]:
  """Each reason once, with the names of the skipped steps."""
  found: dict[str, list[str]] = {}
  for name, why in skipped.items():
    found.setdefault(why, []).append(name)
  return list(found.items())


def _mean(values: Sequence[float], runs: int, unit: str) -> str:
  """A cell of a table: mean over seeds with its interval.

  Args:
    values: values of the finished seeds.
    runs: number of seeds; the cell says how many are finished if not all are.
    unit: unit of the values.
  """
  if not values:
    return "–"
  mean, low, high = statistics.within_unit(
    statistics.mean_interval(values), unit
  )
  notes = []
  if low is not None:
    notes.append(f"{pages.number(low)}..{pages.number(high)}")
  if len(values) < runs:
    notes.append(f"{len(values)} of {runs} seeds")
  note = f" ({', '.join(notes)})" if notes else ""
  return f"{pages.number(mean)}{note}"


def _portable(command: str) -> str:
  """A command without folders of the machine on which it ran."""
  command = command.replace(os.getcwd() + os.sep, "")
  return re.sub(r"\S*/bin/(python[\d.]*)\b", r"python", command)
