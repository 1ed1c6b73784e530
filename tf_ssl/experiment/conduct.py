"""An experiment from its settings to the page of results: one call."""

import fnmatch
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.experiment import experiment as experiment_lib
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import engine
from tf_ssl.experiment.results import page as results_page
from tf_ssl.experiment.results import results

PAGE_FILE = "RESULTS.md"


def conduct(
  experiment: experiment_lib.Experiment,
  *,
  name: str,
  output_dir: str,
  parse: Callable[[str, Sequence[str]], str],
  tool_command: Callable[[str], Sequence[str]],
  jobs: int = 1,
  dry_run: bool = False,
  only: Sequence[str] = (),
  results_file: str | None = None,
  command: str = "",
  say: Callable[[str], None] = print,
) -> Mapping[str, str]:
  """Runs what is not done yet, then writes the results.

  Args:
    experiment: the experiment.
    name: of its folder of results, such as the name of its file.
    output_dir: of all experiments: what they share is made once.
    parse: as `plan.make` takes it.
    tool_command: likewise.
    jobs: how many steps run at once.
    dry_run: only says what there is to do.
    only: patterns of names; with any, only what they match, and what that
      needs, is run, and no page is written.
    results_file: the page; None for RESULTS.md in output_dir.
    command: what the user typed, for the page.
    say: gets lines for the user.

  Returns:
    From the steps that failed to why.

  Raises:
    UsageError: a wrong experiment, real data that are not there, a finished
      output that was changed since, or a folder that cannot be written.
  """
  if os.path.exists(output_dir) and not os.path.isdir(output_dir):
    raise errors.UsageError(
      f"--output_dir={output_dir} is a file; expected a folder, or none yet"
    )
  plan = plan_lib.make(
    experiment, root=output_dir, parse=parse, tool_command=tool_command
  )
  nodes = _chosen(plan.nodes, only)
  for left_out, why in plan.left_out.items():
    say(f"left out {left_out}: {why}")
  if dry_run:
    _describe(nodes, say)
    return {}
  _check_data(experiment.data, nodes)
  folder = os.path.join(output_dir, name)
  try:
    os.makedirs(folder, exist_ok=True)
  except OSError as error:
    raise errors.UsageError(
      f"--output_dir={output_dir}: {error.strerror}; choose a folder that you"
      " may write to"
    ) from error

  def keep(outcome: engine.Outcome) -> tuple[results.Values, dict[str, Any]]:
    values = results.collect(experiment, nodes, outcome)
    content = results.as_json(experiment, plan, outcome, values, command)
    if not only:
      results.write(content, folder)
    return values, content

  # first what is done already: should this run be killed, the results say that
  # they are a part
  keep(engine.Outcome(engine.finished(nodes), {}))
  outcome = engine.run(nodes, jobs=jobs, say=say)
  values, content = keep(outcome)
  if only:
    _print_values(values, say)
    return outcome.failed
  page = results_file or os.path.join(output_dir, PAGE_FILE)
  results_page.write(output_dir, page)
  for one in content["orderings"]:
    say(
      f"{one['verdict']}: {one['left']} {one['relation']} {one['right']},"
      f" {one['measure']}: {results_page.sentence(one)}"
    )
  say(f"results: {page}")
  return outcome.failed


def _chosen(
  nodes: Mapping[str, plan_lib.Node], only: Sequence[str]
) -> Mapping[str, plan_lib.Node]:
  """The nodes that match, and what they need; all where nothing is asked."""
  if not only:
    return nodes
  names: set[str] = set()
  for pattern in only:
    matched = fnmatch.filter(nodes, pattern)
    if not matched:
      raise errors.UsageError(
        f"--only={pattern}: no step of that name; there are {', '.join(nodes)}"
      )
    names.update(matched)
  return engine.with_inputs(nodes, names)


def _check_data(folder: str | None, nodes: Mapping[str, plan_lib.Node]) -> None:
  """Raises UsageError where real data are not there, naming all of them."""
  if folder is None:
    return
  expected = "expected the real data, or None to leave out the steps that need"
  place = os.path.expanduser(folder)
  if not os.path.isdir(place):
    raise errors.UsageError(
      f"DATA={folder!r}: no such folder; {expected} them; change DATA"
    )
  readers: dict[str, dict[str, None]] = {}  # a set that keeps its order
  for node in nodes.values():
    for path in node.data:
      if not os.path.exists(os.path.join(place, path)):
        readers.setdefault(path, {})[node.step] = None
  if readers:
    missing = [f"{p} (for {', '.join(of)})" for p, of in readers.items()]
    raise errors.UsageError(
      f"DATA={folder!r} has no {', no '.join(missing)}; {expected} them; change"
      " DATA"
    )


def _describe(
  nodes: Mapping[str, plan_lib.Node], say: Callable[[str], None]
) -> None:
  done = engine.finished(nodes)
  for name, node in nodes.items():
    state = "is done  " if name in done else "would run"
    say(f"{state} {name}")
    say(f"          {node.shown_command}")
  say(
    f"{len(nodes)} steps: {len(done)} are done, {len(nodes) - len(done)} would"
    " run"
  )


def _print_values(values: results.Values, say: Callable[[str], None]) -> None:
  for measure, by_model in values.items():
    for model, by_seed in by_model.items():
      for seed, value in by_seed.items():
        say(f"{measure} of {model}, seed {seed}: {value!r}")


def name_of(files: Sequence[str]) -> str:
  """The name of the experiment that these gin files describe: the first's."""
  return pathlib.Path(files[0]).stem
