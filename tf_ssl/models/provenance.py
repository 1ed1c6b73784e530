"""Provenance of a model, from the files in its folder.

An exported encoder has `provenance.json`, a training run `run.json`. Models
from elsewhere have neither; only the digest of their weights identifies them.
"""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

_PROVENANCE_FILE = "provenance.json"  # Written by `export.saved_model`.
_RUN_FILE = "run.json"  # Written by `training.run_directory`.
_MODEL_FILE = "saved_model.pb"
_RUN_FACTS = ("command", "seed", "step", "git_commit")


def read(path: str) -> dict[str, Any] | None:
  """Reads the provenance file of a model.

  Args:
    path: path of a SavedModel folder, a run folder, or a checkpoint in one, as
      in `models.load`; others have no provenance.

  Returns:
    JSON values: "file", and "content" or, if it cannot be read, "problem". None
    without such a file.
  """
  for file in _candidates(path):
    if file.is_file():
      try:
        content = json.loads(file.read_text(encoding="utf-8"))
      except (OSError, ValueError) as error:  # Never loses the measurement.
        return {"file": str(file), "problem": f"cannot be read: {error}"}
      return {"file": str(file), "content": content}
  return None


def facts(found: Mapping[str, Any] | None) -> dict[str, Any]:
  """The facts for a report's page.

  Args:
    found: value of `read`.

  Returns:
    Text and numbers by name.
  """
  if found is None:
    return {"provenance": "unknown: the model has no provenance file"}
  if "problem" in found:
    return {"provenance": f"{found['file']} {found['problem']}"}
  content = _mapping(found["content"])
  run = _mapping(content.get("run")) or content
  chosen = {name: run[name] for name in _RUN_FACTS if run.get(name) is not None}
  data = _mapping(run.get("data"))
  if data:
    chosen["trained on"] = (
      f"{data.get('count')} images, digest {str(data.get('sha256'))[:12]}"
    )
  weights = _mapping(content.get("weights"))
  if weights:
    chosen["weights"] = f"{weights.get('kind')}, {weights.get('file')}"
  return {"provenance": found["file"], **chosen}


def _candidates(path: str) -> Iterator[pathlib.Path]:
  given = pathlib.Path(path)
  if (given / _MODEL_FILE).is_file():
    yield given / _PROVENANCE_FILE
  elif given.is_dir() or os.path.isfile(f"{path}.index"):
    for folder in (given, *given.resolve().parents):
      yield folder / _RUN_FILE


def _mapping(value: Any) -> Mapping[str, Any]:
  """The value if it is a mapping, as it should be; otherwise an empty one."""
  return value if isinstance(value, Mapping) else {}
