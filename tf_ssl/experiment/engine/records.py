"""Records of finished nodes: their numbers, without the files that they made.

With records an experiment goes on on another machine, and its page is made
where its models are not.
"""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import stamps
from tf_ssl.ops import workdir

RECORDS_FILE = "steps.jsonl"


class Record(NamedTuple):
  """What is kept of a finished node.

  Attributes:
    name: name of the node.
    key: key of the node.
    inputs: {name of an input: digest of its product}.
    digest: digest of its product.
    seconds: run time in seconds, summed over interrupted runs.
    ended: end in seconds since 1970.
    measures: {name: number} of its results.
    curves: {metric: [[step, value], ...]} of its training log.
  """

  name: str
  key: str
  inputs: dict[str, str]
  digest: str
  seconds: float
  ended: float
  measures: dict[str, float]
  curves: dict[str, list[list[float]]]

  @property
  def span(self) -> tuple[float, float]:
    """Start and end in seconds since 1970, as if it had run without a break."""
    return self.ended - self.seconds, self.ended


def folder_of(records_dir: str | None, name: str) -> str | None:
  """The folder of an experiment's records, and of its plan; None for none.

  Args:
    records_dir: folder of the records of all experiments; None for none.
    name: name of the experiment.
  """
  return records_dir and os.path.join(records_dir, name)


def _record(values: Mapping[str, Any]) -> Record:
  """A record from JSON values; TypeError if they are of other types."""
  record = Record(**values)
  kinds = (str, str, dict, str, int | float, int | float, dict, dict)
  for name, value, kind in zip(Record._fields, record, kinds, strict=True):
    if not isinstance(value, kind):
      raise TypeError(f"{name}: {value!r}")
  return record


class Records:
  """The records of one experiment, in a file with a line for each."""

  def __init__(self, folder: str | None = None):
    """Reads the records of a folder.

    Args:
      folder: folder of the file, which may be missing; None for no records.

    Raises:
      UsageError: the file is damaged.
    """
    self._path = folder and os.path.join(folder, RECORDS_FILE)
    self._by_name: dict[tuple[str, str], Record] = {}
    if not self._path or not os.path.exists(self._path):
      return
    try:
      with open(self._path, "rb") as file:
        lines = file.readlines()
    except OSError as error:
      raise errors.UsageError(
        f"{self._path} cannot be read ({error.strerror}); change --records"
      ) from error
    for number, line in enumerate(lines, 1):
      try:
        record = _record(json.loads(line))
      except (ValueError, TypeError) as error:
        raise errors.UsageError(
          f"{self._path}, line {number}: damaged ({error}); restore the file,"
          " or remove it to run all steps that are not in --output_dir"
        ) from error
      self._by_name[record.name, record.key] = record

  def usable(
    self,
    nodes: Mapping[str, plan_lib.Node],
    done: Mapping[str, stamps.Stamp],
  ) -> dict[str, Record]:
    """The records that stand in for nodes which this machine has not run.

    A record of a model does only if nothing has to be measured on it any more.
    A record of a measurement does only if its model is the one that it
    measured. What is made without a seed, such as rendered images, counts as
    the same if its key is.

    Args:
      nodes: nodes by name, each after its inputs.
      done: {name: stamp} of the nodes whose outputs are here.
    """
    found = {
      name: self._by_name[name, node.key]
      for name, node in nodes.items()
      if name not in done and (name, node.key) in self._by_name
    }

    def stands(name: str) -> bool:
      inputs = found[name].inputs
      return all(
        each in found
        or nodes[each].seed is None
        or (each in done and done[each].digest == inputs.get(each))
        for each in nodes[name].inputs
      ) and all(
        user in found or user in done
        for user, node in nodes.items()
        if name in node.inputs
      )

    while dropped := [name for name in found if not stands(name)]:
      for name in dropped:
        del found[name]
    return found

  def add(
    self,
    nodes: Mapping[str, plan_lib.Node],
    done: Mapping[str, "stamps.Stamp | Record"],
    numbers: Callable[[plan_lib.Node], Mapping[str, Any]],
  ) -> None:
    """Adds records of finished nodes, and writes the file if there is one.

    Args:
      nodes: nodes by name.
      done: {name: stamp or record} of the finished ones.
      numbers: returns the `measures` and `curves` of a finished node.

    Raises:
      UsageError: the file cannot be written.
    """
    if not self._path:
      return
    new = {}
    for name, stamp in done.items():
      node = nodes[name]
      known = self._by_name.get((name, node.key))
      if known is None or known.digest != stamp.digest:
        new[name, node.key] = Record(
          name=name,
          key=node.key,
          inputs=stamp.inputs,
          digest=stamp.digest,
          seconds=stamp.seconds,
          ended=stamp.span[1],
          **numbers(node),
        )
    if not new:
      return
    self._by_name.update(new)
    lines = (
      json.dumps(record._asdict(), separators=(",", ":"))
      for _, record in sorted(self._by_name.items())
    )
    with workdir.writable(self._path, "--records"):
      os.makedirs(os.path.dirname(self._path), exist_ok=True)
      workdir.write_text(self._path, "".join(f"{line}\n" for line in lines))
