"""Reads the folders of pretraining runs.

Runs may be unfinished, interrupted or damaged: what can be read is compared,
and `Run.notes` says what cannot.
"""

import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.ops import names, operative_config, step_records, workdir

# Of a run's folder; `training.run_directory` and its log write them.
METRICS_FILE = "metrics.jsonl"
TIMINGS_FILE = "timings.jsonl"  # Of deterministic runs.
RUN_FILE = "run.json"
CONFIG_FILE = "operative_config.gin"
_SETTINGS = "settings.Pretraining."
_BUILDER = re.compile(r"\bbuild_(\w+)")
_SHOWN_LINES = 8  # Numbers of damaged lines to name at most.


class Run(NamedTuple):
  """One pretraining run.

  Attributes:
    label: name in tables, different for each run.
    path: path of its folder.
    method: name of its method, such as "moco"; "" if unknown.
    num_steps: number of steps of the whole run; None if unknown.
    records: records by step, each step once, in order.
    settings: {name: value} of its config.
    origin: {name: value} of run.json, such as versions and data.
    minutes: wall-clock time, minutes; None if unknown, as before a run ends.
    notes: lines about what is damaged, missing or repeated.
  """

  label: str
  path: str
  method: str
  num_steps: int | None
  records: Sequence[Mapping[str, Any]]
  settings: Mapping[str, Any]
  origin: Mapping[str, Any]
  minutes: float | None
  notes: Sequence[str]

  @property
  def step(self) -> int:
    """Last logged step; 0 for none."""
    return self.records[-1]["step"] if self.records else 0

  def curve(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps [n] int64 and finite values [n] float64 of a metric."""
    found = [
      (record["step"], float(record[metric]))
      for record in self.records
      if _is_finite(record.get(metric))
    ]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, np.int64), np.array(values, np.float64)


class Found(NamedTuple):
  """The runs among some folders.

  Attributes:
    runs: runs in the order given, each folder once.
    left_out: a line for each path that is no run, or is given again.
  """

  runs: Sequence[Run]
  left_out: Sequence[str]


def read(paths: Sequence[str]) -> Found:
  """Reads the runs among some folders.

  Args:
    paths: paths of folders, such as all in runs/.

  Raises:
    UsageError: none of them is a run.
  """
  errors.require(paths, "no folder is given; expected those of runs: runs/*")
  folders, left_out = {}, []
  for path in paths:
    problem = _problem(path)
    place = os.path.realpath(path)
    if problem is None and place in folders:
      problem = "is given twice"
    if problem is None:
      folders[place] = path
    else:
      left_out.append(f"{names.escaped(path)} {problem}; left out")
  errors.require(
    folders,
    f"no run among {names.listed(paths, 3)}: expected folders of tools.train,"
    f" with {METRICS_FILE} or {RUN_FILE}; give --model_dir of runs",
  )
  labels = _labels(list(folders.values()))
  runs = [
    _read_run(path, label)
    for path, label in zip(folders.values(), labels, strict=True)
  ]
  return Found(runs, left_out)


def _problem(path: str) -> str | None:
  """Why a path is no run; None for a run."""
  if not os.path.exists(path):
    return "does not exist"
  if not os.path.isdir(path):
    return "is a file, not the folder of a run"
  known = [
    os.path.exists(os.path.join(path, n)) for n in (METRICS_FILE, RUN_FILE)
  ]
  if not any(known):
    return f"is not a run: it has no {METRICS_FILE} and no {RUN_FILE}"
  return None


def _labels(paths: Sequence[str]) -> list[str]:
  """The shortest ends of the paths that tell them apart, on one line each."""
  parts = [pathlib.Path(os.path.abspath(path)).parts for path in paths]
  count = 1
  while len({part[-count:] for part in parts}) < len(parts) and count < max(
    map(len, parts)
  ):
    count += 1
  return [names.escaped("/".join(part[-count:])) for part in parts]


def _read_run(path: str, label: str) -> Run:
  notes = []
  records = _merged(
    _records(path, METRICS_FILE, notes), _records(path, TIMINGS_FILE, [])
  )
  if not records:
    notes.append("no records yet")
  config = _config(path, notes)
  record = _json(path, notes)
  bound = operative_config.bindings(config)
  num_steps = operative_config.value(bound, f"{_SETTINGS}steps")
  if num_steps is None:
    num_steps = operative_config.value(bound, "STEPS")
  seconds = record.get("wall_seconds")
  saved, logged = record.get("step"), records[-1]["step"] if records else 0
  if not _is_finite(saved) or saved < logged:
    seconds = None  # A run writes it down where it ends.
  return Run(
    label=label,
    path=path,
    method=_method(bound),
    num_steps=num_steps if type(num_steps) is int else None,
    records=records,
    settings=operative_config.settings(bound),
    origin=_origin(record),
    minutes=seconds / 60 if _is_finite(seconds) else None,
    notes=[f"{label}: {note}" for note in notes],
  )


def _records(path: str, name: str, notes: list[str]) -> list[dict[str, Any]]:
  """Records of one file, each step once; what is wrong goes to `notes`.

  Where the steps go back, a resumed run has logged again what came after its
  checkpoint: the later records replace the earlier ones.
  """
  try:
    read_records = step_records.read(os.path.join(path, name))
  except OSError as error:
    notes.append(f"{name} cannot be read ({error.strerror}); left out")
    return []
  if read_records.damaged:
    lines = read_records.damaged
    shown = ", ".join(map(str, lines[:_SHOWN_LINES]))
    more = ", ..." if len(lines) > _SHOWN_LINES else ""
    notes.append(
      f"{name}: {len(lines)} of {len(lines) + len(read_records.records)} lines"
      f" are damaged and skipped: {'line' if len(lines) == 1 else 'lines'}"
      f" {shown}{more}"
    )
  kept = []
  repeated = 0
  for record in read_records.records:
    while kept and kept[-1]["step"] >= record["step"]:
      kept.pop()
      repeated += 1
    kept.append(record)
  if repeated:
    notes.append(
      f"{name}: {repeated} records of steps that were logged again are skipped"
    )
  return kept


def _merged(
  records: Sequence[dict[str, Any]], timings: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
  by_step = {record["step"]: record for record in timings}
  return [{**by_step.get(each["step"], {}), **each} for each in records]


def _config(path: str, notes: list[str]) -> str:
  try:
    file = pathlib.Path(path, CONFIG_FILE)
    text = file.read_text("utf-8", errors="replace")
  except OSError as error:
    notes.append(
      f"{CONFIG_FILE} cannot be read ({error.strerror}): its settings are not"
      " compared"
    )
    return ""
  if not operative_config.bindings(text):
    notes.append(f"{CONFIG_FILE} has no settings to compare")
  return text


def _json(path: str, notes: list[str]) -> dict[str, Any]:
  """Content of run.json; {} with a note where there is none."""
  file = os.path.join(path, RUN_FILE)
  if not os.path.exists(file):
    notes.append(f"no {RUN_FILE}")
    return {}
  try:
    record = workdir.read_json(file)
  except OSError as error:
    notes.append(f"{RUN_FILE} cannot be read ({error.strerror}); left out")
    return {}
  if not isinstance(record, dict):
    notes.append(f"{RUN_FILE} is damaged; left out")
    return {}
  return record


def _method(bound: Mapping[str, str]) -> str:
  """Name of the method by its builder, else by the builder's settings."""
  value = operative_config.value(bound, f"{_SETTINGS}method")
  texts = [value] if isinstance(value, str) else list(bound)
  found = [match[1] for text in texts if (match := _BUILDER.search(text))]
  if found:
    return found[0]
  return value.lstrip("@").removesuffix("()") if isinstance(value, str) else ""


def _origin(record: Mapping[str, Any]) -> dict[str, Any]:
  """What made a run, besides its settings: code, versions, machine, data."""
  found = {}
  for name in ("git_commit", "precision", "seed"):
    if name in record:
      found[name] = record[name]
  for name in ("data", "hardware", "versions"):
    group = record.get(name)
    if isinstance(group, dict):
      found.update({f"{name}.{key}": value for key, value in group.items()})
  return found


def _is_finite(value: Any) -> bool:
  is_number = isinstance(value, int | float) and not isinstance(value, bool)
  try:
    return is_number and math.isfinite(value)
  except OverflowError:  # An integer beyond any float.
    return False
