"""Commands and measures of each kind of step."""

import json
import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment import steps


def test_flags_take_text_numbers_switches_and_lists():
  step = steps.TrackRegions(
    videos="v",
    flags={
      "flow": True,
      "x": None,
      "y": False,
      "rate": 8.0,
      "layer": ["a", "b"],
    },
  )
  assert step.request(name="", seed=None).words == (
    "--videos=v",
    "--output_dir={output}",
    "--flow",
    "--rate=8.0",
    "--layer=a",
    "--layer=b",
  )
  with pytest.raises(errors.UsageError, match="flags rate="):
    steps.CutBoxes(flags={"rate": {}}).request(name="", seed=None)


def test_pretraining_is_given_the_seed_over_its_bindings():
  step = steps.Pretrain(
    config="a.gin", bindings={"STEPS": 7, "settings.Pretraining.seed": 99}
  )
  request = step.request(name="", seed=4)
  assert request.tool == "train" and request.config == "a.gin"
  assert request.words == ("--model_dir={output}",)
  assert request.bindings == {"STEPS": 7, "settings.Pretraining.seed": 4}
  assert step.bindings["settings.Pretraining.seed"] == 99
  assert step.seeded and step.model_path == "saved_model"


@pytest.mark.parametrize(
  ("kind", "tool"),
  [
    (steps.MeasureInvariance, "measure_invariance"),
    (steps.Evaluate, "evaluate"),
  ],
)
def test_a_model_is_passed_with_its_name(kind, tool):
  step = kind(config="a.gin", bindings={"K": 5}, flags={"resamples": 200})
  assert step.request(name="moco", seed=1) == steps.Request(
    tool,
    ("--model=moco={model}", "--output_dir={output}", "--resamples=200"),
    "a.gin",
    {"K": 5},
  )
  assert step.per_model and not step.seeded


@pytest.mark.parametrize(
  ("kind", "tool"),
  [
    (steps.ComposeScenes, "compose_scenes"),
    (steps.CutBoxes, "cut_boxes"),
    (steps.Render, "render"),
  ],
)
def test_tools_with_flags_alone_have_no_config(kind, tool):
  step = kind(flags={"number": 3, "overwrite": True})
  assert step.request(name="", seed=None) == steps.Request(
    tool, ("--output_dir={output}", "--number=3", "--overwrite")
  )


def test_a_command_is_filled_with_the_name_and_the_seed(tmp_path):
  step = steps.Command(
    words=["run", "{name}-{seed}.txt", "{model}", "{output}"],
    results="numbers.json",
    per_model=True,
  )
  assert step.request(name="moco", seed=3) == steps.Request(
    None, ("run", "moco-3.txt", "{model}", "{output}")
  )
  (tmp_path / "numbers.json").write_text('{"a": 3, "b": 0.5}')
  measures = step.measures(str(tmp_path))
  assert measures == {"a": 3.0, "b": 0.5}
  assert isinstance(measures["a"], float)
  without = steps.Command(words=["run"])
  assert without.measures(str(tmp_path)) == {}


def test_measures_leave_out_results_that_are_not_finite(tmp_path):
  (tmp_path / "report.json").write_text(
    json.dumps({"results": {"top1_percent": 61.5, "lost": None}})
  )
  step = steps.Evaluate(config="x.gin")
  assert step.measures(str(tmp_path)) == {"top1_percent": 61.5}


def test_an_invariance_has_a_measure_and_a_chance_level_for_each_k(tmp_path):
  rows = [
    {"invariance": "viewpoint", "k": k, "score": 50.0 + k, "chance": k / 2}
    for k in (10, 25)
  ]
  rows[0] |= {"cross_fitted": 41.0, "cross_fitted_chance": 12.0}
  rows[1] |= {"cross_fitted": None, "cross_fitted_chance": None}
  (tmp_path / "invariance.json").write_text(json.dumps({"scores": rows}))
  assert steps.MeasureInvariance(config="x").measures(str(tmp_path)) == {
    "viewpoint_top10": 60.0,
    "viewpoint_top10_chance": 5.0,
    "viewpoint_top10_cross_fitted": 41.0,
    "viewpoint_top10_cross_fitted_chance": 12.0,
    "viewpoint_top25": 75.0,
    "viewpoint_top25_chance": 12.5,
  }


def test_a_damaged_output_raises_an_error_of_the_documented_types(tmp_path):
  step = steps.Evaluate(config="x.gin")
  with pytest.raises(OSError):
    step.measures(str(tmp_path))
  for content, error in (("no JSON", ValueError), ("{}", KeyError)):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(error):
      step.measures(str(tmp_path))


@pytest.mark.parametrize("kind", steps.KINDS)
def test_every_kind_has_a_product_and_describes_no_measure_by_default(kind):
  assert kind.product and kind.version >= 1
  assert steps.Step().measures("nowhere") == {}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
