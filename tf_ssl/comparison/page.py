"""A comparison of reports as a table: Markdown for people, CSV for programs."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from tf_ssl.comparison import compare as comparison_lib

_HASH = re.compile(r"[0-9a-f]{40,}")
_TEMPLATE = """\
# Comparison of {{ reports }} reports

| protocol | result |{% for model in models %} {{ model | cell }} |{% endfor %}

|---|---|{% for _ in models %}---|{% endfor %}

{% for row in rows %}
| {{ row.protocol | cell }} | {{ row.result | name }} |
{%- for number in row.numbers %} {{ number }} |{% endfor %}

{% endfor %}

{% if ranked %}
Bold: the first of the models in its row. Rows are never compared with each
other.
{% else %}
Nothing is ranked: no two models were measured by the same protocol.
{% endif %}
{% if ranges %}
A range is Student's 95 % interval of the mean: with n, over n reports of
different seeds, else over seeds of the protocol within one report. Where ranges
overlap, the order of two models is not decided.
{% endif %}
{% if single %}
Without a range: a single measurement, so that nothing is known about chance.
{% endif %}

![All numbers]({{ chart }})

## What is not comparable

{% for names, letters, fields in differences %}
{{ names | join(", ") | cell }}: {{ letters | join(", ") }} are different
protocols, and their numbers are not ranked against each other. They differ in:

| field |{% for letter in letters %} {{ letter }} |{% endfor %}

|---|{% for _ in letters %}---|{% endfor %}

{% for field, values in fields.items() %}
| {{ field | cell }} |{% for value in values %} {{ value | cell }} |{% endfor %}

{% endfor %}

{% else %}
All reports of one protocol agree in its settings and images.

{% endfor %}
{% if software %}
Made with different software, which should not matter:
{% for name, values in software.items() %}
{{ name | cell }} {{ values | cell }}{{ "." if loop.last else ";" }}
{% endfor %}

{% endif %}
## Protocols

{% for protocol in protocols %}
- **{{ protocol.label | cell }}**: {{ protocol.fields | cell }}
{% endfor %}

{% if command %}
Made by

    {{ command }}
{% endif %}
"""


def markdown(
  comparison: comparison_lib.Comparison, *, chart: str, command: str = ""
) -> str:
  """The page.

  Args:
    comparison: of `comparison.compare`.
    chart: name of the picture beside the page.
    command: with which it was made.

  Returns:
    Markdown, as GitHub and others read it.
  """
  environment = jinja2.Environment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
  )
  environment.filters |= {
    "cell": _cell,
    "name": lambda result: _cell(comparison_lib.name_in_words(result)),
  }
  numbers = [
    number
    for protocol in comparison.protocols
    for found in protocol.numbers.values()
    for number in found.values()
  ]
  text = environment.from_string(_TEMPLATE).render(
    reports=len(reports(comparison)),
    models=comparison.models,
    rows=_rows(comparison),
    ranked=any(number.rank for number in numbers),
    ranges=any(number.low is not None for number in numbers),
    single=any(number.low is None for number in numbers),
    chart=chart,
    differences=_differences(comparison),
    software=comparison.software,
    protocols=comparison.protocols,
    command=" ".join(command.split()),
  )
  return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def table(comparison: comparison_lib.Comparison) -> str:
  """CSV, one line for each protocol, result and model."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(
    "protocol result model mean low high n rank values seeds reports".split()
  )
  for protocol in comparison.protocols:
    for result, found in protocol.numbers.items():
      for model, number in found.items():
        measured = protocol.reports[model]
        writer.writerow(
          [
            protocol.label,
            result,
            model,
            *(_empty(v) for v in (number.mean, number.low, number.high)),
            len(number.values),
            _empty(number.rank),
            " ".join("nan" if v is None else f"{v}" for v in number.values),
            "; ".join(_seeds(each.seeds) for each in measured),
            "; ".join(each.path for each in measured),
          ]
        )
  return text.getvalue()


def reports(comparison: comparison_lib.Comparison) -> list[str]:
  """Paths of all reports, each once."""
  return list(
    dict.fromkeys(
      each.path
      for protocol in comparison.protocols
      for measured in protocol.reports.values()
      for each in measured
    )
  )


def difference_lines(comparison: comparison_lib.Comparison) -> list[str]:
  """What a terminal says of protocols that are not the same."""
  lines = []
  for names, letters, fields in _differences(comparison):
    told = "; ".join(
      f"{field}: {' / '.join(map(_plain, values))}"
      for field, values in fields.items()
    )
    lines.append(
      f"not ranked against each other: {', '.join(names)} {', '.join(letters)},"
      f" which differ in {told}"
    )
  return lines


def _differences(
  comparison: comparison_lib.Comparison,
) -> list[tuple[list[str], list[str], Mapping[str, Sequence[Any]]]]:
  """Names of protocols that differ alike, their letters, and the fields."""
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


def _rows(
  comparison: comparison_lib.Comparison,
) -> list[dict[str, Any]]:
  return [
    {
      "protocol": protocol.label,
      "result": result,
      "numbers": [_number(found.get(model)) for model in comparison.models],
    }
    for protocol in comparison.protocols
    for result, found in protocol.numbers.items()
  ]


def _number(number: comparison_lib.Number | None) -> str:
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
    told = f", n = {n}" if n > 1 else ""
    text += f" ({number.low:.{digits}f}..{number.high:.{digits}f}{told})"
  return text


def _cell(value: Any) -> str:
  """A value as text that Markdown leaves alone."""
  return re.sub(r"([\\`*\[<|])", r"\\\1", _plain(value))


def _plain(value: Any) -> str:
  if value is None:
    return "–"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, float):
    return f"{value:g}"
  if isinstance(value, Mapping):
    return "; ".join(f"{name}: {_plain(v)}" for name, v in value.items())
  if isinstance(value, Sequence) and not isinstance(value, str):
    return ", ".join(map(_plain, value))
  text = " ".join(str(value).split())
  return text[:12] if _HASH.fullmatch(text) else text


def _seeds(seeds: Mapping[str, Any]) -> str:
  return " ".join(f"{name}={_plain(v)}" for name, v in seeds.items())


def _empty(value: Any) -> Any:
  return "" if value is None else value
