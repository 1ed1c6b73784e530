"""The plan of an experiment's seeds from its pilot."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.experiment import pilot
from tf_ssl.reporting import power

# Writes a number that differs between models by an effect of the seed.
_MAKE = """
import json, os, sys
output, seed, number = sys.argv[1:]
os.makedirs(output, exist_ok=True)
with open(os.path.join(output, "model.json"), "w") as file:
  json.dump(float(number) * (1 + [0, 3, 1, 2][int(seed) % 4]), file)
"""


def _planned(toy, given, **settings):
  toy.said.clear()
  found = pilot.estimate(
    given,
    name="toy",
    output_dir=toy.root,
    parse=lambda file, bindings: f"{file} {bindings}",
    tool_command=lambda tool: ["tool", tool],
    say=toy.said.append,
    **settings,
  )
  return found, list(toy.said)


def _experiment(toy, **changes):
  given = toy.experiment(pilot_seeds=[0, 1, 2], seeds=[7, 8], **changes)
  steps = {
    **given.steps,
    "one": toy.model(1, _MAKE),
    "two": toy.model(3, _MAKE),
  }
  return dataclasses.replace(given, steps=steps)


def test_the_plan_has_the_seeds_that_the_pilots_effect_needs(toy):
  given = _experiment(toy)
  toy.conduct(given, pilot=True)
  assert not (toy.folder / "out/RESULTS.md").exists()
  assert not (toy.folder / "out/toy/results.json").exists()
  [need], said = _planned(toy, given)
  # 2 * 2 * (1, 4, 2) for the seeds 0, 1, 2.
  differences = np.array([4, 16, 8])
  effect = differences.mean() / differences.std(ddof=1)
  assert need.effect == pytest.approx(effect)
  assert need.seeds == need.corrected == power.seeds_needed(effect)
  low, high = power.effect_interval(effect, 3, confidence=0.8)
  assert need.fewest == power.seeds_needed(high)
  assert need.most == power.seeds_needed(low)
  assert any("3 seeds is rough" in line for line in said)
  assert "two > one" in "\n".join(said)
  assert toy.runs() and not list((toy.folder / "out/steps").glob("one-seed7*"))


def test_the_cost_of_a_seed_is_the_mean_time_of_the_pilots_steps(toy):
  given = _experiment(toy)
  toy.conduct(given, pilot=True)
  for file in (toy.folder / "out/steps").glob("*/stamp.json"):
    stamp = json.loads(file.read_text())
    is_one = "one-seed" in file.parent.name
    stamp["seconds"] = 1800.0 if is_one else 360.0
    file.write_text(json.dumps(stamp))
  # Of one and look/one 1800 s, of two and look/two 360 s: 1.2 h a seed.
  [need], said = _planned(toy, given, jobs=2, budget_hours=3.1)
  assert "--budget_hours=3.1 is enough for 5 seeds" in said
  [cost] = [line for line in said if line.startswith("cost: ")]
  assert "1.20 h" in cost and "--jobs=2" in cost
  [line] = [line for line in said if f"{need.corrected} seeds" in line][:1]
  assert f", {need.corrected * 0.6:.1f} h:" in line
  _, said = _planned(toy, given, jobs=1, budget_hours=2)
  [line] = [line for line in said if line.startswith("beyond the budget")]
  assert f"two > one, Found: s: needs {need.corrected} seeds" in line
  assert "0 of 1 orderings" in said[-2]


def test_a_plan_before_the_main_run_is_on_the_page(toy):
  given = _experiment(toy)
  toy.conduct(given, pilot=True)
  [need], said = _planned(toy, given)
  assert said[-1].startswith("kept for the page")
  toy.conduct(given)
  text = (toy.folder / "out/RESULTS.md").read_text()
  assert (
    "The seeds (7, 8) were fixed before the main run, from a pilot with seeds"
    " 0, 1, 2, which are not used here."
  ) in text
  more = f"two > one, Found: s: {need.seeds}, with Holm's correction"
  assert need.seeds > 2 and more in text
  # With other seeds, the plan is another one's.
  toy.conduct(dataclasses.replace(given, seeds=[9]))
  assert "no plan" in (toy.folder / "out/RESULTS.md").read_text()
  # A plan that was made when the run had begun.
  toy.conduct(given)
  _planned(toy, given)
  toy.conduct(given)
  assert "no plan" in (toy.folder / "out/RESULTS.md").read_text()


def test_the_plan_moves_to_another_machine_with_the_records(toy):
  given, kept = _experiment(toy), {"records_dir": str(toy.folder / "records")}
  toy.conduct(given, pilot=True, **kept)
  [before], _ = _planned(toy, given, **kept)
  shutil.rmtree(toy.root)
  [need], _ = _planned(toy, given, **kept)
  assert need == before
  toy.conduct(given, **kept)
  text = (toy.folder / "out/RESULTS.md").read_text()
  assert "The seeds (7, 8) were fixed before the main run" in text
  # The pilot has not run again.
  assert not list((toy.folder / "out/steps").glob("*seed0*"))


def test_an_experiment_without_pilot_seeds_is_its_own_pilot(toy):
  given = dataclasses.replace(_experiment(toy), pilot_seeds=(), seeds=[0, 1, 2])
  toy.conduct(given)
  [need], _ = _planned(toy, given)
  assert need.seeds >= 2
  assert not (toy.folder / "out/toy/planned.json").exists()
  with pytest.raises(errors.UsageError, match="PILOT_SEEDS"):
    toy.conduct(given, pilot=True)


def test_a_plan_without_a_pilot_is_refused(toy):
  with pytest.raises(errors.UsageError, match=r"\[0, 1, 2\].*--pilot"):
    _planned(toy, _experiment(toy))
  given = _experiment(toy)
  toy.conduct(given, pilot=True, only=["*seed0"])
  with pytest.raises(errors.UsageError, match="two seeds"):
    _planned(toy, given)
  with pytest.raises(errors.UsageError, match="--budget_hours=-1"):
    _planned(toy, given, budget_hours=-1)


def test_equal_and_unmeasured_orderings_have_a_plan(toy):
  given = _experiment(
    toy,
    orderings=[
      ("two", ">", "one", "look.score"),
      ("one", ">=", "one", "look.score"),
      ("two", ">", "one", "look.score"),
    ],
  )
  toy.conduct(given, pilot=True)
  [first, equal, third], said = _planned(toy, given)
  assert first.seeds == third.seeds <= first.corrected
  assert equal.effect == 0 and equal.seeds is equal.corrected is None
  assert any("more than 10,000 seeds" in line for line in said)


def test_seeds_of_the_pilot_are_not_those_of_the_main_run(toy):
  with pytest.raises(errors.UsageError, match="share 1:.*PILOT_SEEDS"):
    toy.experiment(pilot_seeds=[1, 2])
  with pytest.raises(errors.UsageError, match="change PILOT_SEEDS"):
    toy.experiment(pilot_seeds=[5, 5])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
