"""Provenance of an exported encoder, from the folder of its run."""

import json
import os

from tf_ssl import errors

RUN_FILE = "run.json"
CONFIG_FILE = "operative_config.gin"
METRICS_FILE = "metrics.jsonl"


def provenance(
  model_dir: str, *, checkpoint: str | None = None
) -> dict[str, object]:
  """Collects the records of a run.

  Args:
    model_dir: folder of the run. Missing files give None, so that an encoder of
      an interrupted run can be exported.
    checkpoint: path of the checkpoint of the weights.

  Returns:
    JSON values:
      "run": content of run.json;
      "operative_config": text of operative_config.gin;
      "metrics": last value and step of each metric in metrics.jsonl, such as
        {"loss": {"value": 6.1, "step": 900}, ...};
      "checkpoint": `checkpoint`.

  Raises:
    UsageError: run.json is not JSON.
  """
  run = _text(os.path.join(model_dir, RUN_FILE))
  try:
    run = None if run is None else json.loads(run)
  except (ValueError, RecursionError) as error:
    raise errors.UsageError(
      f"{os.path.join(model_dir, RUN_FILE)} is not JSON ({error}); restore it, "
      "or delete it to export without it"
    ) from error
  return {
    "run": run,
    "operative_config": _text(os.path.join(model_dir, CONFIG_FILE)),
    "metrics": _last_metrics(os.path.join(model_dir, METRICS_FILE)),
    "checkpoint": checkpoint,
  }


def _text(path: str) -> str | None:
  if not os.path.isfile(path):
    return None
  with open(path, encoding="utf-8", errors="replace") as file:
    return file.read()


def _last_metrics(path: str) -> dict[str, dict[str, object]] | None:
  text = _text(path)
  if text is None:
    return None
  latest = {}
  for line in text.split("\n"):
    try:
      row = json.loads(line)
    except (ValueError, RecursionError):
      continue  # The last line of a run that was killed.
    if not isinstance(row, dict):
      continue
    step = row.pop("step", None)
    for name, value in row.items():
      latest[name] = {"value": value, "step": step}
  return latest
