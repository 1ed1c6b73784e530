"""How many seeds an experiment needs, and what they cost, from its pilot.

The pilot is the experiment with a few seeds of its own. Its paired differences
give the effect of each ordering, and its run times the cost of a seed.
"""

import dataclasses
import math
import os
import statistics as python_statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.experiment import experiment as experiment_lib
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import engine, records, stamps
from tf_ssl.experiment.results import page, results
from tf_ssl.ops import workdir
from tf_ssl.reporting import pages, power

PLANNED_FILE = results.PLANNED_FILE
_CONFIDENCE = 0.8  # Of the range of seeds: few seeds give no narrower one.
_FEW = 6  # Pilot seeds below which the plan warns.
_NUMBERS = ("seeds", "corrected", "fewest", "most")  # Of a `Need`.


class Need(NamedTuple):
  """The seeds that an ordering needs to be decided.

  Attributes:
    ordering: entry of the ordering in `results.as_json`.
    effect: mean difference of the pilot / its standard deviation; None if fewer
      than two seeds have it.
    seeds: number for a power of 0.8 without correction; None if none suffices.
    corrected: number with Holm's correction; None if none suffices.
    fewest: number with correction at the upper end of the effect's interval.
    most: number with correction at its lower end; None if none suffices.
  """

  ordering: Mapping[str, Any]
  effect: float | None
  seeds: int | None
  corrected: int | None
  fewest: int | None
  most: int | None


class Cost(NamedTuple):
  """Run time of the main run.

  Attributes:
    seconds_per_seed: seconds of total compute for one more seed.
    unknown: names of steps that the pilot has not run, which are not counted.
  """

  seconds_per_seed: float
  unknown: tuple[str, ...]

  def hours(self, seeds: int, jobs: int) -> float:
    """Hours of wall-clock time for a number of seeds, `jobs` steps at once."""
    return seeds * self.seconds_per_seed / jobs / 3600


def of(
  experiment: experiment_lib.Experiment,
) -> experiment_lib.Experiment:
  """The experiment with the seeds of its pilot.

  Raises:
    UsageError: it has no pilot seeds.
  """
  errors.require(
    experiment.pilot_seeds,
    "the experiment has no pilot_seeds; expected seeds that are not among"
    f" its seeds {list(experiment.seeds)}, such as [0, 1, 2]; change"
    " PILOT_SEEDS, or experiment.Experiment.pilot_seeds",
  )
  return dataclasses.replace(
    experiment, seeds=experiment.pilot_seeds, pilot_seeds=()
  )


def estimate(
  experiment: experiment_lib.Experiment,
  *,
  name: str,
  output_dir: str,
  parse: Callable[[str, Sequence[str]], str],
  tool_command: Callable[[str], Sequence[str]],
  jobs: int = 1,
  budget_hours: float | None = None,
  records_dir: str | None = None,
  say: Callable[[str], None] = print,
) -> list[Need]:
  """Tells how many seeds each ordering needs, and keeps it for the page.

  Nothing is run: finished steps of the pilot are read. An experiment without
  pilot seeds is its own pilot.

  Args:
    experiment: experiment to plan.
    name: name of the folder of its results.
    output_dir: folder of all experiments.
    parse: maps (gin file, bindings) to the parsed configuration as text.
    tool_command: maps the name of a tool to the words that start it.
    jobs: number of steps that will run at once.
    budget_hours: hours of wall-clock time for the main run; None for no limit.
    records_dir: folder of the records of finished steps; None for none.
    say: takes lines for the user.

  Returns:
    The need of each measured ordering.

  Raises:
    UsageError: no finished step of the pilot measured an ordering.
  """
  errors.require(
    budget_hours is None or budget_hours > 0,
    f"--budget_hours={budget_hours}: expected more than 0; change"
    " --budget_hours",
  )
  errors.require(jobs >= 1, f"--jobs={jobs}: expected 1 or more; change --jobs")
  before = of(experiment) if experiment.pilot_seeds else experiment
  plan = plan_lib.make(
    before, root=output_dir, parse=parse, tool_command=tool_command
  )
  recorded_in = records.folder_of(records_dir, name)
  done = engine.finished(plan.nodes, records.Records(recorded_in))
  values = results.collect(before, plan.nodes, engine.Outcome(done, {}))
  found = needs(before, values)
  how = "--pilot" if experiment.pilot_seeds else "without --plan"
  errors.require(
    any(need.effect is not None for need in found),
    f"{output_dir} has no ordering that two seeds of {list(before.seeds)} have"
    f" measured; expected the finished steps of a pilot; run it first ({how})",
  )
  spent = cost(plan, done)
  affordable = None
  if budget_hours is not None and spent.seconds_per_seed:
    affordable = int(budget_hours * 3600 * jobs / spent.seconds_per_seed)
  _tell(before, found, spent, jobs, budget_hours, affordable, say)
  folder = recorded_in or os.path.join(output_dir, name)
  if experiment.pilot_seeds:
    with workdir.writable(
      folder, "--records" if recorded_in else "--output_dir"
    ):
      os.makedirs(folder, exist_ok=True)
      workdir.write_json(
        os.path.join(folder, PLANNED_FILE),
        {
          "written": time.time(),
          "pilot_seeds": list(before.seeds),
          "seeds": list(experiment.seeds),
          "budget_hours": budget_hours,
          "jobs": jobs,
          "affordable": affordable,
          "seconds_per_seed": spent.seconds_per_seed,
          "needs": [
            {
              **{k: need.ordering[k] for k in results.IDENTITY},
              **{k: v for k, v in need._asdict().items() if k in _NUMBERS},
              "measured": need.effect is not None,
            }
            for need in found
          ],
        },
      )
    say(f"kept for the page: {os.path.join(folder, PLANNED_FILE)}")
  return found


def needs(
  experiment: experiment_lib.Experiment, values: results.Values
) -> list[Need]:
  """The seeds that each ordering needs, from the values of a pilot.

  Args:
    experiment: experiment with the pilot's seeds.
    values: values of the pilot.
  """
  rows = [
    results.ordering(experiment, one, values) for one in experiment.expected
  ]
  differences = [
    _differences(one, values.get(one.measure, {}))
    for one in experiment.expected
  ]
  effects = [_effect(each) for each in differences]
  known = [math.nan if effect is None else effect for effect in effects]
  corrected = power.seeds_needed_with_holm(known)
  found = []
  for place, (row, effect) in enumerate(zip(rows, effects, strict=True)):
    if effect is None:
      found.append(Need(row, None, None, None, None, None))
      continue
    low, high = power.effect_interval(
      effect, len(differences[place]), confidence=_CONFIDENCE
    )
    largest = max(abs(low), abs(high))
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    fewest, most = (
      power.seeds_needed_with_holm(
        [*known[:place], end, *known[place + 1 :]], only=place
      )[place]
      for end in (largest, smallest)
    )
    found.append(
      Need(
        row, effect, power.seeds_needed(effect), corrected[place], fewest, most
      )
    )
  return found


def cost(plan: plan_lib.Plan, done: Mapping[str, stamps.Stamp]) -> Cost:
  """Run time of one more seed, from the finished steps of a pilot.

  Steps that are run once for all seeds do not count: the pilot has run them.

  Args:
    plan: plan of the pilot.
    done: {name: stamp} of its finished nodes.
  """
  seconds: dict[tuple[str, str | None], list[float]] = {}
  for name, node in plan.nodes.items():
    if node.seed is not None:
      times = seconds.setdefault((node.step, node.model), [])
      if name in done:
        times.append(done[name].seconds)
  return Cost(
    sum(python_statistics.mean(times) for times in seconds.values() if times),
    tuple(
      "/".join(filter(None, of)) for of, times in seconds.items() if not times
    ),
  )


def _differences(ordering, by_model) -> list[float]:
  left, right = (by_model.get(n, {}) for n in (ordering.left, ordering.right))
  return [left[seed] - right[seed] for seed in sorted(set(left) & set(right))]


def _effect(differences: Sequence[float]) -> float | None:
  if len(differences) < 2:
    return None
  mean, spread = np.mean(differences), np.std(differences, ddof=1)
  if not spread:
    return math.copysign(math.inf, mean) if mean else 0.0
  return float(mean / spread)


def _tell(before, found, spent, jobs, budget_hours, affordable, say) -> None:
  """Says the plan, line by line."""
  measured = [need for need in found if need.effect is not None]
  count = len(before.seeds)
  say(
    f"pilot: seeds {', '.join(map(str, before.seeds))}. Seeds for a power of"
    f" {power.POWER:g} at a two-sided level of {power.LEVEL:g}; corrected: by"
    f" Holm over {len(measured)} orderings; range: at the ends of the"
    f" {_CONFIDENCE:.0%} interval of the effect"
  )
  if count < _FEW:
    say(
      f"an effect from {count} seeds is rough: see the ranges; more pilot seeds"
      " narrow them"
    )
  for need in found:
    if need.effect is None:
      say(f"not measured: {_name(need)}")
    else:
      say(_line(need, spent, jobs))
  say(
    f"cost: {pages.number(spent.seconds_per_seed / 3600, digits=2)} h of total"
    f" compute a seed; hours are wall-clock time with --jobs={jobs}"
  )
  if spent.unknown:
    say(f"not counted, as the pilot has not run it: {', '.join(spent.unknown)}")
  if affordable is None:
    return
  say(f"--budget_hours={budget_hours:g} is enough for {affordable} seeds")
  beyond = [
    need
    for need in measured
    if need.corrected is None or need.corrected > affordable
  ]
  for need in beyond:
    say(
      f"beyond the budget: {_name(need)}: needs"
      f" {page.number_of_seeds(need.corrected)} seeds"
    )
  say(
    "decided within it, if the effects are those of the pilot:"
    f" {len(measured) - len(beyond)} of {len(measured)} orderings"
  )


def _line(need: Need, spent: Cost, jobs: int) -> str:
  alone, corrected, fewest, most = (
    page.number_of_seeds(getattr(need, name)) for name in _NUMBERS
  )
  hours = ""
  if need.corrected is not None:
    hours = f", {pages.number(spent.hours(need.corrected, jobs))} h"
  mean = pages.number(need.ordering["difference"]["mean"], signed=True)
  effect = pages.number(need.effect, digits=2, signed=True)
  unlearned = need.ordering["unlearned"]
  note = f" (not learned in the pilot: {', '.join(unlearned)})" * bool(
    unlearned
  )
  return (
    f"{alone} seeds, corrected {corrected} ({fewest}..{most}){hours}:"
    f" {_name(need)}: difference {mean}, effect {effect}{note}"
  )


def _name(need: Need) -> str:
  left, relation, right, measure = (need.ordering[k] for k in results.IDENTITY)
  return f"{left} {relation} {right}, {measure}"
