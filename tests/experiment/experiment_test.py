"""What an experiment file may not say."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment import experiment, steps


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"orderings": [("two", ">", "oen", "look.score")]},
      "orderings names an unknown step 'oen'; did you mean one",
    ),
    (
      {"orderings": [("two", ">", "one", "lok.score")]},
      "'lok.score' names an unknown step 'lok'; did you mean look",
    ),
    ({"orderings": [("two", ">", "look", "look.score")]}, "makes no model"),
    ({"orderings": [("two", ">", "one", "one.score")]}, "no measure of a mod"),
    ({"seeds": []}, "change SEEDS"),
    ({"seeds": [0, 0]}, "change SEEDS"),
    ({"seeds": [-1]}, "change SEEDS"),
    ({"seeds": 3}, "change SEEDS"),
    ({"seeds": [True]}, "change SEEDS"),
    ({"steps": {}}, "with one step at least"),
    ({"steps": {"a b": None}}, "'a b' is no name"),
    (
      {"steps": {"a": "train"}},
      r"steps\['a'\] is 'train', an unknown kind of step.*steps.Pretrain",
    ),
    ({"steps": {"a": steps.Pretrain}}, "with the brackets"),
  ],
)
def test_a_wrong_experiment_is_refused(toy, changes, message):
  with pytest.raises(errors.UsageError, match=message):
    toy.experiment(**changes)


def test_a_table_of_an_unknown_step_is_refused(toy):
  for wrong in (
    {"columns": {"s": "luk.score"}},
    {"columns": {"s": "look"}},
    {"columns": {"s": "look.score"}, "models": ["three"]},
  ):
    with pytest.raises(errors.UsageError, match="the table 'T'"):
      toy.experiment(tables=[experiment.Table(title="T", **wrong)])


def test_a_step_that_looks_at_an_unknown_model_is_refused(toy):
  with pytest.raises(errors.UsageError, match="unknown step 'thre'.*two"):
    toy.experiment(
      steps={
        "two": toy.model(1),
        "look": steps.Evaluate(config="a.gin", models=["thre"]),
      },
      tables=[],
      orderings=[],
    )


def test_flags_take_texts_numbers_switches_and_lists():
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
