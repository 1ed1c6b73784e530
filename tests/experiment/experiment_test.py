"""Wrong settings of experiments."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment import experiment, steps


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"orderings": [("two", ">", "oen", "look.score")]},
      "orderings .*'oen'.*one",
    ),
    (
      {"orderings": [("two", ">", "one", "lok.score")]},
      "'lok'.*look",
    ),
    (
      {"orderings": [("two", ">", "look", "look.score")]},
      "'look' makes no model",
    ),
    ({"orderings": [("two", ">", "one", "one.score")]}, "'one.score'"),
    ({"orderings": [("two", "=", "two", "look.score")]}, "orderings: .*'='"),
    ({"controls": [("two", "=", "tow", "look.score")]}, "controls .*'tow'"),
    ({"controls": [("two", "~", "two", "look.score")]}, "controls: .*'~'"),
    ({"learned": ("look.score", "three")}, "learned .*'three'"),
    ({"learned": ("lok.score", "one")}, "learned: .*'lok'"),
    ({"seeds": []}, "change SEEDS"),
    ({"seeds": [0, 0]}, "change SEEDS"),
    ({"seeds": [-1]}, "change SEEDS"),
    ({"seeds": 3}, "change SEEDS"),
    ({"seeds": [True]}, "change SEEDS"),
    ({"steps": {}}, "steps={}"),
    ({"steps": {"a b": None}}, "'a b'"),
    (
      {"steps": {"a": "train"}},
      r"steps\['a'\] is 'train'.*steps.Pretrain",
    ),
    ({"steps": {"a": steps.Pretrain}}, r"steps.Pretrain\(\)"),
  ],
)
def test_a_wrong_experiment_is_refused(toy, changes, message):
  with pytest.raises(errors.UsageError, match=message):
    toy.experiment(**changes)


def test_a_table_with_an_unknown_step_is_refused(toy):
  for wrong in (
    {"columns": {"s": "luk.score"}},
    {"columns": {"s": "look"}},
    {"columns": {"s": "look.score"}, "models": ["three"]},
    {"columns": {"s": "look.score"}, "curves": {"c": {0.2: "three"}}},
    {"columns": {"s": "look.score"}, "curves": {"c": {"x": "one"}}},
    {
      "columns": {"s": "look.score"},
      "models": ["two"],
      "curves": {"c": {0.2: "one"}},
    },
  ):
    with pytest.raises(errors.UsageError, match="table 'T'"):
      toy.experiment(tables=[experiment.Table(title="T", **wrong)])


def test_a_step_with_an_unknown_model_is_refused(toy):
  with pytest.raises(errors.UsageError, match="'thre'.*two"):
    toy.experiment(
      steps={
        "two": toy.model(1),
        "look": steps.Evaluate(config="a.gin", models=["thre"]),
      },
      tables=[],
      orderings=[],
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
