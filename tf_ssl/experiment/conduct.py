"""Runs an experiment and writes its page of results."""

import fnmatch
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.experiment import experiment as experiment_lib
from tf_ssl.experiment import pilot as pilot_lib
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import engine, records
from tf_ssl.experiment.results import page as page_lib
from tf_ssl.experiment.results import results
from tf_ssl.ops import workdir

PAGE_FILE = "RESULTS.md"


def conduct(
  experiment: experiment_lib.Experiment,
  *,
  name: str,
  output_dir: str,
  parse: Callable[[str, Sequence[str]], str],
  tool_command: Callable[[str], Sequence[str]],
  jobs: int = 1,
  pilot: bool = False,
  dry_run: bool = False,
  only: Sequence[str] = (),
  results_file: str | None = None,
  records_dir: str | None = None,
  command: str = "",
  say: Callable[[str], None] = print,
) -> Mapping[str, str]:
  """Runs the steps that are not done, then writes the results.

  Args:
    experiment: experiment to run.
    name: name of the folder of its results, such as that of its gin file.
    output_dir: folder of all experiments, which share common steps.
    parse: maps (gin file, bindings) to the parsed configuration as text.
    tool_command: maps the name of a tool to the words that start it.
    jobs: number of steps that run at once.
    pilot: whether to run the pilot's seeds, without results and page.
    dry_run: whether to print the steps only.
    only: patterns of names. If there are any, only matching steps and their
      inputs are run, and no page is written.
    results_file: path of the page; None for RESULTS.md in output_dir.
    records_dir: folder of the records of finished steps, read and written; None
      for none.
    command: command line of the user, for the page.
    say: takes lines for the user.

  Returns:
    {name of a failed step: reason}.

  Raises:
    UsageError: the experiment is wrong, real data are missing, a finished
      output was changed, or a folder cannot be written.
  """
  for flag, path in (("output_dir", output_dir), ("records", records_dir)):
    errors.require(
      path is None or not os.path.exists(path) or os.path.isdir(path),
      f"--{flag}={path} is a file; expected a folder or a new path",
    )
  if pilot:
    experiment = pilot_lib.of(experiment)
  plan = plan_lib.make(
    experiment, root=output_dir, parse=parse, tool_command=tool_command
  )
  nodes = _chosen(plan.nodes, only)
  for skipped, why in plan.skipped.items():
    say(f"skipped {skipped}: {why}")
  recorded_in = records.folder_of(records_dir, name)
  recorded = records.Records(recorded_in)
  if dry_run:
    _describe(nodes, recorded, say)
    return {}
  _check_data(experiment.data, nodes)
  folder = os.path.join(output_dir, name)
  with workdir.writable(output_dir, "--output_dir"):
    os.makedirs(folder, exist_ok=True)

  def keep(outcome: engine.Outcome) -> tuple[results.Values, dict[str, Any]]:
    values = results.collect(experiment, nodes, outcome)
    planned = workdir.read_json(
      os.path.join(recorded_in or folder, results.PLANNED_FILE)
    )
    content = results.as_json(
      experiment, plan, outcome, values, command, planned
    )
    if not (only or pilot):
      results.write(content, folder)
    return values, content

  # If this run is killed, the results of the finished steps are there, marked
  # as incomplete.
  done = engine.finished(nodes, recorded)
  recorded.add(nodes, done, results.numbers)
  keep(engine.Outcome(done, {}))
  outcome = engine.run(
    nodes,
    jobs=jobs,
    say=say,
    records=recorded,
    on_end=lambda name, stamp: recorded.add(
      nodes, {name: stamp}, results.numbers
    ),
  )
  values, content = keep(outcome)
  if only:
    _print_values(values, say)
    return outcome.failed
  if pilot:
    say("pilot: done; --plan computes how many seeds are needed")
    return outcome.failed
  page = results_file or os.path.join(output_dir, PAGE_FILE)
  page_lib.write(output_dir, page)
  for one in content["orderings"]:
    say(
      f"{one['verdict']}: {one['left']} {one['relation']} {one['right']},"
      f" {one['measure']}: {page_lib.sentence(one)}"
    )
  say(f"results: {page}")
  return outcome.failed


def _chosen(
  nodes: Mapping[str, plan_lib.Node], only: Sequence[str]
) -> Mapping[str, plan_lib.Node]:
  """The nodes that match `only` with their inputs; all nodes if it is empty."""
  if not only:
    return nodes
  names: set[str] = set()
  for pattern in only:
    matched = fnmatch.filter(nodes, pattern)
    errors.require(
      matched,
      f"--only={pattern} matches no step; there are {', '.join(nodes)}",
    )
    names.update(matched)
  return engine.with_inputs(nodes, names)


def _check_data(folder: str | None, nodes: Mapping[str, plan_lib.Node]) -> None:
  """Raises UsageError with a list of all missing real data."""
  if folder is None:
    return
  expected = "expected the real data, or None to skip the steps that need them"
  place = os.path.expanduser(folder)
  errors.require(
    os.path.isdir(place),
    f"DATA={folder!r}: no such folder; {expected}; change DATA",
  )
  readers: dict[str, dict[str, None]] = {}  # Ordered sets.
  for node in nodes.values():
    for path in node.data:
      if not os.path.exists(os.path.join(place, path)):
        readers.setdefault(path, {})[node.step] = None
  if readers:
    missing = [f"{p} (for {', '.join(of)})" for p, of in readers.items()]
    raise errors.UsageError(
      f"DATA={folder!r} has no {', no '.join(missing)}; {expected}; change DATA"
    )


def _describe(
  nodes: Mapping[str, plan_lib.Node],
  recorded: records.Records,
  say: Callable[[str], None],
) -> None:
  done = engine.finished(nodes, recorded)
  for name, node in nodes.items():
    state = "done     " if name in done else "would run"
    say(f"{state} {name}")
    say(f"          {node.shown_command}")
  say(
    f"{len(nodes)} steps: {len(done)} done, {len(nodes) - len(done)} would run"
  )


def _print_values(values: results.Values, say: Callable[[str], None]) -> None:
  for measure, by_model in values.items():
    for model, by_seed in by_model.items():
      for seed, value in by_seed.items():
        say(f"{measure} of {model}, seed {seed}: {value!r}")


def name_of(files: Sequence[str]) -> str:
  """Name of an experiment: that of its first gin file."""
  return pathlib.Path(files[0]).stem
