"""Folders of runs as training leaves them."""

import json
import os

CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.training import settings

# Macros:
BATCH_SIZE = {batch_size}
STEPS = {steps}

moco.build_moco.momentum = 0.99
settings.Pretraining.batch_size = %BATCH_SIZE
settings.Pretraining.method = @{method}
settings.Pretraining.steps = %STEPS
"""


def records(*steps, **values):
  """A record for each step, whose loss is 10 - step."""
  return [{"step": step, "loss": 10.0 - step, **values} for step in steps]


def write(
  folder,
  rows,
  *,
  method="moco.build_moco",
  steps=8,
  batch_size=4,
  record=None,
  end="",
):
  """Writes a run and returns its path.

  Args:
    folder: folder of the run, text, bytes or path.
    rows: records of metrics.jsonl; texts are written as they are.
    method: name of the method's builder.
    steps: number of steps in the config.
    batch_size: batch size in the config.
    record: content of run.json, added to what every run has.
    end: text at the end of metrics.jsonl.
  """
  folder = os.fsdecode(folder)
  os.makedirs(folder)
  lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
  with open(f"{folder}/metrics.jsonl", "w", encoding="utf-8") as file:
    file.write("".join(f"{line}\n" for line in lines) + end)
  with open(f"{folder}/operative_config.gin", "w", encoding="utf-8") as file:
    file.write(CONFIG.format(batch_size=batch_size, steps=steps, method=method))
  content = {
    "data": {"count": 12, "sha256": "0" * 64},
    "git_commit": "c0ffee",
    "step": steps,
    "versions": {"python": "3.11.7"},
    "wall_seconds": 90.0,
    **(record or {}),
  }
  with open(f"{folder}/run.json", "w", encoding="utf-8") as file:
    json.dump(content, file)
  return folder
