"""Learning curves of the encoders of an experiment, from their logs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_ssl.comparison import runs
from tf_ssl.experiment import experiment as experiment_lib
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment import steps
from tf_ssl.experiment.engine import engine, records

# {metric of the log: (heading, factor)}, in the order of the panels.
METRICS = {
  "knn_accuracy": ("kNN accuracy, %", 100.0),
  "contrastive_accuracy": ("accuracy of the training task, %", 100.0),
  "loss": ("loss", 1.0),
}
_POINTS = 40  # Of a curve at most; more cannot be seen in a panel.


def collect(
  experiment: experiment_lib.Experiment,
  nodes: Mapping[str, plan_lib.Node],
  outcome: engine.Outcome,
) -> list[dict[str, Any]]:
  """JSON values of the curves of all finished encoders.

  Args:
    experiment: the experiment.
    nodes: planned nodes of the experiment.
    outcome: nodes that are done, and those that failed.

  Returns:
    For each run of `steps.Pretrain` the label of its model, its seed, and
    `curves`, {metric: [[step, value], ...]}, of the `METRICS` that it logged.
  """
  found = []
  for name, node in nodes.items():
    if name not in outcome.done or not isinstance(
      node.definition, steps.Pretrain
    ):
      continue
    stamp = outcome.done[name]
    recorded = isinstance(stamp, records.Record)
    curves = stamp.curves if recorded else curves_of(node)
    if not curves:
      continue  # A run of an earlier version.
    found.append(
      {
        "model": experiment.label(node.step),
        "seed": node.seed,
        "curves": curves,
      }
    )
  return found


def curves_of(node: plan_lib.Node) -> dict[str, list[list[float]]]:
  """The curves of a finished node, {metric: [[step, value], ...]}.

  Args:
    node: finished node; one without the log of a training run has none.
  """
  if not (node.output / runs.METRICS_FILE).exists():
    return {}
  [run] = runs.read([str(node.output)]).runs
  curves = {metric: _points(*run.curve(metric)) for metric in METRICS}
  return {metric: points for metric, points in curves.items() if points}


def _points(at: np.ndarray, values: np.ndarray) -> list[list[float]]:
  """At most `_POINTS` points of a curve, the first and the last among them."""
  if len(at) > _POINTS:
    chosen = np.linspace(0, len(at) - 1, _POINTS).round().astype(int)
    at, values = at[chosen], values[chosen]
  return [
    [int(step), float(f"{value:.6g}")]
    for step, value in zip(at, values, strict=True)
  ]
