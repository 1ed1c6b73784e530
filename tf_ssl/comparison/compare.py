"""Several reports side by side: what may be compared, and what came out.

Numbers are compared within one protocol, which is its name, its settings and
its images: those of two are never ranked against each other. Reports of one
model by one protocol differ in seeds, of the training or of the protocol; they
are averaged.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.reporting import schema, statistics

_SHARE = "_percent"  # at the end of the name of a share: more is better
_WORSE = ("loss", "error")  # in the name: less is better


class Number(NamedTuple):
  """A result of a model, over its seeds.

  Attributes:
    values: [n], one of each report.
    mean: of them; None where one of them was not finite.
    low: lower end of Student's interval of the mean at 95 %, over the reports;
      of a single report the one that it gives itself, over seeds of its
      protocol; None without.
    high: its upper end.
    rank: from 1, among the models that the same protocol measured; None where
      there is a single one, or more is not known to be better.
  """

  values: Sequence[float | None]
  mean: float | None
  low: float | None
  high: float | None
  rank: int | None = None


class Protocol(NamedTuple):
  """A protocol, and all that it measured.

  Attributes:
    label: its name, with a letter where protocols of that name differ.
    name: its name.
    fields: {field: JSON value}, all that its numbers depend on.
    numbers: {name of the result: {label of the model: Number}}.
    reports: {label of the model: what was measured, in the order given}.
  """

  label: str
  name: str
  fields: Mapping[str, Any]
  numbers: Mapping[str, Mapping[str, Number]]
  reports: Mapping[str, Sequence[schema.Measured]]


class Comparison(NamedTuple):
  """All reports.

  Attributes:
    models: labels, in the order of their first reports.
    protocols: likewise.
    differences: {name of a protocol: {field: its value in each protocol of that
      name, in their order}}, of the fields that are not the same in all; only
      names that stand for several protocols.
    software: {name: versions}, where reports were made with different ones.
  """

  models: Sequence[str]
  protocols: Sequence[Protocol]
  differences: Mapping[str, Mapping[str, Sequence[Any]]]
  software: Mapping[str, Sequence[Any]]


def read(paths: Sequence[str]) -> list[schema.Measured]:
  """Reads reports, each once.

  Raises:
    UsageError: as `schema.read`; none, or one of them twice.
  """
  if not paths:
    raise errors.UsageError("there is no report; expected at least one")
  seen, measured = {}, []
  for path in paths:
    found = schema.read(path)
    place = os.path.realpath(found[0].path)
    if place in seen:
      raise errors.UsageError(
        f"the report {found[0].path} is given twice; expected each once"
      )
    seen[place] = True
    measured += found
  return measured


def compare(measured: Sequence[schema.Measured]) -> Comparison:
  """Puts what was measured side by side.

  Args:
    measured: of `read`, at least one.

  Raises:
    UsageError: two reports of the same measurement, which would count twice.
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
  groups.sort(key=lambda group: names.index(group[0]))  # of one name together
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
    _several([each.software for each in measured]),
  )


def is_share(result: str) -> bool:
  """Whether a result of this name is a share, in percent."""
  return result.endswith(_SHARE)


def name_in_words(result: str) -> str:
  """A result's name for people: "top1_percent" -> "top1, %"."""
  unit = ", %" if is_share(result) else ""
  return result.removesuffix(_SHARE).replace("_", " ") + unit


def is_ranked(result: str) -> bool:
  """Whether more, or less, of a result of this name is known to be better."""
  return is_share(result) or _is_worse(result)


def _is_worse(result: str) -> bool:
  return any(word in result for word in _WORSE)


def _fields(each: schema.Measured) -> dict[str, Any]:
  return {
    **{f"settings.{name}": value for name, value in each.settings.items()},
    **{f"data.{name}": value for name, value in each.data.items()},
  }


def _model_labels(measured: Sequence[schema.Measured]) -> list[str]:
  """Names of models, with how they were read where one name was read twice."""
  ways = {}
  for each in measured:
    known = ways.setdefault(each.model, [])
    if each.read_as not in known:
      known.append(each.read_as)
  labels = []
  for each in measured:
    differing = _several(ways[each.model])
    how = ", ".join(f"{name} {each.read_as[name]}" for name in differing)
    labels.append(f"{each.model} ({how})" if how else each.model)
  return labels


def _check_different(reports: Sequence[schema.Measured]) -> None:
  """Raises UsageError where the same was measured twice."""
  seen = {}
  for each in reports:
    key = each.digest, json.dumps(each.seeds, sort_keys=True)
    if key in seen:
      raise errors.UsageError(
        f"{seen[key]} and {each.path} report the same: model {each.model!r} of "
        f"the same weights by {each.protocol} with the same seeds; give one of "
        "them, or runs with different seeds"
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
  """The mean with its interval over the reports, or within the only one."""
  values = [each.results[result] for each in reports]
  if any(value is None for value in values):
    return Number(values, None, None, None)
  if len(reports) == 1:
    ends = reports[0].intervals.get(result, (None, None))
    return Number(values, values[0], *ends)
  over = statistics.mean_interval(values, confidence=statistics.CONFIDENCE)
  return Number(values, *over)


def _ranked(result: str, found: Mapping[str, Number]) -> dict[str, Number]:
  """Numbers of one protocol and result, with their ranks; equal ones share."""
  means = [number.mean for number in found.values() if number.mean is not None]
  if len(means) < 2 or not is_ranked(result):
    return dict(found)
  means.sort(reverse=not _is_worse(result))
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
      differing = _several(same_name)
      differences[name] = {
        field: [fields.get(field) for fields in same_name]
        for field in differing
      }
  return differences


def _several(dictionaries: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
  """{key: its distinct values} of keys that have several, or are not in all."""
  keys = dict.fromkeys(key for each in dictionaries for key in each)
  found = {}
  for key in keys:
    values = []
    for each in dictionaries:
      if each.get(key) not in values:
        values.append(each.get(key))
    if len(values) > 1:
      found[key] = values
  return found


def _letters(number: int) -> str:
  """0 -> "A", 25 -> "Z", 26 -> "AA"."""
  number, last = divmod(number, 26)
  return (_letters(number - 1) if number else "") + chr(ord("A") + last)
