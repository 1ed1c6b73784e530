"""Trains and measures one configuration within a budget, for search_recipes.

  python -m benchmarks.recipe_trial FOLDER

FOLDER/request.json says what to run; FOLDER/result.json is written at the end.
A short run with the same settings measures the speed first, so that the
learning-rate schedule of the real one ends where the budget does.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import child_process, workdir
from tools._cli import gin_files, quiet

quiet.import_tensorflow()

import gin  # noqa: E402

from tf_ssl.training import pretrain  # noqa: E402
from tf_ssl.training import settings as settings_lib  # noqa: E402
from tf_ssl.training.monitors import base, labeled, representation  # noqa: E402

REQUEST, RESULT = "request.json", "result.json"
CLOCKS: Mapping[str, Callable[[], float]] = {
  "cpu": time.process_time,  # All threads of this process.
  "wall": time.perf_counter,
}
# A schedule of resolutions or batches has stages of different cost: the speed
# is the mean over parts of a short run, of the median step of each part, in
# which the compilation at the start of a stage does not count.
_PARTS = 6
_STEPS_OF_PART = 5


class Clock(base.Monitor):
  """Reads a clock after each step, or before the first and after the last.

  Attributes:
    readings: (step, seconds), in order.
  """

  def __init__(self, read: Callable[[], float], *, every: int = 0):
    """Keeps the clock and the number of steps between two readings."""
    self.every = every
    self.readings: list[tuple[int, float]] = []
    self._read = read

  def measure(self, step: int) -> Mapping[str, float]:
    self.readings.append((step, self._read()))
    return {}


def seconds_per_step(readings: Sequence[tuple[int, float]]) -> float:
  """Mean over parts of a run of the median seconds of a step.

  Args:
    readings: (step, seconds) after each step, step 0 first.
  """
  seconds = [
    after - before
    for (_, before), (_, after) in zip(readings, readings[1:], strict=False)
  ]
  parts = min(_PARTS, len(seconds))
  ends = [round(i * len(seconds) / parts) for i in range(parts + 1)]
  return statistics.mean(
    statistics.median(seconds[start:end])
    for start, end in zip(ends, ends[1:], strict=False)
  )


def main(folder: pathlib.Path) -> None:
  """Runs the request in `folder`.

  Raises:
    UsageError: the settings cannot be used.
  """
  request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
  gin_files.load(request["gin_files"], request["bindings"])
  settings = gin_files.configured(settings_lib.Pretraining)()
  settings = dataclasses.replace(
    settings,
    seed=request["seed"],
    monitors=[
      monitor
      for monitor in settings.all_monitors
      if isinstance(
        monitor, labeled.LabeledImages | representation.Representation
      )
    ],
    more_monitors=(),
  )
  clock = CLOCKS[request["clock"]]
  step_seconds = request["step_seconds"]
  if step_seconds is None:
    step_seconds = _calibrate(settings, folder / "calibration", clock)
  steps = max(1, round(request["budget_seconds"] / step_seconds))
  result = _train(dataclasses.replace(settings, steps=steps), folder, clock)
  workdir.write_json(
    folder / RESULT, {"step_seconds": step_seconds, "steps": steps, **result}
  )


def _calibrate(settings, folder: pathlib.Path, clock) -> float:
  """Seconds of a step, measured in a short run."""
  readings = Clock(clock, every=1)
  steps = _PARTS * _STEPS_OF_PART
  pretrain.pretrain(
    dataclasses.replace(settings, steps=steps, monitors=[readings]),
    model_dir=str(folder),
    overwrite=True,
  )
  shutil.rmtree(folder)
  return seconds_per_step(readings.readings)


def _train(settings, folder: pathlib.Path, clock) -> Mapping[str, Any]:
  """Trains and measures; removes the run, keeps its config."""
  model_dir = folder / "run"
  clocks = {name: [] for name in CLOCKS}
  # The last monitor before the first step and the first after the last one see
  # the training alone.
  monitors = [
    *(Clock(read) for read in CLOCKS.values()),
    *settings.monitors,
    *(Clock(read) for read in CLOCKS.values()),
  ]
  found = pretrain.pretrain(
    dataclasses.replace(settings, monitors=monitors),
    model_dir=str(model_dir),
    overwrite=True,
    operative_config=gin.operative_config_str,
  )
  errors.require(
    found.finished, f"stopped by {found.stopped_by} at step {found.step}"
  )
  count = len(CLOCKS)
  for name, first, last in zip(
    clocks, monitors[:count], monitors[-count:], strict=True
  ):
    clocks[name] = first.readings[-1][1] - last.readings[0][1]
  images = sum(
    (part.stop - part.start) * part.batch_size
    for part in settings.timeline.parts
  )
  shutil.copy(model_dir / "operative_config.gin", folder / "config.gin")
  shutil.rmtree(model_dir)
  return {
    "cpu_seconds": clocks["cpu"],
    "wall_seconds": clocks["wall"],
    "images_per_second": images / clocks["wall"],
    "before": dict(found.before),
    "after": dict(found.after),
  }


if __name__ == "__main__":
  child_process.watch_parent(os.getppid())
  try:
    main(pathlib.Path(sys.argv[1]))
  except errors.UsageError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
