"""RESULTS.md: what all experiments below a folder have shown. Never typed."""

import collections
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from tf_ssl import errors
from tf_ssl.experiment import (
  orderings,
  results,
  results_charts,
  results_template,
  seed_statistics,
)
from tf_ssl.ops import files


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
    experiments = results.read_all(root)
    figures.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, content in experiments.items():
      pictures = []
      for number, table in enumerate(content["tables"], start=1):
        file = figures / f"{name}_{number}.png"
        with files.replacing(file) as temporary:
          temporary.write_bytes(results_charts.table(table))
        pictures.append(f"{figures.name}/{file.name}")
      shown.append({**content, "pictures": pictures})
    files.write(page, markdown(shown))
  except OSError as error:
    raise errors.UsageError(
      f"{page}: {error.strerror or error}; choose a --results that you may"
      " write to"
    ) from error


def markdown(experiments: Sequence[Mapping[str, Any]]) -> str:
  """The page.

  Args:
    experiments: of `results.as_json`, each with `pictures`, the paths of the
      figures of its tables.
  """
  environment = jinja2.Environment(
    autoescape=False,  # Markdown; texts go through `cell`
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters |= {
    "cell": _cell,
    "code": _code,
    "mean": _mean,
    "number": _number,
    "portable": _portable,
  }
  verdicts = collections.Counter(
    ordering["verdict"]
    for content in experiments
    for ordering in content["orderings"]
  )
  return environment.from_string(results_template.TEMPLATE).render(
    experiments=experiments,
    sentence=sentence,
    percent=f"{seed_statistics.CONFIDENCE * 100:g} %",
    verdicts={
      verdict: verdicts[verdict]
      for verdict in (
        orderings.SHOWN,
        orderings.OPPOSITE,
        orderings.UNDECIDED,
        orderings.NOT_MEASURED,
      )
    },
    not_measured=orderings.NOT_MEASURED,
  )


def sentence(ordering: Mapping[str, Any]) -> str:
  """The numbers of an ordering: "51.0 and 48.2, difference +2.8 (0.1..5.5)"."""
  difference = ordering["difference"]
  if difference is None:
    return "–"
  text = (
    f"{_number(ordering['left_mean'])} and {_number(ordering['right_mean'])},"
    f" difference {difference['mean']:+.1f}"
  )
  seeds = f"{difference['count']} seed{'s' * (difference['count'] > 1)}"
  if difference["low"] is None:
    return f"{text} ({seeds})"
  return (
    f"{text} ({difference['low']:+.1f}..{difference['high']:+.1f}, {seeds})"
  )


def _mean(values: Sequence[float]) -> str:
  """A cell of a table: the mean over seeds and its interval."""
  if not values:
    return "–"
  estimate = seed_statistics.t_interval(values)
  if estimate.low is None:
    return _number(estimate.mean)
  return (
    f"{_number(estimate.mean)}"
    f" ({_number(estimate.low)}..{_number(estimate.high)})"
  )


def _number(value: float) -> str:
  text = f"{value:.1f}"
  return "0.0" if text == "-0.0" else text


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
