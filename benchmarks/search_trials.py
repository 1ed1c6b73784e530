"""The trials of a search: files that name settings, and their gin lines."""

import ast
import csv
import math
import pathlib
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from tf_ssl import errors

_GIN_FILE = "gin_file"
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
