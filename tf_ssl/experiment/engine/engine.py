"""Runs a plan on doit: what depends on what, and how much at once, is doit's.

What is up to date is told by `stamps`, not by doit's own record, which is
written at the end and would be lost in a kill -9.
"""

import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from doit import control as doit_control
from doit import dependency as doit_dependency
from doit import exceptions as doit_exceptions
from doit import runner as doit_runner
from doit import task as doit_task

from tf_ssl import errors
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import progress, running, stamps


class Outcome(NamedTuple):
  """What a run of the engine has come to.

  Attributes:
    done: stamps of all nodes that are done, by name.
    failed: from the nodes that failed to why; those that were not run because
      of one are not among them.
  """

  done: Mapping[str, stamps.Stamp]
  failed: Mapping[str, str]


def finished(
  nodes: Mapping[str, plan_lib.Node],
) -> dict[str, stamps.Stamp]:
  """Stamps of the nodes that are done, from inputs that are what they were.

  Raises:
    UsageError: a finished output was changed since.
  """
  found = {}
  for name, node in nodes.items():  # each after its inputs
    stamp = stamps.read(node)
    if stamp is not None and stamp.inputs == _digests(node, found):
      stamps.check_unchanged(node, stamp)
      found[name] = stamp
  return found


def with_inputs(
  nodes: Mapping[str, plan_lib.Node], names: Collection[str]
) -> dict[str, plan_lib.Node]:
  """The named nodes and all that they need, in the order of `nodes`."""
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
) -> Outcome:
  """Runs what is not done.

  Where a node fails, those that need it are not run; the others are.

  Args:
    nodes: by name, each after those that it reads.
    jobs: how many at once.
    say: gets a line about each.

  Raises:
    UsageError: a finished output was changed since, or jobs out of range.
    KeyboardInterrupt: the processes have saved and stopped.
  """
  if jobs < 1:
    raise errors.UsageError(f"--jobs={jobs}: expected 1 or more; change --jobs")
  done = finished(nodes)
  if len(done) == len(nodes):
    return Outcome(done, {})
  reporter = progress.Reporter(total=len(nodes) - len(done), say=say)
  processes = running.Processes(reporter.refresh)

  def act(node: plan_lib.Node):
    try:
      done[node.name] = processes.run(node, _digests(node, done))
    except running.NodeFailed as failure:
      return doit_exceptions.TaskFailed(str(failure))
    return True

  tasks = [_task(node, act, done) for node in nodes.values()]
  try:
    _run_doit(tasks, reporter, jobs)
  except KeyboardInterrupt:
    say("stopping; what runs now saves its state")
    processes.end()
    raise
  finally:
    reporter.close()
  return Outcome(done, reporter.failed)


def _run_doit(tasks: Sequence[doit_task.Task], reporter, jobs: int) -> None:
  control = doit_control.TaskControl(tasks)
  control.process(None)
  with tempfile.TemporaryDirectory() as folder:
    record = doit_dependency.Dependency(
      doit_dependency.JsonDB, os.path.join(folder, "doit.json")
    )
    runner = doit_runner.MThreadRunner(
      record,
      reporter,
      continue_=True,
      stream=doit_task.Stream(0),
      num_process=jobs,
    )
    runner.run_all(control.task_dispatcher())


def _task(node, act, done) -> doit_task.Task:
  return doit_task.Task(
    node.name,
    [(act, [node])],
    task_dep=node.inputs,
    uptodate=[(lambda: node.name in done, [])],
    verbosity=0,
    io={"capture": False},
  )


def _digests(
  node: plan_lib.Node, done: Mapping[str, stamps.Stamp]
) -> dict[str, str] | None:
  """Digests of a node's inputs; None where one is not done."""
  if any(name not in done for name in node.inputs):
    return None
  return {name: done[name].digest for name in node.inputs}
