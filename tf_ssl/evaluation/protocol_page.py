"""The page of a protocol's report, in Markdown.

It is made of report.json alone; whatever names hold is text there.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from tf_ssl.evaluation import model_provenance

_ROWS = 20  # of a table; all are in report.json
_NAMED = 5  # examples left out that the page names
_PERCENT = "_percent"
_TEMPLATE = """\
# {{ title | cell }}: {{ model.name | cell }}

| result | value |
|---|---|
{% for name, value in results.items() %}
| {{ name | label }} | {{ value | result(name) }} |
{% endfor %}

{% for note in notes %}
- {{ note | cell }}
{% endfor %}

{% for name in pictures %}
![{{ name | picture }}]({{ name }})

{% endfor %}
{% for table in tables %}
### {{ table.title | cell }}

|{% for column in table.columns %} {{ column | cell }} |{% endfor %}

|{% for _ in table.columns %}---|{% endfor %}

{% for row in table.rows[:most] %}
|{% for value in row %} {{ value | cell }} |{% endfor %}

{% endfor %}
{% if table.rows | length > most %}

The first {{ most }} of {{ table.rows | length }} rows; `report.json` has all.
{% endif %}

{% endfor %}
## Protocol

A number means what it says only together with all of this.

| setting | value |
|---|---|
| protocol | {{ protocol | cell }} |
{% for name, value in settings.items() %}
| {{ name | label }} | {{ value | cell }} |
{% endfor %}
{% for role, identity in data.items() %}
| {{ role | label }} images | {{ identity | data }} |
{% endfor %}

{% if skipped %}
{{ skipped | length }} left out: {{ skipped | some }}

{% endif %}
## Model

| | |
|---|---|
{% for name, value in described.items() %}
| {{ name | label }} | {{ value | cell }} |
{% endfor %}

Made by

    {{ command | line }}

with {{ software | cell }}.
"""


def page(report: Mapping[str, Any]) -> str:
  """Writes the page.

  Args:
    report: the content of report.json.

  Returns:
    Markdown, as GitHub and others read it; pictures lie beside it.
  """
  environment = jinja2.Environment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
  )
  environment.filters |= {
    "cell": _cell,
    "data": _data,
    "label": _label,
    "line": _line,
    "picture": lambda name: _label(name.rpartition(".")[0]),
    "result": _result,
    "some": _some,
  }
  model = {k: v for k, v in report["model"].items() if v not in (None, "")}
  text = environment.from_string(_TEMPLATE).render(
    **report,
    described=model | model_provenance.facts(report["provenance"]),
    software=_software(report),
    most=_ROWS,
  )
  return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def result_line(name: str, value: float) -> str:
  """A result in words: "top1: 43.40 %"."""
  return f"{_label(name)}: {_result(value, name)}"


def _line(text: str) -> str:
  return " ".join(text.split()) or "(not known)"


def _cell(value: Any) -> str:
  """A value as text that Markdown leaves alone."""
  if value is None:
    return "–"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, float):
    return f"{value:.4g}"
  if isinstance(value, Mapping):
    return "; ".join(f"{_label(k)}: {_cell(v)}" for k, v in value.items())
  if isinstance(value, Sequence) and not isinstance(value, str):
    return ", ".join(map(_cell, value))
  return re.sub(r"([\\`*\[<|])", r"\\\1", " ".join(str(value).split()))


def _label(name: str) -> str:
  """Without "_percent", and with spaces for underscores."""
  return _cell(name.removesuffix(_PERCENT).replace("_", " "))


def _result(value: float | None, name: str) -> str:
  if value is None:
    return "not a finite number"
  if name.endswith(_PERCENT):
    return f"{value:.2f} %"
  return _cell(value)


def _data(identity: Mapping[str, Any]) -> str:
  """What identifies a set of images, its hash shortened."""
  return _cell(
    {k: v[:12] if k.endswith("sha256") else v for k, v in identity.items()}
  )


def _some(skipped: Mapping[str, str]) -> str:
  named = [
    f"{_cell(name)} ({_cell(why)})"
    for name, why in list(skipped.items())[:_NAMED]
  ]
  return "; ".join(named) + ("; …" if len(skipped) > _NAMED else "")


def _software(report: Mapping[str, Any]) -> str:
  versions, hardware = report["versions"], report["hardware"]
  commit = report["git_commit"]
  named = [
    f"TensorFlow {versions.get('tensorflow')}",
    f"Python {versions.get('python')}",
    f"commit {commit[:12]}{'-dirty' * commit.endswith('-dirty')}"
    if commit
    else "",
    ", ".join(hardware["accelerators"])
    or f"{hardware['cores']} cores of {hardware['processor']}",
  ]
  return ", ".join(filter(None, named))
