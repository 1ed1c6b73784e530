"""A protocol's outcome as files: report.json, report.md and its pictures.

`report.json` holds everything: what was measured, of which model, on which
images, by which protocol, with which software. `report.md` is one page for
people.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.evaluation import model_provenance, protocol, protocol_page
from tf_ssl.ops import environment, workdir
from tf_ssl.reporting import schema

JSON_FILE = schema.REPORT_FILE
PAGE_FILE = "report.md"


def write(
  outcome: protocol.Outcome,
  subject: protocol.Subject,
  command: str,
  output_dir: str,
) -> str:
  """Writes what was measured.

  Args:
    outcome: of the protocol.
    subject: the model that it was measured on.
    command: what was typed; may be empty.
    output_dir: is there; older reports in it are replaced.

  Returns:
    The path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  content = report(outcome, subject, command)
  page = protocol_page.page(content)
  try:
    for name, data in outcome.pictures.items():
      with workdir.replacing_file(os.path.join(output_dir, name)) as path:
        path.write_bytes(data)
    path = os.path.join(output_dir, PAGE_FILE)
    workdir.write_text(path, page)
    text = json.dumps(content, indent=2, allow_nan=False)
    workdir.write_text(os.path.join(output_dir, JSON_FILE), text + "\n")
  except OSError as error:
    raise errors.UsageError(
      f"results cannot be written to {output_dir}: {error.strerror or error}; "
      "choose a folder on a disk with room that you may write to"
    ) from error
  return path


def report(
  outcome: protocol.Outcome, subject: protocol.Subject, command: str
) -> dict[str, Any]:
  """The content of report.json.

  Returns:
    JSON values. `protocol`, `title`, `settings`, `data`, `results`, `details`,
    `tables`, `skipped`, `notes` are the outcome's; `pictures` are the names of
    its pictures; `model` is the model's description; `provenance` is what
    `model_provenance.read` found; `command`, `versions`, `git_commit` and
    `hardware` say how it was made. NaN and infinity become null; a result that
    is one of them is named in the notes.
  """
  lost = [k for k, v in outcome.results.items() if not math.isfinite(v)]
  notes = [*outcome.notes, *(f"{name} is not a finite number" for name in lost)]
  return _json(
    {
      "format": schema.FORMAT,
      "protocol": outcome.protocol,
      "title": outcome.title,
      "model": subject.frozen.description,
      "results": outcome.results,
      "settings": outcome.settings,
      "data": outcome.data,
      "notes": notes,
      "details": outcome.details,
      "tables": outcome.tables,
      "pictures": sorted(outcome.pictures),
      "skipped": outcome.skipped,
      "provenance": model_provenance.read(subject.path),
      "command": command,
      "versions": environment.versions(),
      "git_commit": environment.git_commit(),
      "hardware": environment.hardware(),
    }
  )


def _json(value: Any) -> Any:
  """The same in what JSON knows."""
  if hasattr(value, "_asdict"):
    value = value._asdict()
  if isinstance(value, Mapping):
    return {str(name): _json(each) for name, each in value.items()}
  if isinstance(value, np.ndarray | np.generic):
    value = value.tolist()
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if isinstance(value, Sequence) and not isinstance(value, str | bytes):
    return [_json(each) for each in value]
  if value is None or isinstance(value, str | bool | int | float):
    return value
  return str(value)
