"""RESULTS.md: what all experiments below a folder have shown. Never typed."""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from tf_ssl import errors
from tf_ssl.experiment.engine import durations
from tf_ssl.experiment.results import (
  charts,
  orderings,
  results,
  seed_statistics,
  template,
)
from tf_ssl.ops import workdir


def write(root: str, path: str) -> None:
  """Writes the page, and its figures into a folder beside it.

  Args:
    root: the folder of the experiments.
    path: of the page, such as RESULTS.md; the figures go to results/ there.

  Raises:
    UsageError: results or the page cannot be read or written.
  """
  page = pathlib.Path(path)
  figures = page.with_name(page.stem.lower())
  try:
    experiments, outdated = results.read_all(root)
    figures.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, content in experiments.items():
      pictures = []
      for number, table in enumerate(content["tables"], start=1):
        file = figures / f"{name}_{number}.png"
        with workdir.replacing_file(file) as temporary:
          temporary.write_bytes(charts.table(table))
        pictures.append(f"{figures.name}/{file.name}")
      shown.append({**content, "name": name, "pictures": pictures})
    workdir.write_text(page, markdown(shown, outdated))
  except OSError as error:
    raise errors.UsageError(
      f"{page}: {error.strerror or error}; choose a --results that you may"
      " write to"
    ) from error


def markdown(
  experiments: Sequence[Mapping[str, Any]], outdated: Sequence[str] = ()
) -> str:
  """The page.

  Args:
    experiments: of `results.as_json`, each with `name`, of its folder, and
      `pictures`, the paths of the figures of its tables.
    outdated: names of experiments that are to be run again.
  """
  environment = jinja2.Environment(
    autoescape=False,  # Markdown; texts go through `cell`
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters |= {
    "by_finding": _by_finding,
    "by_reason": _by_reason,
    "cell": _cell,
    "clock": lambda spans: durations.in_words(durations.on_the_clock(spans)),
    "code": _code,
    "tally": _count,
    "duration": durations.in_words,
    "mean": _mean,
    "portable": _portable,
    "together": lambda spans: durations.in_words(durations.together(spans)),
  }
  environment.tests["partial"] = lambda c: bool(c["failed"] or c["not_run"])
  return environment.from_string(template.TEMPLATE).render(
    experiments=experiments,
    outdated=outdated,
    sentence=sentence,
    percent=f"{seed_statistics.CONFIDENCE * 100:g} %",
    spans={k: v for c in experiments for k, v in c["spans"].items()},
    verdicts=[
      verdict
      for verdict in orderings.VERDICTS
      if any(_count(content, verdict) for content in experiments)
    ],
  )


def sentence(ordering: Mapping[str, Any]) -> str:
  """The numbers of an ordering: "51.0 and 48.2, difference +2.8 (...)"."""
  difference = ordering["difference"]
  if difference is None:
    return "–"
  text = (
    f"{_number(ordering['left_mean'])} and {_number(ordering['right_mean'])},"
    f" difference {_signed(difference['mean'])}"
  )
  seeds = f"{difference['count']} seed{'s' * (difference['count'] > 1)}"
  if difference["low"] is None:
    return f"{text} ({seeds})"
  ends = f"{_signed(difference['low'])}..{_signed(difference['high'])}"
  return f"{text} ({ends}, {seeds})"


def _count(content: Mapping[str, Any], verdict: str) -> int:
  return sum(one["verdict"] == verdict for one in content["orderings"])


def _by_finding(
  given: Sequence[Mapping[str, Any]],
) -> list[tuple[str, list[str]]]:
  """Each finding once, with all the orderings that it is about."""
  found: dict[str, list[str]] = {}
  for one in given:
    if one["finding"]:
      name = f"{one['left']} {one['relation']} {one['right']}"
      about = _cell(f"{name}, {one['measure']}")
      found.setdefault(one["finding"], []).append(about)
  return list(found.items())


def _by_reason(left_out: Mapping[str, str]) -> list[tuple[str, list[str]]]:
  """Each reason once, with the names of what was left out."""
  found: dict[str, list[str]] = {}
  for name, why in left_out.items():
    found.setdefault(why, []).append(name)
  return list(found.items())


def _mean(values: Sequence[float], runs: int, unit: str) -> str:
  """A cell of a table: the mean over seeds and its interval.

  Args:
    values: one for each seed that is done.
    runs: how many there are to be; where some are not done, that is said.
    unit: of the values.
  """
  if not values:
    return "–"
  estimate = seed_statistics.t_interval(values)
  estimate = seed_statistics.within_unit(estimate, unit)
  notes = []
  if estimate.low is not None:
    notes.append(f"{_number(estimate.low)}..{_number(estimate.high)}")
  if len(values) < runs:
    notes.append(f"{len(values)} of {runs} seeds")
  note = f" ({', '.join(notes)})" if notes else ""
  return f"{_number(estimate.mean)}{note}"


def _number(value: float) -> str:
  text = f"{value:.1f}"
  return "0.0" if text == "-0.0" else text


def _signed(value: float) -> str:
  text = f"{value:+.1f}"
  return "0.0" if text in ("+0.0", "-0.0") else text


def _cell(text: str) -> str:
  """A text that no table and no heading of Markdown takes for markup."""
  return re.sub(r"([|<\\`*\[\]])", r"\\\1", " ".join(str(text).split()))


def _code(command: str) -> str:
  """A command as code within a table."""
  text = " ".join(_portable(command).split()).replace("|", "\\|")
  if "`" not in text:
    return f"`{text}`"
  fence = "`" * (1 + max(map(len, re.findall("`+", text))))
  return f"{fence} {text} {fence}"


def _portable(command: str) -> str:
  """A command without the folders of the machine it ran on."""
  command = command.replace(os.getcwd() + os.sep, "")
  return re.sub(r"\S*/bin/(python[\d.]*)\b", r"python", command)
