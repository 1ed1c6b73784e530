"""Compares the numbers of several reports within each protocol.

A protocol is its name, settings and images; numbers of different protocols are
never ranked against each other. Reports of one model by one protocol differ in
the seeds of the training or of the protocol and are averaged.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.comparison import differences as differences_lib
from tf_ssl.reporting import schema, statistics

_PERCENT = "_percent"  # Ends the name of a percentage: more is better.
_LESS_IS_BETTER = ("loss", "error")  # Parts of names.


class Number(NamedTuple):
  """A result of a model over its seeds.

  Attributes:
    values: n values, one per report; None for one that was not finite.
    mean: mean of the values; None if one of them was not finite.
    low: lower end of the 95 % interval of the mean: over the reports, or with a
      single report over the seeds of its protocol; None without an interval.
    high: upper end of the interval; None without an interval.
    rank: rank from 1 among the models of the protocol; None for a single model
      and for results of which neither more nor less is known to be better.
  """

  values: Sequence[float | None]
  mean: float | None
  low: float | None
  high: float | None
  rank: int | None = None


class Protocol(NamedTuple):
  """A protocol with all numbers that it measured.

  Attributes:
    label: name of the protocol, with a letter if several have this name.
    name: name of the protocol.
    fields: {field: JSON value} on which its numbers depend.
    numbers: {name of the result: {label of the model: Number}}.
    reports: {label of the model: its measurements, in the order given}.
  """

  label: str
  name: str
  fields: Mapping[str, Any]
  numbers: Mapping[str, Mapping[str, Number]]
  reports: Mapping[str, Sequence[schema.Measured]]


class Comparison(NamedTuple):
  """All reports, compared.

  Attributes:
    models: labels of the models, in the order of their first reports.
    protocols: protocols, in the order of their first reports.
    differences: {name: {field: value in each protocol of that name}} for names
      of several protocols, with the fields in which these differ.
    software: {name: versions} where several versions made the reports.
  """

  models: Sequence[str]
  protocols: Sequence[Protocol]
  differences: Mapping[str, Mapping[str, Sequence[Any]]]
  software: Mapping[str, Sequence[Any]]


def read(paths: Sequence[str]) -> list[schema.Measured]:
  """Reads reports, each once.

  Args:
    paths: paths of report.json and invariance.json files, or of their folders.

  Raises:
    UsageError: there is no report, one is given twice, or one is missing or
      damaged.
  """
  errors.require(paths, "there is no report; expected at least one")
  seen, measured = set(), []
  for path in paths:
    found = schema.read(path)
    place = os.path.realpath(found[0].path)
    errors.require(
      place not in seen,
      f"the report {found[0].path} is given twice; expected each once",
    )
    seen.add(place)
    measured += found
  return measured


def compare(measured: Sequence[schema.Measured]) -> Comparison:
  """Compares measurements within each protocol.

  Args:
    measured: measurements from `read`, at least one.

  Raises:
    UsageError: two reports have the same measurement, which would count twice.
  """
  labels = _model_labels(measured)
  models = list(dict.fromkeys(labels))
  groups = []  # [name, fields, {model: reports}]
  for each, label in zip(measured, labels, strict=True):
    key = [each.protocol, _fields(each)]
    of_protocol = next((g[2] for g in groups if g[:2] == key), None)
    if of_protocol is None:
      of_protocol = {}
      groups.append([*key, of_protocol])
    of_protocol.setdefault(label, []).append(each)
  names = [name for name, _, _ in groups]
  groups.sort(key=lambda group: names.index(group[0]))  # By name.
  names = [name for name, _, _ in groups]
  protocols = []
  for place, (name, fields, reports) in enumerate(groups):
    for of_model in reports.values():
      _check_different(of_model)
    letter = f" {_letters(names[:place].count(name))}"
    label = name + (letter if names.count(name) > 1 else "")
    protocols.append(Protocol(label, name, fields, _numbers(reports), reports))
  return Comparison(
    models,
    protocols,
    _differences(protocols),
    differences_lib.several([each.software for each in measured]),
  )


def is_percentage(result: str) -> bool:
  """Whether a result of this name is in percent."""
  return result.endswith(_PERCENT)


def readable(result: str) -> str:
  """Name of a result in tables: "top1_percent" -> "top1, %"."""
  unit = ", %" if is_percentage(result) else ""
  return result.removesuffix(_PERCENT).replace("_", " ") + unit


def is_ranked(result: str) -> bool:
  """Whether more or less of a result of this name is known to be better."""
  return is_percentage(result) or _less_is_better(result)


def _less_is_better(result: str) -> bool:
  return any(word in result for word in _LESS_IS_BETTER)


def _fields(each: schema.Measured) -> dict[str, Any]:
  return {
    **{f"settings.{name}": value for name, value in each.settings.items()},
    **{f"data.{name}": value for name, value in each.data.items()},
  }


def _model_labels(measured: Sequence[schema.Measured]) -> list[str]:
  """Names of models, with their layer or pixels if these differ for a name."""
  ways = {}
  for each in measured:
    known = ways.setdefault(each.model, [])
    if each.read_as not in known:
      known.append(each.read_as)
  labels = []
  for each in measured:
    differing = differences_lib.several(ways[each.model])
    how = ", ".join(f"{name} {each.read_as[name]}" for name in differing)
    labels.append(f"{each.model} ({how})" if how else each.model)
  return labels


def _check_different(reports: Sequence[schema.Measured]) -> None:
  """Raises UsageError if two reports have the same measurement."""
  seen = {}
  for each in reports:
    key = each.digest, json.dumps(each.seeds, sort_keys=True)
    if key in seen:
      raise errors.UsageError(
        f"{seen[key]} and {each.path} have the same measurement: model "
        f"{each.model!r} with the same weights and seeds by {each.protocol}; "
        "give one of them, or runs with different seeds"
      )
    seen[key] = each.path


def _numbers(
  reports: Mapping[str, Sequence[schema.Measured]],
) -> dict[str, dict[str, Number]]:
  results = dict.fromkeys(
    name for each in reports.values() for one in each for name in one.results
  )
  numbers = {}
  for result in results:
    found = {}
    for model, each in reports.items():
      given = [one for one in each if result in one.results]
      if given:
        found[model] = _number(result, given)
    numbers[result] = _ranked(result, found)
  return numbers


def _number(result: str, reports: Sequence[schema.Measured]) -> Number:
  """Mean with its interval over the reports, or within a single report."""
  values = [each.results[result] for each in reports]
  if any(value is None for value in values):
    return Number(values, None, None, None)
  if len(reports) == 1:
    ends = reports[0].intervals.get(result, (None, None))
    return Number(values, values[0], *ends)
  over = statistics.mean_interval(values, confidence=statistics.CONFIDENCE)
  return Number(values, *over)


def _ranked(result: str, found: Mapping[str, Number]) -> dict[str, Number]:
  """Numbers of one protocol and result with ranks; equal means share one."""
  means = [number.mean for number in found.values() if number.mean is not None]
  if len(means) < 2 or not is_ranked(result):
    return dict(found)
  means.sort(reverse=not _less_is_better(result))
  return {
    model: number._replace(
      rank=None if number.mean is None else means.index(number.mean) + 1
    )
    for model, number in found.items()
  }


def _differences(
  protocols: Sequence[Protocol],
) -> dict[str, dict[str, list[Any]]]:
  differences = {}
  for name in dict.fromkeys(protocol.name for protocol in protocols):
    same_name = [each.fields for each in protocols if each.name == name]
    if len(same_name) > 1:
      differing = differences_lib.several(same_name)
      differences[name] = {
        field: [fields.get(field) for fields in same_name]
        for field in differing
      }
  return differences


def _letters(number: int) -> str:
  """0 -> "A", 25 -> "Z", 26 -> "AA"."""
  number, last = divmod(number, 26)
  return (_letters(number - 1) if number else "") + chr(ord("A") + last)
