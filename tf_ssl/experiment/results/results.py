"""Collects the numbers of an experiment into one file, `results.json`.

The page of results is made from these files alone.
"""

import collections
import json
import math
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from tf_ssl import errors
from tf_ssl.experiment import experiment as experiment_lib
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment import steps as steps_lib
from tf_ssl.experiment.engine import engine, records
from tf_ssl.experiment.results import controls as controls_lib
from tf_ssl.experiment.results import gaps as gaps_lib
from tf_ssl.experiment.results import learned as learned_lib
from tf_ssl.experiment.results import learning
from tf_ssl.experiment.results import orderings as orderings_lib
from tf_ssl.ops import workdir
from tf_ssl.reporting import statistics as interval_statistics

RESULTS_FILE = "results.json"
PLANNED_FILE = "planned.json"
# What identifies an ordering in these files.
IDENTITY = ("left", "relation", "right", "measure")
_FORMAT = 4  # Increased whenever the page needs other content.
_WITHOUT_SEED = 0  # Seed of models that have none.

# {measure: {model: {seed: value}}}; a measure is "STEP.NAME".
Values = dict[str, dict[str, dict[int, float]]]


def collect(
  experiment: experiment_lib.Experiment,
  nodes: Mapping[str, plan_lib.Node],
  outcome: engine.Outcome,
) -> Values:
  """Reads the numbers of all finished nodes.

  Raises:
    UsageError: an output cannot be read, or a table or ordering names a measure
      that its step does not have.
  """
  values: Values = {}
  measured: dict[str, set[str]] = {}
  # In the order of the plan, as steps end in any order.
  for name, node in nodes.items():
    if node.model is None or name not in outcome.done:
      continue
    stamp = outcome.done[name]
    recorded = isinstance(stamp, records.Record)
    found = stamp.measures if recorded else _measures(node)
    measured.setdefault(node.step, set()).update(found)
    seed = _WITHOUT_SEED if node.seed is None else node.seed
    for measure, value in found.items():
      by_model = values.setdefault(f"{node.step}.{measure}", {})
      by_model.setdefault(node.model, {})[seed] = value
  for measure in _named(experiment):
    step, _, name = measure.partition(".")
    if step in measured and name not in measured[step]:
      raise errors.UsageError(
        f"measure {measure!r}: step {step!r} has no such measure; it has"
        f" {', '.join(sorted(measured[step]))}; change tables or orderings"
      )
  return values


def numbers(node: plan_lib.Node) -> dict[str, dict[str, Any]]:
  """What a record keeps of a finished node: its measures and curves.

  Raises:
    UsageError: its output cannot be read.
  """
  is_model = isinstance(node.definition, steps_lib.Pretrain)
  return {
    "measures": {} if node.model is None else _measures(node),
    "curves": learning.curves_of(node) if is_model else {},
  }


def as_json(
  experiment: experiment_lib.Experiment,
  plan: plan_lib.Plan,
  outcome: engine.Outcome,
  values: Values,
  command: str,
  planned: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
  """JSON values of everything that the page shows of an experiment.

  Args:
    experiment: the experiment.
    plan: planned nodes of the experiment.
    outcome: nodes that are done, and those that failed.
    values: values of `collect`.
    command: command line of the user.
    planned: content of `PLANNED_FILE`; None if there is none.
  """
  return {
    "format": _FORMAT,
    "title": experiment.title,
    "question": experiment.question,
    "answer": experiment.answer,
    "command": command,
    "seeds": list(experiment.seeds),
    "pilot_seeds": list(experiment.pilot_seeds),
    "planned": _planned(experiment, plan, outcome, planned),
    "findings": list(experiment.findings),
    "tables": [
      _table(experiment, plan, table, values) for table in experiment.tables
    ],
    "orderings": _orderings(experiment, values),
    "learned": _learned(experiment, values),
    "learning": learning.collect(experiment, plan.nodes, outcome),
    "controls": [
      _comparison(experiment, controls_lib.judge, one, values)
      for one in experiment.checks
    ],
    "gaps": [_gap(experiment, gap, values) for gap in experiment.remedies],
    "steps": _steps(experiment, plan, outcome),
    # By folder, since experiments share steps.
    "spans": {
      plan.nodes[name].folder.name: list(stamp.span)
      for name, stamp in outcome.done.items()
    },
    "failed": dict(outcome.failed),
    "not_run": [
      name
      for name in plan.nodes
      if name not in outcome.done and name not in outcome.failed
    ],
    "skipped": dict(plan.skipped),
  }


def write(content: Mapping[str, Any], folder: str) -> None:
  """Writes results.json into a folder, which is created where missing."""
  path = pathlib.Path(folder)
  path.mkdir(parents=True, exist_ok=True)
  text = json.dumps(content, indent=1, allow_nan=False)
  workdir.write_text(path / RESULTS_FILE, text + "\n")


def read_all(
  root: str,
) -> tuple[dict[str, dict[str, Any]], list[str]]:
  """Reads the results of all experiments below a folder.

  Returns:
    {name: results}, sorted, and the names of experiments whose results have
    another format. Those must be run again, which reuses their finished steps.

  Raises:
    UsageError: a file is damaged.
  """
  found, outdated = {}, []
  for path in sorted(pathlib.Path(root).glob(f"*/{RESULTS_FILE}")):
    name = path.parent.name
    try:
      content = json.loads(path.read_text(encoding="utf-8"))
      if not isinstance(content, dict):
        raise ValueError("no object")
    except (OSError, ValueError) as error:
      raise errors.UsageError(
        f"{path} is damaged ({error}); run the experiment {name} again, or"
        f" remove {path.parent}"
      ) from error
    if content.get("format") == _FORMAT:
      found[name] = content
    else:
      outdated.append(name)
  return found, outdated


def _measures(node: plan_lib.Node) -> dict[str, float]:
  try:
    found = node.definition.measures(str(node.output))
    return {k: float(v) for k, v in found.items() if math.isfinite(v)}
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise errors.UsageError(
      f"the output of {node.name} in {node.output} cannot be read"
      f" ({type(error).__name__}: {error}); remove {node.folder} to run it"
      " again"
    ) from error


def _named(experiment: experiment_lib.Experiment) -> list[str]:
  columns = [m for table in experiment.tables for m in table.columns.values()]
  return [
    *columns,
    *(ordering.measure for ordering in experiment.expected),
    *(control.measure for control in experiment.checks),
    *([experiment.rule.measure] if experiment.rule else []),
    *(gap.measure for gap in experiment.remedies),
  ]


def _table(experiment, plan, table, values: Values) -> dict[str, Any]:
  models = table.models or experiment.models
  runs = collections.Counter((n.step, n.model) for n in plan.nodes.values())
  return {
    "title": table.title,
    "note": table.note,
    "unit": table.unit,
    "columns": list(table.columns),
    "x_label": table.x_label,
    # Points as x and row.
    "curves": {
      name: [[x, list(models).index(curve[x])] for x in sorted(curve)]
      for name, curve in table.curves.items()
    },
    "rows": [
      {
        "model": experiment.label(model),
        # A list for each column with a value for each seed.
        "values": [
          list(values.get(measure, {}).get(model, {}).values())
          for measure in table.columns.values()
        ],
        # Number of values for each column once all steps are done.
        "runs": [
          runs[measure.partition(".")[0], model]
          for measure in table.columns.values()
        ],
      }
      for model in models
    ],
  }


def _orderings(experiment, values: Values) -> list[dict[str, Any]]:
  """All orderings, with Holm's correction over those that were tested."""
  rows = [ordering(experiment, one, values) for one in experiment.expected]
  adjusted = interval_statistics.holm(
    [math.nan if row["p"] is None else row["p"] for row in rows]
  )
  for row, p in zip(rows, adjusted, strict=True):
    interval = row["difference"] and interval_statistics.MeanInterval(
      *(row["difference"][name] for name in ("mean", "low", "high"))
    )
    row["p_holm"] = None if math.isnan(p) else p
    row["corrected"] = orderings_lib.corrected(row["verdict"], interval, p)
  return rows


def ordering(
  experiment: experiment_lib.Experiment,
  expected: orderings_lib.Ordering,
  values: Values,
) -> dict[str, Any]:
  """JSON values of an ordering with its verdict.

  `unlearned` has the names of its encoders that did not learn by the rule of
  the experiment: an ordering with any has no p and is not tested.
  """
  row = _comparison(experiment, orderings_lib.judge, expected, values)
  learned = _rule_on(experiment, values)
  states = {
    model: learned[model].learned if model in learned else None
    for model in (expected.left, expected.right)
    if experiment.rule and model != experiment.rule.untrained
  }
  row["unlearned"] = [
    experiment.label(model) for model, state in states.items() if state is False
  ]
  if row["unlearned"]:
    row |= {"verdict": orderings_lib.NOT_LEARNED, "p": None}
  elif None in states.values():
    row |= {"verdict": orderings_lib.NOT_MEASURED, "p": None}
  return row


def _comparison(experiment, judge, expected, values: Values) -> dict[str, Any]:
  """JSON values of an ordering or a control, judged by `judge`."""
  of_measure = values.get(expected.measure, {})
  judged = judge(
    expected,
    of_measure.get(expected.left, {}),
    of_measure.get(expected.right, {}),
  )
  return {
    "left": experiment.label(expected.left),
    "relation": expected.relation,
    "right": experiment.label(expected.right),
    "measure": _heading(experiment, expected.measure),
    "verdict": judged.verdict,
    "finding": expected.finding,
    "left_mean": judged.left.mean if judged.left else None,
    "right_mean": judged.right.mean if judged.right else None,
    "difference": judged.difference
    and judged.difference._asdict() | {"count": judged.seeds},
    "p": None if math.isnan(judged.p) else judged.p,
  }


def _rule_on(experiment, values) -> dict[str, learned_lib.Learned]:
  """The rule's judgment on each encoder; empty without a rule."""
  rule = experiment.rule
  if rule is None:
    return {}
  return learned_lib.judge(values.get(rule.measure, {}), rule.untrained)


def _learned(experiment, values: Values) -> dict[str, Any] | None:
  if experiment.rule is None:
    return None
  return {
    "measure": _heading(experiment, experiment.rule.measure),
    "untrained": experiment.label(experiment.rule.untrained),
    "models": [
      {
        "model": experiment.label(model),
        "learned": found.learned,
        "difference": found.difference and found.difference._asdict(),
        "seeds": found.seeds,
      }
      for model, found in _rule_on(experiment, values).items()
    ],
  }


def _planned(experiment, plan, outcome, planned) -> dict[str, Any] | None:
  """What was planned, and whether before the main run with these seeds."""
  if planned is None:
    return None
  begun = [
    stamp.span[0]
    for name, stamp in outcome.done.items()
    if plan.nodes[name].seed is not None
  ]
  is_before = planned["written"] <= min(begun, default=math.inf)
  same = planned["seeds"] == list(experiment.seeds)
  return {**planned, "before": is_before and same}


def _gap(experiment, gap, values: Values) -> dict[str, Any]:
  of_measure = values.get(gap.measure, {})
  found = gaps_lib.closed(
    *(of_measure.get(n, {}) for n in (gap.remedy, gap.plain, gap.reference))
  )
  return {
    "remedy": experiment.label(gap.remedy),
    "plain": experiment.label(gap.plain),
    "reference": experiment.label(gap.reference),
    "measure": _heading(experiment, gap.measure),
    "gap": found.gap and found.gap._asdict(),
    "share": found.share,
    "low": found.low,
    "high": found.high,
    "seeds": found.seeds,
  }


def _heading(experiment, measure: str) -> str:
  """Name of a measure: title and heading of its table."""
  for table in experiment.tables:
    for heading, of in table.columns.items():
      if of == measure:
        return f"{table.title}: {heading}"
  return measure


def _steps(experiment, plan, outcome) -> list[dict[str, Any]]:
  """One entry per step: an example command, and the median run time."""
  found = []
  for name in experiment.steps:
    nodes = [node for node in plan.nodes.values() if node.step == name]
    seconds = [
      outcome.done[node.name].seconds
      for node in nodes
      if node.name in outcome.done
    ]
    if nodes:
      found.append(
        {
          "step": name,
          "title": experiment.label(name),
          "command": nodes[0].recipe,
          "runs": len(nodes),
          "done": len(seconds),
          "median_seconds": statistics.median(seconds) if seconds else 0.0,
        }
      )
  return found
