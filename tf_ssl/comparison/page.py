"""Files of a comparison: a Markdown page, a CSV table and a chart."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_ssl.comparison import chart as chart_lib
from tf_ssl.comparison import compare
from tf_ssl.comparison import differences as differences_lib
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts, pages, tables

PAGE_FILE = "comparison.md"
TABLE_FILE = "comparison.csv"
CHART_FILE = "comparison.png"


def write(
  paths: Sequence[str],
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> str:
  """Compares reports and writes the files.

  Args:
    paths: paths of report.json and invariance.json files, or of their folders.
    output_dir: folder of the files, created where missing.
    command: command line of the user, for the page.
    say: takes a line for each group of protocols that cannot be compared.

  Returns:
    Path of the page.

  Raises:
    UsageError: a report is missing, damaged or given twice, or the folder
      cannot be written.
  """
  comparison = compare.compare(compare.read(paths))
  page = os.path.join(output_dir, PAGE_FILE)
  with workdir.writable(output_dir, "output_dir"):
    os.makedirs(output_dir, exist_ok=True)
    chart = os.path.join(output_dir, CHART_FILE)
    with workdir.replacing_file(chart) as temporary:
      temporary.write_bytes(charts.png(chart_lib.draw(comparison)))
    workdir.write_text(os.path.join(output_dir, TABLE_FILE), table(comparison))
    workdir.write_text(page, markdown(comparison, command=command))
  for line in difference_lines(comparison):
    say(line)
  return page


def markdown(comparison: compare.Comparison, *, command: str = "") -> str:
  """The page as Markdown.

  Args:
    comparison: result of `compare.compare`.
    command: command line of the user; may be empty.
  """
  numbers = [
    number
    for protocol in comparison.protocols
    for found in protocol.numbers.values()
    for number in found.values()
  ]
  return pages.render(
    "comparison/comparison.md.j2",
    reports=len(reports(comparison)),
    models=comparison.models,
    rows=_rows(comparison),
    ranked=any(number.rank for number in numbers),
    intervals=any(number.low is not None for number in numbers),
    single=any(number.low is None for number in numbers),
    chart=CHART_FILE,
    differences=_differences(comparison),
    software=comparison.software,
    protocols=comparison.protocols,
    command=" ".join(command.split()),
    short=differences_lib.short,
  )


def table(comparison: compare.Comparison) -> str:
  """CSV text, one line for each protocol, result and model."""
  rows = []
  for protocol in comparison.protocols:
    for result, found in protocol.numbers.items():
      for model, number in found.items():
        measured = protocol.reports[model]
        values = ["nan" if v is None else f"{v}" for v in number.values]
        rows.append(
          {
            "protocol": protocol.label,
            "result": result,
            "model": model,
            "mean": number.mean,
            "low": number.low,
            "high": number.high,
            "n": len(number.values),
            "rank": number.rank,
            "values": " ".join(values),
            "seeds": "; ".join(_seeds(each.seeds) for each in measured),
            "reports": "; ".join(each.path for each in measured),
          }
        )
  return tables.csv_text(rows)


def reports(comparison: compare.Comparison) -> list[str]:
  """Paths of all reports, each once."""
  return list(
    dict.fromkeys(
      each.path
      for protocol in comparison.protocols
      for measured in protocol.reports.values()
      for each in measured
    )
  )


def difference_lines(comparison: compare.Comparison) -> list[str]:
  """Lines for the terminal about protocols that cannot be compared."""
  lines = []
  for names, letters, fields in _differences(comparison):
    differing = "; ".join(
      f"{field}: {' / '.join(map(pages.plain, differences_lib.short(values)))}"
      for field, values in fields.items()
    )
    lines.append(
      f"not ranked against each other: {', '.join(names)} {', '.join(letters)},"
      f" which differ in {differing}"
    )
  return lines


def _differences(
  comparison: compare.Comparison,
) -> list[tuple[list[str], list[str], Mapping[str, Sequence[Any]]]]:
  """Names of protocols with equal differences, their letters, the fields."""
  found = []
  for name, fields in comparison.differences.items():
    letters = [
      each.label.removeprefix(name).strip()
      for each in comparison.protocols
      if each.name == name
    ]
    same = next((f for f in found if f[1:] == (letters, fields)), None)
    if same is None:
      found.append(([name], letters, fields))
    else:
      same[0].append(name)
  return found


def _rows(comparison: compare.Comparison) -> list[dict[str, Any]]:
  return [
    {
      "protocol": protocol.label,
      "result": compare.readable(result),
      "numbers": [_number(found.get(model)) for model in comparison.models],
    }
    for protocol in comparison.protocols
    for result, found in protocol.numbers.items()
  ]


def _number(number: compare.Number | None) -> str:
  """A cell of the table: mean, and interval if there is one."""
  if number is None:
    return ""
  if number.mean is None:
    return "not finite"
  digits = 2 if abs(number.mean) >= 1 else 4
  text = f"{number.mean:.{digits}f}"
  if number.rank == 1:
    text = f"**{text}**"
  if number.low is not None:
    n = len(number.values)
    count = f", n = {n}" if n > 1 else ""
    text += f" ({number.low:.{digits}f}..{number.high:.{digits}f}{count})"
  return text


def _seeds(seeds: Mapping[str, Any]) -> str:
  return " ".join(f"{name}={pages.plain(v)}" for name, v in seeds.items())
