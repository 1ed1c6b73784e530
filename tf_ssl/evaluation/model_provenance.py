"""Where a model that is evaluated came from, as far as the files beside it say.

An exported encoder carries `provenance.json`, a run `run.json`; a model of
others has neither, and is known by the digest of its weights alone.
"""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

PROVENANCE_FILE = "provenance.json"  # as `export.saved_model` writes it
RUN_FILE = "run.json"  # as `training.run_directory` writes it
_MODEL_FILE = "saved_model.pb"
_OF_A_RUN = ("command", "seed", "step", "git_commit")


def read(path: str) -> dict[str, Any] | None:
  """Reads what a model's files say about it.

  Args:
    path: of the model, as `models.load` takes it: a SavedModel's folder, a
      run's folder, or a checkpoint inside one. Any other has no provenance.

  Returns:
    JSON values: "file", and "content" or, where it cannot be read, "problem";
    None without such a file.
  """
  for file in _candidates(path):
    if file.is_file():
      try:
        content = json.loads(file.read_text(encoding="utf-8"))
      except (OSError, ValueError) as error:  # no reason to lose the numbers
        return {"file": str(file), "problem": f"cannot be read: {error}"}
      return {"file": str(file), "content": content}
  return None


def facts(found: Mapping[str, Any] | None) -> dict[str, Any]:
  """What fits on a page: {name: value} from what `read` returned."""
  if found is None:
    return {"provenance": "not known: no file beside the model says"}
  if "problem" in found:
    return {"provenance": f"{found['file']} {found['problem']}"}
  content = _mapping(found["content"])
  run = _mapping(content.get("run")) or content
  chosen = {name: run[name] for name in _OF_A_RUN if run.get(name) is not None}
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
    yield given / PROVENANCE_FILE
  elif given.is_dir() or os.path.isfile(f"{path}.index"):
    for folder in (given, *given.resolve().parents):
      yield folder / RUN_FILE


def _mapping(value: Any) -> Mapping[str, Any]:
  """The value, or nothing where a file holds something else there."""
  return value if isinstance(value, Mapping) else {}
