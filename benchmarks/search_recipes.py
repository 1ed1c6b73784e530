r"""Searches for the settings that learn most within equal budgets.

  python -m benchmarks.search_recipes --trials=trials.json \
    --gin_file=gin_configs/pretrain/moco_v2_cifar10.gin \
    --images=cifar10/train --cpu_seconds=200 --output_dir=searched/a

Each trial is a set of gin bindings. All train for the same budget: --minutes on
a quiet machine, or --cpu_seconds of the training process on a shared one. A
short run measures the seconds of a step first, so that the learning-rate
schedule ends with the budget. The choice never sees test images: a part of the
training images of each class, chosen by a hash of their names, is held out; the
others are trained on and vote in the kNN.

--trials is one of

- a JSON or YAML list of {setting: value};
- a CSV file with a column for each setting; an empty cell leaves the value of
  the gin file;
- a JSON or YAML object {setting: [values]}: all combinations, or --random=N of
  them. A value that is an object itself sets several settings at once, and the
  name before it is only a name.

The setting "gin_file" names one or several gin files that the trial adds to
those of the search.

Trial 0 is the gin file (with --gin_bindings) as it is. --halving=K trains in
rounds: after each, the best 1/K of the trials get K times the budget, from
scratch, until one is left or --rounds are done. `results.csv` and `results.md`
in --output_dir list all trials, also those that lost, and how well measures
without labels rank them. The same command resumes a stopped search. Trials run
one after the other, or --jobs=N at once.
"""

import argparse
import concurrent.futures
import hashlib
import json
import math
import pathlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import script, search_tables, search_trials
from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.ops import child_process, progress, workdir
from tf_ssl.reporting import tables

REQUEST, RESULT = "request.json", "result.json"
# Settings that do not change the time of a step: trials that differ only in
# these share one measurement of it.
_FREE = (
  "LEARNING_RATE",
  "SEED",
  "momentum",
  "temperature",
  "weight_decay",
  "sgd_momentum",
  "strength",
)
_MACROS = ("IMAGES", "LABELLED_IMAGES", "HELD_OUT_IMAGES")


class Search(NamedTuple):
  """What all trials share.

  Attributes:
    gin_files: paths of the gin files.
    bindings: gin bindings of all trials, as text.
    seeds: seeds of each trial.
    folder: output folder.
    jobs: number of trials at once.
  """

  gin_files: Sequence[str]
  bindings: Sequence[str]
  seeds: Sequence[int]
  folder: pathlib.Path
  jobs: int


def split(folder: str, fraction: float, output: pathlib.Path) -> list[str]:
  """Writes manifests of the training images to train on and to hold out.

  In each class the images whose names have the smallest hashes are held out, so
  that the choice depends on nothing but the names.

  Args:
    folder: class folders of the training images.
    fraction: fraction of each class to hold out.
    output: folder of the two manifests.

  Returns:
    Paths of the manifests: trained on, held out.

  Raises:
    UsageError: the folder has no class folders, or a class too few images.
  """
  errors.require(
    0.0 < fraction < 1.0,
    f"--held_out={fraction}: expected a fraction between 0 and 1",
  )
  records = image_folder.read(folder, labeled=True)
  files = [name.decode(errors="surrogateescape") for name in records.files]
  classes = {}
  for name, label in zip(files, records.labels, strict=True):
    classes.setdefault(records.class_names[label], []).append(name)
  parts = {"trained_on": [], "held_out": []}
  for label, members in classes.items():
    members.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    count = round(fraction * len(members))
    errors.require(
      0 < count < len(members),
      f"--images={folder}: class {label} has {len(members)} images; expected"
      f" enough to hold out a fraction of {fraction}",
    )
    for part, names in zip(
      parts, (members[count:], members[:count]), strict=True
    ):
      parts[part] += [
        {"path": f"{records.root}/{name}", "label": label}
        for name in sorted(names)
      ]
  paths = []
  for part, rows in parts.items():
    paths.append(str(output / f"{part}.csv"))
    workdir.write_text(paths[-1], tables.csv_text(rows))
  return paths


class Speeds:
  """Measured seconds of a step, in a file; trials of equal cost share them."""

  def __init__(self, file: pathlib.Path):
    """Reads what an earlier search has measured."""
    self._file = file
    self._lock = threading.Lock()
    self._known = workdir.read_json(file) if file.exists() else {}

  def get(self, bindings: search_trials.Bindings) -> float | None:
    """Seconds of a step with these settings; None where not yet measured."""
    return self._known.get(self._key(bindings))

  def put(self, bindings: search_trials.Bindings, seconds: float) -> None:
    """Keeps a measurement."""
    with self._lock:
      self._known[self._key(bindings)] = seconds
      workdir.write_json(self._file, self._known)

  @staticmethod
  def _key(bindings: search_trials.Bindings) -> str:
    return json.dumps(
      {k: v for k, v in bindings.items() if k.split(".")[-1] not in _FREE}
    )


def run_round(
  search: Search,
  trials: Sequence[search_trials.Trial],
  budget: search_trials.Budget,
  on_row: Callable[[dict[str, Any]], None],
) -> None:
  """Runs all trials with all seeds; calls `on_row` with each one's row."""
  speeds = Speeds(search.folder / f"speeds_{budget.clock}.json")
  with concurrent.futures.ThreadPoolExecutor(search.jobs) as pool:
    waiting = [
      pool.submit(run_trial, search, trial, seed, budget, speeds)
      for seed in search.seeds
      for trial in trials
    ]
    try:
      for each in concurrent.futures.as_completed(waiting):
        on_row(each.result())
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      raise


def run_trial(
  search: Search,
  trial: search_trials.Trial,
  seed: int,
  budget: search_trials.Budget,
  speeds: Speeds,
) -> dict[str, Any]:
  """Runs one trial with one seed, unless an earlier search has.

  Raises:
    UsageError: an earlier search in this folder had other settings.
  """
  name = f"trial{trial.number}_seed{seed}_{budget.clock}{budget.seconds:g}"
  folder = search.folder / "trials" / name
  request = {
    "gin_files": [*search.gin_files, *search_trials.gin_files(trial.bindings)],
    "bindings": [*search.bindings, *search_trials.gin_lines(trial.bindings)],
    "seed": seed,
    "clock": budget.clock,
    "budget_seconds": budget.seconds,
  }
  if not _is_done(folder, request):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).unlink(missing_ok=True)
    workdir.write_json(
      folder / REQUEST, {**request, "step_seconds": speeds.get(trial.bindings)}
    )
    _call(folder)
    result = workdir.read_json(folder / RESULT)
    if "error" not in result:
      speeds.put(trial.bindings, result["step_seconds"])
  return search_tables.row(
    trial, seed, budget, workdir.read_json(folder / RESULT)
  )


def _is_done(folder: pathlib.Path, request: Mapping) -> bool:
  if not (folder / RESULT).exists():
    return False
  before = workdir.read_json(folder / REQUEST)
  errors.require(
    {**before, "step_seconds": None} == {**request, "step_seconds": None},
    f"{folder} holds a trial with other settings; give another --output_dir",
  )
  return "error" not in workdir.read_json(folder / RESULT)


def _call(folder: pathlib.Path) -> None:
  """Runs `recipe_trial` in a process of its own; records why it failed."""
  log = folder / "log.txt"
  with open(log, "wb") as stream:
    child = child_process.start(
      [sys.executable, "-m", "benchmarks.recipe_trial", str(folder)],
      stdout=stream,
      stderr=stream,
    )
    try:
      code = child.wait()
    finally:
      child_process.stop([child], seconds=10)
  if code:
    reason = child_process.last_line(log.read_bytes())
    if code != 2:
      reason = f"{child_process.how_it_ended(code)}: {reason}"
    progress.write(f"{folder.name}: {reason}")
    workdir.write_json(folder / RESULT, {"error": reason})


def rounds(
  count: int, budget: search_trials.Budget, halving: int, most: int
) -> list[tuple[int, search_trials.Budget]]:
  """Number of trials and budget of each round.

  Args:
    count: number of trials.
    budget: budget of the first round.
    halving: K: the best 1/K of a round get K times the budget; 0 for one round.
    most: largest number of rounds; 0 for no limit.
  """
  found = [(count, budget)]
  while halving and found[-1][0] > 1 and len(found) != most:
    count, budget = found[-1]
    found.append(
      (
        math.ceil(count / halving),
        budget._replace(seconds=budget.seconds * halving),
      )
    )
  return found


def search_recipes(
  search: Search,
  trials: Sequence[search_trials.Trial],
  plan: Sequence[tuple[int, search_trials.Budget]],
) -> list[dict[str, Any]]:
  """Runs all rounds, writing the tables after each trial.

  Raises:
    UsageError: all trials of a round failed.
  """
  rows, previous = [], None
  total = len(search.seeds) * sum(n * budget.seconds for n, budget in plan)
  with progress.bar("searching", total=total, unit="budget-s") as bar:
    for count, budget in plan:
      if previous is not None:
        best = [line.trial for line in _of(rows, previous) if line.seeds]
        trials = [trial for trial in trials if trial.number in best[:count]]

      def on_row(row, seconds=budget.seconds):
        rows.append(row)
        write_tables(search, rows)
        bar.update(seconds)

      run_round(search, trials, budget, on_row)
      found = _of(rows, budget)
      errors.require(
        any(line.seeds for line in found),
        f"all trials failed; trial {rows[-1]['trial']}: {rows[-1]['error']}",
      )
      previous = budget
  return rows


def _of(
  rows: Sequence[Mapping[str, Any]], budget: search_trials.Budget
) -> list[search_tables.Line]:
  """The lines of one round, best first."""
  return search_tables.summed_up(
    r for r in rows if r["budget_seconds"] == budget.seconds
  )


def write_tables(search: Search, rows: Sequence[Mapping[str, Any]]) -> None:
  """Writes results.csv and results.md."""
  title = f"Search over {', '.join(search.gin_files)}"
  order = sorted(
    rows, key=lambda row: (row["budget_seconds"], row["trial"], row["seed"])
  )
  workdir.write_text(search.folder / "results.csv", tables.csv_text(order))
  workdir.write_text(
    search.folder / "results.md", search_tables.markdown(rows, title)
  )


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command.

  Raises:
    UsageError: an argument or a file cannot be used.
  """
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--gin_file", action="append", required=True)
  parser.add_argument("--gin_bindings", action="append", default=[])
  parser.add_argument("--images", required=True)
  parser.add_argument("--trials", required=True)
  parser.add_argument("--output_dir", required=True)
  budget = parser.add_mutually_exclusive_group(required=True)
  budget.add_argument("--cpu_seconds", type=float)
  budget.add_argument("--minutes", type=float)
  parser.add_argument("--held_out", type=float, default=0.2)
  parser.add_argument("--seeds", type=int, default=1)
  parser.add_argument("--random", type=int, default=0)
  parser.add_argument("--halving", type=int, default=0)
  parser.add_argument("--rounds", type=int, default=0)
  parser.add_argument("--jobs", type=int, default=1)
  given = parser.parse_args(arguments)
  for name, least in (
    ("seeds", 1),
    ("random", 0),
    ("rounds", 0),
    ("jobs", 1),
  ):
    value = getattr(given, name)
    errors.require(
      value >= least, f"--{name}={value}: expected at least {least}"
    )
  errors.require(
    given.halving == 0 or given.halving >= 2,
    f"--halving={given.halving}: expected 0 for one round, or at least 2",
  )
  seconds = given.cpu_seconds or 60 * (given.minutes or 0.0)
  errors.require(seconds > 0, f"budget of {seconds} seconds: expected above 0")
  trials = search_trials.read_trials(given.trials, draws=given.random)
  folder = pathlib.Path(given.output_dir)
  folder.mkdir(parents=True, exist_ok=True)
  manifests = split(given.images, given.held_out, folder)
  votes = [f"{_MACROS[i]} = {manifests[max(i - 1, 0)]!r}" for i in range(3)]
  clock = "cpu" if given.cpu_seconds else "wall"
  search_recipes(
    Search(
      given.gin_file,
      [*votes, *given.gin_bindings],
      range(given.seeds),
      folder,
      given.jobs,
    ),
    trials,
    rounds(
      len(trials),
      search_trials.Budget(clock, seconds),
      given.halving,
      given.rounds,
    ),
  )
  print((folder / "results.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
  script.run("search_recipes", main)
