"""Repeated measurements: results kept on disk, means and intervals."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.evaluation import protocol
from tf_ssl.ops import workdir
from tf_ssl.reporting import statistics

_KEY_FILE = "depends-on.json"
_ARGUMENT = "--output_dir"
_ENDS = {
  "mean": "mean",
  "low": "95 % interval, low",
  "high": "95 % interval, high",
}


def check(seeds: Sequence[int]) -> None:
  """Checks the seeds of a protocol.

  Args:
    seeds: different integers >= 0, at least one.

  Raises:
    UsageError: the seeds are missing, repeated or negative.
  """
  errors.require(
    seeds and len(set(seeds)) == len(seeds) and min(seeds) >= 0,
    f"seeds={tuple(seeds)}: expected different integers >= 0, such as "
    "(0, 1, 2); change SEEDS",
  )


class KeptResults:
  """A locked folder with one JSON file for each finished part.

  Attributes:
    folder: path of the folder.
  """

  def __init__(self, folder: str):
    """Wraps a folder; `open_results` opens one.

    Args:
      folder: path of an existing folder.
    """
    self.folder = folder

  def result(self, part: str, measure: Callable[[str], Any]) -> Any:
    """The result of a part, measured unless an earlier call has kept it.

    Args:
      part: name of the part, such as "seed-0".
      measure: called with the path of a working folder for checkpoints, which
        may not exist yet; returns JSON values. The working folder is deleted
        once the result is on disk.

    Raises:
      UsageError: the folder cannot be written.
    """
    file = os.path.join(self.folder, f"{part}.json")
    found = workdir.read_json(file)
    if found is None:
      working = os.path.join(self.folder, f"{part}-working")
      found = measure(working)
      with workdir.writable(self.folder, _ARGUMENT):
        workdir.write_json(file, found, indent=None)
      shutil.rmtree(working, ignore_errors=True)
    return found


@contextlib.contextmanager
def open_results(
  folder: str, key: Mapping[str, Any], say: Callable[[str], None]
) -> Iterator[KeptResults]:
  """Opens a measurement's folder, to resume it or to start over.

  The folder is locked until the context ends.

  Args:
    folder: path of a folder for this measurement alone; created where missing.
    key: JSON values, by name, that decide the results. Results kept under
      another key are deleted.
    say: takes a line about settings that have changed.

  Yields:
    The results kept so far.

  Raises:
    UsageError: another process holds the lock, the folder has foreign files, or
      it cannot be written.
  """
  with workdir.writable(folder, _ARGUMENT):
    os.makedirs(folder, exist_ok=True)
  with workdir.locked(folder, _ARGUMENT):
    workdir.open_keyed(
      folder, key, _ARGUMENT, key_file=_KEY_FILE, on_change="replace", say=say
    )
    yield KeptResults(folder)


class Repetitions(NamedTuple):
  """Results of a measurement that was repeated, such as once for each seed.

  Attributes:
    names: names of the repetitions.
    values: results of each repetition by name; None where a repetition has no
      value for it.
  """

  names: Sequence[str]
  values: Sequence[Mapping[str, float | None]]

  def intervals(self) -> dict[str, statistics.MeanInterval]:
    """Mean and 95 % interval of each result that all repetitions have."""
    columns = {
      name: [values[name] for values in self.values] for name in self.values[0]
    }
    return {
      name: statistics.mean_interval(column)
      for name, column in columns.items()
      if None not in column
    }

  def results(self) -> dict[str, float]:
    """Mean of each result, for `protocol.Outcome.results`."""
    return {name: each.mean for name, each in self.intervals().items()}

  def details(self) -> dict[str, Any]:
    """The intervals, for `protocol.Outcome.details`."""
    found = self.intervals()
    return {"intervals_95": {name: list(each) for name, each in found.items()}}

  def table(
    self,
    title: str,
    columns: Mapping[str, str],
    *,
    first: str = "seed",
    extra: Mapping[str, Sequence[Any]] | None = None,
  ) -> protocol.Table:
    """A row for each repetition, and where there are several, their mean.

    Args:
      title: title of the table.
      columns: heading of each result to show; those without a mean are left
        out.
      first: heading of the column of names.
      extra: further columns by heading, a value for each repetition.
    """
    over, extra = self.intervals(), extra or {}
    shown = [name for name in columns if name in over]
    rows = [
      [name, *(values[each] for each in shown), *more]
      for name, values, *more in zip(
        self.names, self.values, *extra.values(), strict=True
      )
    ]
    if len(rows) > 1:
      rows += [
        [label, *(getattr(over[each], end) for each in shown)]
        + [None] * len(extra)
        for end, label in _ENDS.items()
      ]
    return protocol.Table(
      title, [first, *(columns[each] for each in shown), *extra], rows
    )
