"""The format of report.json and invariance.json, and their one reader.

`report.json` of tools.evaluate and `invariance.json` of
tools.measure_invariance are both read as a list of `Measured`: one model,
measured by one protocol. A file from elsewhere is checked, and the error names
what it lacks.
"""

import json
import numbers
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.reporting import tables

FORMAT = 1  # Of reports; also of those without a format.
REPORT_FILE = "report.json"
INVARIANCE_FILE = "invariance.json"
_EXPECTED = (
  f"{REPORT_FILE} of tools.evaluate or {INVARIANCE_FILE} of "
  "tools.measure_invariance"
)
# Fields of a model's description that say how it was read; the others follow.
_READ_AS = ("layer", "preprocessing", "image_size", "width")
# Paths of the images change no number; a digest identifies the images.
_PATHS = ("root", "path", "folder", "file")


class Measured(NamedTuple):
  """One model, measured once by one protocol.

  Attributes:
    path: path of the report.
    protocol: name of the protocol.
    model: name of the model.
    digest: SHA-256 of the model's weights and computation.
    read_as: {field: JSON value} that say how the model was read, such as its
      layer.
    seeds: {field: JSON value}, seeds of the protocol and of the model's
      training.
    settings: {field: JSON value}, settings of the protocol without seeds; a dot
      separates the levels of a nested field.
    data: {field: JSON value} that identify the images, with dots between
      levels; "skipped" is the number of images left out.
    software: {name: version} of the software that made the report.
    results: {name: number}; None where the result was not finite.
    intervals: {name of a result: (low, high)}, 95 % intervals over the seeds of
      the protocol; empty with a single seed.
  """

  path: str
  protocol: str
  model: str
  digest: str
  read_as: Mapping[str, Any]
  seeds: Mapping[str, Any]
  settings: Mapping[str, Any]
  data: Mapping[str, Any]
  software: Mapping[str, Any]
  results: Mapping[str, float | None]
  intervals: Mapping[str, tuple[float, float]] = {}


def read(path: str) -> list[Measured]:
  """Reads a report.

  Args:
    path: path of the file or of its folder.

  Returns:
    One entry for `report.json`; one for each model and invariance for
    `invariance.json`.

  Raises:
    UsageError: the file is missing, is not JSON, is not a report, or has
      another format.
  """
  path = _file(path)
  content = _json(path)
  version = content.get("format", FORMAT)
  if version != FORMAT:
    raise errors.UsageError(
      f"report {path} has the format {version!r}; this version of tf_ssl reads "
      f"format {FORMAT}; measure again, or compare with the version of tf_ssl "
      "that wrote the report"
    )
  try:
    if "scores" in content and "protocol" not in content:
      found = list(_invariances(path, content))
    else:
      found = [_evaluation(path, content)]
  except KeyError as error:
    raise _no_report(path, f"it has no {error.args[0]!r}") from None
  except (TypeError, AttributeError, ValueError) as error:
    raise _no_report(path, str(error)) from None
  if not found:
    raise _no_report(path, "it has no scores")
  return found


def _file(path: str) -> str:
  if os.path.isdir(path):
    for name in (REPORT_FILE, INVARIANCE_FILE):
      if os.path.isfile(os.path.join(path, name)):
        return os.path.join(path, name)
  if not os.path.isfile(path):
    what = "the folder has none" if os.path.isdir(path) else "no such file"
    raise errors.UsageError(f"report {path}: {what}; expected {_EXPECTED}")
  return path


def _json(path: str) -> dict[str, Any]:
  try:
    with open(path, encoding="utf-8") as file:
      content = tables.json_value(json.load(file))
  except OSError as error:
    raise errors.UsageError(
      f"report {path} cannot be read: {error.strerror or error}"
    ) from error
  except (ValueError, RecursionError) as error:
    raise errors.UsageError(
      f"report {path} is not JSON ({error}): it is damaged or truncated; "
      f"expected {_EXPECTED}"
    ) from None
  if not isinstance(content, dict):
    raise _no_report(path, f"it holds a {type(content).__name__}")
  return content


def _no_report(path: str, why: str) -> errors.UsageError:
  return errors.UsageError(
    f"{path} is not a report: {why}; expected {_EXPECTED}"
  )


def _evaluation(path: str, content: Mapping[str, Any]) -> Measured:
  settings, seeds = _without_seeds(_flat(_mapping(content, "settings")))
  trained_with = _training_seed(content.get("provenance"))
  if trained_with is not None:
    seeds["training"] = trained_with
  versions = dict(_mapping(content, "versions"))
  return Measured(
    path=path,
    protocol=_text(content, "protocol"),
    seeds=seeds,
    settings=settings,
    data=_identifying(_mapping(content, "data"))
    | {"skipped": len(content.get("skipped") or ())},
    software=versions | {"commit": content.get("git_commit")},
    results=_results(_mapping(content, "results")),
    intervals=_intervals(content.get("details") or {}),
    **_model(_mapping(content, "model")),
  )


def _invariances(path: str, content: Mapping[str, Any]) -> Iterator[Measured]:
  """One entry for each model and invariance, in the order of the scores."""
  models = {_text(model, "name"): model for model in content["models"]}
  seeds = {"seed": _mapping(content, "settings").get("seed")}
  fraction = content["settings"].get("firing_fraction")
  sets = {entry["invariance"]: entry for entry in content["sets"]}
  found = {}
  for row in content["scores"]:
    name, invariance = _text(row, "model"), _text(row, "invariance")
    results = found.setdefault((name, invariance), ({}, row))[0]
    results[f"top{row['k']}_percent"] = row["score"]
  for (name, invariance), (results, row) in found.items():
    entry = _mapping(sets, invariance)
    yield Measured(
      path=path,
      protocol=f"{invariance.replace('_', ' ')} invariance",
      seeds=seeds,
      settings={
        "variant": row["variant"],
        "firing_fraction": fraction,
        "image_size": row["image_size"],
      },
      data={
        "sets.sha256": row["dataset_sha256"],
        "sets.images": row["images"],
        "sets.sets": row["sets"],
        "sets.classes": row["classes"],
        "sets.cropped": entry.get("cropped"),
      },
      software={},
      results=_results(results),
      **_model(_mapping(models, name)),
    )


def _model(described: Mapping[str, Any]) -> dict[str, Any]:
  return {
    "model": _text(described, "name"),
    "digest": _text(described, "digest"),
    "read_as": {name: described.get(name) for name in _READ_AS},
  }


def _results(given: Mapping[str, Any]) -> dict[str, float | None]:
  for name, value in given.items():
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if value is not None and not is_number:
      raise ValueError(f"its result {name!r} is {value!r}, not a number")
  return dict(given)


def _intervals(
  details: Mapping[str, Any],
) -> dict[str, tuple[float, float]]:
  """{name: (low, high)} of {name: [mean, low, high]}, without empty ends."""
  return {
    name: (float(low), float(high))
    for name, (_, low, high) in (details.get("intervals_95") or {}).items()
    if low is not None and high is not None
  }


def _training_seed(provenance: Any) -> Any:
  """The seed of the model's training run; None where the report lacks it."""
  content = provenance.get("content") if isinstance(provenance, dict) else None
  if not isinstance(content, dict):
    return None
  run = content.get("run")
  return (run if isinstance(run, dict) else content).get("seed")


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
  """{"a": {"b": 1}} -> {"a.b": 1}."""
  found = {}
  for name, value in values.items():
    if isinstance(value, dict) and value:
      found |= _flat(value, f"{before}{name}.")
    else:
      found[f"{before}{name}"] = value
  return found


def _identifying(data: Mapping[str, Any]) -> dict[str, Any]:
  """Fields of the data without the paths of its files."""
  return {
    name: value
    for name, value in _flat(data).items()
    if name.rpartition(".")[2] not in _PATHS
  }


def _without_seeds(
  settings: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Splits settings into those that are no seeds, and the seeds."""
  parts = {True: {}, False: {}}
  for name, value in settings.items():
    last = name.rpartition(".")[2]
    is_seed = last.rpartition("_")[2] in ("seed", "seeds")
    parts[is_seed][name] = value
  return parts[False], parts[True]


def _mapping(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
  value = content[name]
  if not isinstance(value, dict):
    raise ValueError(f"its {name!r} is {_short(value)}, not an object")
  return value


def _text(content: Mapping[str, Any], name: str) -> str:
  value = content[name]
  if not isinstance(value, str) or not value:
    raise ValueError(f"its {name!r} is {_short(value)}, not a name")
  return value


def _short(value: Any) -> str:
  text = json.dumps(value)
  return text if len(text) <= 40 else f"{text[:40]}..."
