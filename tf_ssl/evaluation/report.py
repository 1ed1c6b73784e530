"""Writes a protocol's outcome: report.json, report.md and pictures.

`report.json` holds everything: results, model, images, protocol, software.
`report.md` is one page for people, made from report.json alone.
"""

import math
import os
from collections.abc import Mapping
from typing import Any

from tf_ssl.evaluation import protocol
from tf_ssl.models import provenance
from tf_ssl.ops import environment, names, workdir
from tf_ssl.reporting import pages, schema, tables

PAGE_FILE = "report.md"
_TEMPLATE = "evaluation/report.md.j2"
_ROWS = 20  # Of a table on the page; report.json has all.
_NAMED = 5  # Skipped examples that the page names.
_DIGITS = 4  # Significant digits of a number on the page.
_PERCENT = "_percent"


def write(
  outcome: protocol.Outcome,
  subject: protocol.Subject,
  command: str,
  output_dir: str,
) -> str:
  """Writes the report of a measurement.

  Args:
    outcome: what the protocol measured.
    subject: model that it was measured on.
    command: command line that the user typed; may be empty.
    output_dir: path of an existing folder; an older report is replaced.

  Returns:
    The path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  report = content(outcome, subject, command)
  text = page(report)
  path = os.path.join(output_dir, PAGE_FILE)
  with workdir.writable(output_dir, "--output_dir"):
    for name, data in outcome.pictures.items():
      with workdir.replacing_file(os.path.join(output_dir, name)) as temporary:
        temporary.write_bytes(data)
    workdir.write_text(path, text)
    workdir.write_json(os.path.join(output_dir, schema.REPORT_FILE), report)
  return path


def content(
  outcome: protocol.Outcome, subject: protocol.Subject, command: str
) -> dict[str, Any]:
  """The content of report.json.

  Args:
    outcome: what the protocol measured.
    subject: model that it was measured on.
    command: command line that the user typed; may be empty.

  Returns:
    JSON values. `protocol`, `title`, `settings`, `data`, `results`, `details`,
    `tables`, `skipped` and `notes` are the outcome's; `pictures` are the file
    names of its pictures; `model` is the model's description; `provenance` is
    the value of `models.provenance.read`; `command`, `versions`, `git_commit`
    and `hardware` say how the report was made. NaN and infinity become null; a
    note names the results that are not finite.
  """
  missing = [k for k, v in outcome.results.items() if not math.isfinite(v)]
  return tables.json_value(
    {
      "format": schema.FORMAT,
      "protocol": outcome.protocol,
      "title": outcome.title,
      "model": subject.frozen.description,
      "results": outcome.results,
      "settings": outcome.settings,
      "data": outcome.data,
      "notes": [
        *outcome.notes,
        *(f"{name} is not a finite number" for name in missing),
      ],
      "details": outcome.details,
      "tables": outcome.tables,
      "pictures": sorted(outcome.pictures),
      "skipped": {
        names.escaped(name): reason for name, reason in outcome.skipped.items()
      },
      "provenance": provenance.read(subject.path),
      "command": command,
      "versions": environment.versions(),
      "git_commit": environment.git_commit(),
      "hardware": environment.hardware(),
    }
  )


def page(report: Mapping[str, Any]) -> str:
  """The page in Markdown, with pictures as links to files in its folder.

  Args:
    report: content of report.json.
  """
  model = {k: v for k, v in report["model"].items() if v not in (None, "")}
  return pages.render(
    _TEMPLATE,
    **report
    | {
      "command": " ".join(report["command"].split()) or "(unknown)",
      "data": {role: _shortened(v) for role, v in report["data"].items()},
      "described": model | provenance.facts(report["provenance"]),
      "software": _software(report),
      "most": _ROWS,
      "label": _label,
      "result": _result,
      "some": _some,
      "text": _text,
    },
  )


def result_line(name: str, value: float) -> str:
  """A result as one line, such as "top1: 43.40 %"."""
  return f"{_label(name)}: {_result(name, value)}"


def _text(value: Any) -> str:
  if isinstance(value, Mapping):
    value = {name.replace("_", " "): each for name, each in value.items()}
  return pages.cell(value, digits=_DIGITS)


def _label(name: str) -> str:
  """The name without "_percent", with spaces instead of underscores."""
  return _text(name.removesuffix(_PERCENT).replace("_", " "))


def _result(name: str, value: float | None) -> str:
  if value is None:
    return "not a finite number"
  return f"{value:.2f} %" if name.endswith(_PERCENT) else _text(value)


def _shortened(facts: Mapping[str, Any]) -> dict[str, Any]:
  """Facts about a set of images, with the first digits of its hashes."""
  return {k: v[:12] if k.endswith("sha256") else v for k, v in facts.items()}


def _some(skipped: Mapping[str, str]) -> str:
  named = [
    f"{_text(name)} ({_text(reason)})"
    for name, reason in list(skipped.items())[:_NAMED]
  ]
  return "; ".join(named) + ("; …" if len(skipped) > _NAMED else "")


def _software(report: Mapping[str, Any]) -> str:
  versions, hardware = report["versions"], report["hardware"]
  parts = [
    f"TensorFlow {versions.get('tensorflow')}",
    f"Python {versions.get('python')}",
  ]
  commit = report["git_commit"]
  if commit:
    parts.append(f"commit {commit[:12]}{'-dirty' * commit.endswith('-dirty')}")
  return ", ".join(
    [
      *parts,
      ", ".join(hardware["accelerators"])
      or f"{hardware['cores']} cores of {hardware['processor']}",
    ]
  )
