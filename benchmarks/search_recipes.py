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
import ast
import concurrent.futures
import csv
import hashlib
import itertools
import json
import math
import pathlib
import random
import statistics
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from scipy import stats

from benchmarks import machine, script
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
# Measures without labels -> sign with which more is better.
LABEL_FREE = {
  "contrastive_accuracy": 1,
  "effective_rank": 1,
  "alignment": -1,
  "uniformity": -1,
}
_GIN_FILE = "gin_file"
_MACROS = ("IMAGES", "LABELLED_IMAGES", "HELD_OUT_IMAGES")
Bindings = Mapping[str, Any]


class Trial(NamedTuple):
  """One configuration.

  Attributes:
    number: number of the trial; 0 for the gin file as it is.
    bindings: settings that differ from the gin file.
  """

  number: int
  bindings: Bindings


class Budget(NamedTuple):
  """What a trial may use.

  Attributes:
    clock: "cpu" or "wall".
    seconds: seconds of training.
  """

  clock: str
  seconds: float


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


# --- trials ------------------------------------------------------------------


def read_trials(file: str, *, draws: int = 0, seed: int = 0) -> list[Trial]:
  """Reads the trials of a file, after trial 0.

  Args:
    file: path of a CSV, JSON or YAML file; see the module.
    draws: number of random combinations of a space; 0 for all.
    seed: seed of the draws.

  Raises:
    UsageError: the file cannot be read or is neither trials nor a space.
  """
  path = pathlib.Path(file)
  try:
    with open(path, encoding="utf-8", newline="") as stream:
      if path.suffix == ".csv":
        found = [_cells(row) for row in csv.DictReader(stream)]
      else:
        found = yaml.safe_load(stream)
  except (OSError, UnicodeError, yaml.YAMLError) as error:
    reason = getattr(error, "strerror", None) or str(error).replace("\n", " ")
    raise errors.UsageError(
      f"--trials={file}: cannot be read ({reason}); expected a CSV, JSON or"
      " YAML file"
    ) from error
  if isinstance(found, dict):
    found = _space(file, found, draws, seed)
  errors.require(
    isinstance(found, list)
    and found
    and all(isinstance(each, dict) and each for each in found),
    f"--trials={file}: expected a list of {{setting: value}} or an object"
    " {setting: [values]}, with at least one",
  )
  return [Trial(i, each) for i, each in enumerate([{}, *found])]


def _cells(row: Mapping[str, str]) -> dict[str, Any]:
  return {k: _literal(v.strip()) for k, v in row.items() if v and v.strip()}


def _literal(text: str) -> Any:
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def _space(file: str, axes: dict, draws: int, seed: int) -> list[dict]:
  """All combinations of a space, or some of them."""
  for name, values in axes.items():
    errors.require(
      isinstance(values, list) and values,
      f"--trials={file}: {name}: {values!r}; expected a list of values",
    )
  sizes = [len(values) for values in axes.values()]
  total = math.prod(sizes)
  places = (
    random.Random(seed).sample(range(total), min(draws, total))
    if draws
    else range(total)
  )
  found = []
  for place in places:
    trial = {}
    for name, values in axes.items():
      place, index = divmod(place, len(values))
      value = values[index]
      value = value if isinstance(value, dict) else {name: value}
      files = gin_files(trial) + gin_files(value)
      trial |= {**value, **({_GIN_FILE: files} if files else {})}
    if trial:  # Trial 0 has no settings.
      found.append(trial)
  return found


def gin_lines(bindings: Bindings) -> list[str]:
  """Bindings as lines of a gin file; "@..." and "%..." are references."""
  return [
    f"{name} = {value}"
    if isinstance(value, str) and value[:1] in ("@", "%")
    else f"{name} = {value!r}"
    for name, value in bindings.items()
    if name != _GIN_FILE
  ]


def gin_files(bindings: Bindings) -> list[str]:
  """Paths of the gin files that a trial adds."""
  files = bindings.get(_GIN_FILE, [])
  return [files] if isinstance(files, str) else list(files)


def described(bindings: Bindings) -> str:
  """The settings of a trial in one line."""
  words = gin_files(bindings) + gin_lines(bindings)
  return "; ".join(words) or "as the gin file"


# --- images ------------------------------------------------------------------


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


# --- running -----------------------------------------------------------------


class Speeds:
  """Measured seconds of a step, in a file; trials of equal cost share them."""

  def __init__(self, file: pathlib.Path):
    """Reads what an earlier search has measured."""
    self._file = file
    self._lock = threading.Lock()
    self._known = workdir.read_json(file) if file.exists() else {}

  def get(self, bindings: Bindings) -> float | None:
    """Seconds of a step with these settings; None where not yet measured."""
    return self._known.get(self._key(bindings))

  def put(self, bindings: Bindings, seconds: float) -> None:
    """Keeps a measurement."""
    with self._lock:
      self._known[self._key(bindings)] = seconds
      workdir.write_json(self._file, self._known)

  @staticmethod
  def _key(bindings: Bindings) -> str:
    return json.dumps(
      {k: v for k, v in bindings.items() if k.split(".")[-1] not in _FREE}
    )


def run_round(
  search: Search,
  trials: Sequence[Trial],
  budget: Budget,
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
  search: Search, trial: Trial, seed: int, budget: Budget, speeds: Speeds
) -> dict[str, Any]:
  """Runs one trial with one seed, unless an earlier search has.

  Raises:
    UsageError: an earlier search in this folder had other settings.
  """
  name = f"trial{trial.number}_seed{seed}_{budget.clock}{budget.seconds:g}"
  folder = search.folder / "trials" / name
  request = {
    "gin_files": [*search.gin_files, *gin_files(trial.bindings)],
    "bindings": [*search.bindings, *gin_lines(trial.bindings)],
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
  return _row(trial, seed, budget, workdir.read_json(folder / RESULT))


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


# --- tables ------------------------------------------------------------------


def _row(trial, seed, budget, result) -> dict[str, Any]:
  before, after = result.get("before", {}), result.get("after", {})
  return {
    "trial": trial.number,
    "settings": described(trial.bindings),
    "seed": seed,
    "budget_seconds": budget.seconds,
    "clock": budget.clock,
    **{
      name: result.get(name)
      for name in ("steps", "cpu_seconds", "wall_seconds", "images_per_second")
    },
    "knn_untrained": before.get("knn_accuracy"),
    "knn_trained": after.get("knn_accuracy"),
    "loss": after.get("loss"),
    **{name: after.get(name) for name in LABEL_FREE},
    "error": result.get("error"),
  }


class Line(NamedTuple):
  """The seeds of one trial in one round.

  Attributes:
    trial: number of the trial.
    settings: settings of the trial, as text.
    budget_seconds: seconds of training it may use.
    seeds: number of seeds that ended.
    means: {column: mean over the seeds}.
    spread: largest less smallest kNN of the seeds.
  """

  trial: int
  settings: str
  budget_seconds: float
  seeds: int
  means: Mapping[str, float]
  spread: float


def summed_up(rows: Iterable[Mapping[str, Any]]) -> list[Line]:
  """Averages over seeds, best kNN first; trials that failed come last."""
  groups = {}
  for row in rows:
    groups.setdefault((row["budget_seconds"], row["trial"]), []).append(row)
  lines = []
  for (budget, trial), group in groups.items():
    done = [row for row in group if row["knn_trained"] is not None]
    means = {}
    for name in done[0] if done else ():
      values = [row[name] for row in done]
      if all(isinstance(v, int | float) for v in values):
        means[name] = statistics.fmean(values)
    trained = [row["knn_trained"] for row in done]
    lines.append(
      Line(
        trial,
        group[0]["settings"],
        budget,
        len(done),
        means,
        max(trained) - min(trained) if done else math.nan,
      )
    )
  return sorted(
    lines,
    key=lambda line: (-line.budget_seconds, -line.means.get("knn_trained", -1)),
  )


def rank_correlations(lines: Sequence[Line]) -> dict[str, float]:
  """Spearman's rank correlation of measures without labels with the kNN.

  Args:
    lines: trials of one round.

  Returns:
    {measure: -1..1}, positive where it prefers the trials that the kNN
    prefers; NaN with fewer than 3 trials or equal values.
  """
  done = [line for line in lines if line.seeds]
  trained = [line.means["knn_trained"] for line in done]
  found = {}
  for name, sign in LABEL_FREE.items():
    values = [sign * line.means.get(name, math.nan) for line in done]
    constant = len(set(values)) < 2 or len(set(trained)) < 2
    found[name] = (
      math.nan
      if len(done) < 3 or constant
      else float(stats.spearmanr(values, trained).statistic)
    )
  return found


def markdown(rows: Sequence[Mapping[str, Any]], title: str) -> str:
  """All trials as Markdown, a table for each budget."""
  lines = summed_up(rows)
  text = [f"# {title}", "", f"Processor: {machine.processor()}.", ""]
  clock = rows[0]["clock"] if rows else "cpu"
  for budget, group in itertools.groupby(lines, lambda x: x.budget_seconds):
    group = list(group)
    text += [
      f"## {budget:g} {'CPU ' if clock == 'cpu' else ''}seconds each",
      "",
      "| trial | settings | seeds | steps | images/s | kNN untrained | trained"
      " | spread | contrastive accuracy | effective rank |",
      "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in group:
      if not line.seeds:
        text.append(
          f"| {line.trial} | {line.settings} | 0 | | | | failed | | | |"
        )
        continue
      m = line.means
      text.append(
        f"| {line.trial} | {line.settings} | {line.seeds} | {m['steps']:.0f} |"
        f" {m['images_per_second']:.0f} | {m['knn_untrained']:.1%} |"
        f" {m['knn_trained']:.1%} | {100 * line.spread:.1f} |"
        f" {m.get('contrastive_accuracy', math.nan):.1%} |"
        f" {m.get('effective_rank', math.nan):.1f} |"
      )
    ranks = ", ".join(
      f"{name} {value:+.2f}"
      for name, value in rank_correlations(group).items()
      if not math.isnan(value)
    )
    text += ["", f"Rank correlation with the kNN: {ranks or 'too few trials'}."]
    text.append("")
  return "\n".join(text)


# --- the command -------------------------------------------------------------


def rounds(
  count: int, budget: Budget, halving: int, most: int
) -> list[tuple[int, Budget]]:
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
  trials: Sequence[Trial],
  plan: Sequence[tuple[int, Budget]],
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


def _of(rows: Sequence[Mapping[str, Any]], budget: Budget) -> list[Line]:
  """The lines of one round, best first."""
  return summed_up(r for r in rows if r["budget_seconds"] == budget.seconds)


def write_tables(search: Search, rows: Sequence[Mapping[str, Any]]) -> None:
  """Writes results.csv and results.md."""
  title = f"Search over {', '.join(search.gin_files)}"
  order = sorted(
    rows, key=lambda row: (row["budget_seconds"], row["trial"], row["seed"])
  )
  workdir.write_text(search.folder / "results.csv", tables.csv_text(order))
  workdir.write_text(search.folder / "results.md", markdown(rows, title))


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
  trials = read_trials(given.trials, draws=given.random)
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
    rounds(len(trials), Budget(clock, seconds), given.halving, given.rounds),
  )
  print((folder / "results.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
  script.run("search_recipes", main)
