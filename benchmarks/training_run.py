"""Runs `tools.train` for a table of runs, and says what it took."""

import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import child_process, workdir


def command(config: str, folder: pathlib.Path, bindings: Sequence[str]):
  """Words of the command that trains.

  Args:
    config: path of the gin file.
    folder: model_dir of the run.
    bindings: gin bindings.
  """
  return [
    *(sys.executable, "-m", "tools.train", f"--gin_file={config}"),
    *(f"--gin_bindings={line}" for line in bindings),
    f"--model_dir={folder}",
  ]


def train(words: Sequence[str], folder: pathlib.Path) -> dict[str, Any]:
  """Trains, or resumes a run that was interrupted.

  Args:
    words: words of the command.
    folder: model_dir of the run.

  Returns:
    `steps`, `precision`, the `wall_minutes` and `cpu_minutes` of the whole
    command, and whether it `resumed`; minutes of a resumed run contain those of
    the earlier part only on the wall clock.

  Raises:
    UsageError: the command has failed, and has said why, or was stopped.
  """
  record = folder / "run.json"
  spent = workdir.read_json(record) if record.exists() else {}
  began = time.time()
  with child_process.start(words) as child:
    _, status, used = os.wait4(child.pid, 0)  # Of this child alone.
    code = child.returncode = os.waitstatus_to_exitcode(status)
  errors.require(
    code == 0,
    f"{folder.name}: tools.train: {child_process.how_it_ended(code)}",
  )
  done = workdir.read_json(record)
  if done.get("step") is None or not (folder / "saved_model").exists():
    raise errors.UsageError(
      f"{folder.name} was stopped; run the same command to resume it"
    )
  return {
    "steps": done["step"],
    "wall_minutes": (spent.get("wall_seconds", 0) + time.time() - began) / 60,
    "cpu_minutes": (used.ru_utime + used.ru_stime) / 60,
    "resumed": bool(spent),
    "precision": done.get("precision"),
  }
