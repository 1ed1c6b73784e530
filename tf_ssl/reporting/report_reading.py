"""Reports of measurements, read so that they can be compared.

`report.json` of tools.evaluate and `invariance.json` of
tools.measure_invariance become the same: models measured by a protocol. A
report is data of others: what it lacks is named.
"""

import json
import numbers
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tf_ssl import errors

FORMAT = 1  # of reports; one that does not say has this one
CONFIDENCE = 0.95  # of all intervals that are compared
REPORT_FILE = "report.json"  # as `protocol_report` names it
INVARIANCE_FILE = "invariance.json"  # as `measurement_tables` names it
_EXPECTED = (
  f"{REPORT_FILE} of tools.evaluate or {INVARIANCE_FILE} of "
  "tools.measure_invariance"
)
# What of a model's description says how it was read; the rest is chosen by it.
_READ_AS = ("layer", "preprocessing", "image_size", "width")
# Where a set of images lay changes no number; its digest says which it was.
_PLACES = ("root", "path", "folder", "file")


class Measured(NamedTuple):
  """One model, measured once by one protocol.

  Attributes:
    path: of the report.
    protocol: name of the protocol.
    model: name of the model.
    digest: of its weights and of what is computed with them.
    read_as: {field: JSON value}, how the model was read.
    seeds: {field: JSON value}, of the protocol and of the model's training.
    settings: {field: JSON value} of the protocol, dots between levels, without
      the seeds.
    data: {field: JSON value} that identify the images, likewise; "skipped" is
      the number of those left out.
    software: {name: version}.
    results: {name: number, or None where it was not finite}.
    intervals: {name of a result: (low, high)}, at 95 %, over the seeds of the
      protocol that the report is about; empty where it has a single one.
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
    path: of the file, or of the folder that it lies in.

  Returns:
    What was measured: one entry for `report.json`, one for each model and
    invariance for `invariance.json`.

  Raises:
    UsageError: no file there, no JSON, no report, or one of another format.
  """
  path = _file(path)
  content = _json(path)
  version = content.get("format", FORMAT)
  if version != FORMAT:
    raise errors.UsageError(
      f"report {path} has the format {version!r}; this version of tf_ssl reads "
      f"format {FORMAT}; measure again, or compare with the version that wrote "
      "it"
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
    raise _no_report(path, "there is no score in it")
  return found


def _file(path: str) -> str:
  if os.path.isdir(path):
    for name in (REPORT_FILE, INVARIANCE_FILE):
      if os.path.isfile(os.path.join(path, name)):
        return os.path.join(path, name)
  if not os.path.isfile(path):
    what = "no report in it" if os.path.isdir(path) else "not there"
    raise errors.UsageError(f"report {path}: {what}; expected {_EXPECTED}")
  return path


def _json(path: str) -> dict[str, Any]:
  try:
    with open(path, encoding="utf-8") as file:
      content = json.load(file, parse_constant=lambda name: None)
  except OSError as error:
    raise errors.UsageError(
      f"report {path} cannot be read: {error.strerror or error}"
    ) from error
  except (ValueError, RecursionError) as error:
    raise errors.UsageError(
      f"report {path} is not JSON ({error}); it is damaged or was cut short; "
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
    data=_identity(_mapping(content, "data"))
    | {"skipped": len(content.get("skipped") or ())},
    software=versions | {"commit": content.get("git_commit")},
    results=_results(_mapping(content, "results")),
    intervals=_intervals(content.get("details") or {}),
    **_model(_mapping(content, "model")),
  )


def _invariances(path: str, content: Mapping[str, Any]) -> Iterator[Measured]:
  """An entry for each model and invariance, in their order."""
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
  """Of mean, low and high; a single repetition has neither end."""
  return {
    name: (float(low), float(high))
    for name, (_, low, high) in (details.get("intervals_95") or {}).items()
    if low is not None and high is not None
  }


def _training_seed(provenance: Any) -> Any:
  """Of the run that made the model, as far as the report says."""
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


def _identity(data: Mapping[str, Any]) -> dict[str, Any]:
  return {
    name: value
    for name, value in _flat(data).items()
    if name.rpartition(".")[2] not in _PLACES
  }


def _without_seeds(
  settings: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
  """The settings, and the seeds that were among them."""
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
