"""Runs the nodes of a plan in the order of their inputs, several at once.

A node is done when its stamp says so (see `stamps`): a stamp survives kill -9.
"""

import graphlib
import sys
from collections.abc import Callable, Collection, Mapping
from concurrent import futures
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import records as records_lib
from tf_ssl.experiment.engine import running, stamps
from tf_ssl.ops import progress, threads

_REFRESH_SECONDS = 0.5  # Of the elapsed time in the progress bar.


class Outcome(NamedTuple):
  """The result of a run.

  Attributes:
    done: {name: stamp} of all nodes that are done; a record where another
      machine has run the node.
    failed: {name: reason} of all nodes that failed, without those that were not
      run because of them.
  """

  done: Mapping[str, stamps.Stamp | records_lib.Record]
  failed: Mapping[str, str]


def finished(
  nodes: Mapping[str, plan_lib.Node],
  records: records_lib.Records | None = None,
) -> dict[str, stamps.Stamp | records_lib.Record]:
  """Stamps of the nodes that are done with their present inputs.

  Args:
    nodes: nodes by name, each after its inputs.
    records: records of nodes that other machines have run.

  Raises:
    UsageError: a finished product was changed.
  """
  found = {}
  for name, node in nodes.items():  # Inputs come first.
    stamp = stamps.read(node)
    if stamp is not None and stamp.inputs == _digests(node, found):
      stamps.check_unchanged(node, stamp)
      found[name] = stamp
  if records is not None:
    found |= records.usable(nodes, found)
  return found


def with_inputs(
  nodes: Mapping[str, plan_lib.Node], names: Collection[str]
) -> dict[str, plan_lib.Node]:
  """The named nodes and all their direct and indirect inputs, in order."""
  wanted = set(names)
  for name in reversed(nodes):
    if name in wanted:
      wanted.update(nodes[name].inputs)
  return {name: node for name, node in nodes.items() if name in wanted}


def run(
  nodes: Mapping[str, plan_lib.Node],
  *,
  jobs: int,
  say: Callable[[str], None],
  records: records_lib.Records | None = None,
  on_end: Callable[[str, stamps.Stamp], None] = lambda name, stamp: None,
) -> Outcome:
  """Runs all nodes that are not done.

  If a node fails, nodes that need it are not run; all others are.

  Args:
    nodes: nodes by name, each after its inputs.
    jobs: largest number of nodes that run at once, each on its share of the
      cores if there are enough.
    say: takes a line about each node.
    records: records of nodes that other machines have run.
    on_end: takes the name and the stamp of each node that has run.

  Raises:
    UsageError: a finished product was changed, or jobs is out of range.
    KeyboardInterrupt: the user stopped the run; the processes have ended.
  """
  errors.require(jobs >= 1, f"--jobs={jobs}: expected 1 or more; change --jobs")
  done = finished(nodes, records)
  pending = {name: node for name, node in nodes.items() if name not in done}
  if not pending:
    return Outcome(done, {})
  order = graphlib.TopologicalSorter(
    {
      name: [each for each in node.inputs if each in pending]
      for name, node in pending.items()
    }
  )
  order.prepare()
  processes = running.Processes()
  failed, ready, active = {}, set(), {}
  report = _Report(len(pending), say)
  with threads.pool(jobs) as pool:
    try:
      while order.is_active():
        ready.update(order.get_ready())
        for name in [name for name in pending if name in ready]:
          node = pending[name]
          missing = [each for each in node.inputs if each not in done]
          if missing:
            report.ended(f"not run {name}: it needs {', '.join(missing)}")
            order.done(name)
          elif len(active) < jobs:
            inputs = _digests(node, done)
            active[pool.submit(processes.run, node, inputs)] = name
            report.started(name)
          else:
            continue
          ready.discard(name)
        ended, _ = futures.wait(
          active, _REFRESH_SECONDS, return_when=futures.FIRST_COMPLETED
        )
        report.refresh()
        for future in ended:
          name = active.pop(future)
          try:
            done[name] = future.result()
            on_end(name, done[name])
            report.ended(f"done    {name}", name)
          except (running.NodeFailed, errors.UsageError) as error:
            failed[name] = str(error)
            report.ended(f"FAILED  {error}", name)
          order.done(name)
    except KeyboardInterrupt:
      say("stopping; the running steps save their state")
      raise
    finally:
      processes.stop()
      report.close()
  return Outcome(done, failed)


class _Report:
  """A progress bar over the nodes, and a line about each."""

  def __init__(self, total: int, say: Callable[[str], None]):
    self._say = say
    self._names: list[str] = []
    self._terminal = sys.stderr.isatty()
    self._bar = progress.bar(
      "experiment",
      total=total,
      unit="step",
      smoothing=0,  # Steps take seconds or hours: the mean rate predicts best.
      bar_format="{desc} {percentage:3.0f}% |{bar:12}| {n_fmt}/{total_fmt}"
      " steps [{elapsed}<{remaining}, {rate_inv_fmt}]{postfix}",
    )

  def started(self, name: str) -> None:
    """Adds a running node."""
    self._names.append(name)
    self._bar.set_postfix_str(", ".join(self._names), self._terminal)
    self._line(f"start   {name}")

  def ended(self, line: str, name: str | None = None) -> None:
    """Counts a node, after removing it from the running ones."""
    if name is not None:
      self._names.remove(name)
      self._bar.set_postfix_str(", ".join(self._names), refresh=False)
    self._bar.update()
    self._line(line)

  def refresh(self) -> None:
    """Updates the elapsed time on a terminal."""
    if self._terminal:
      self._bar.refresh()

  def close(self) -> None:
    """Leaves the bar as it is."""
    self._bar.close()

  def _line(self, line: str) -> None:
    if not self._terminal:  # The bar prints lines of its own.
      self._say(line)
      return
    with self._bar.external_write_mode(file=sys.stderr):
      self._say(line)


def _digests(
  node: plan_lib.Node, done: Mapping[str, stamps.Stamp]
) -> dict[str, str] | None:
  """Digests of a node's inputs; None if one is not done."""
  if any(name not in done for name in node.inputs):
    return None
  return {name: done[name].digest for name in node.inputs}
