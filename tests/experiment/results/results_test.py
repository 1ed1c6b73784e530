"""Numbers from the outputs of steps."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment import experiment, plan
from tf_ssl.experiment.engine import engine
from tf_ssl.experiment.results import results


def test_results_do_not_depend_on_the_order_in_which_steps_end(toy):
  given = toy.experiment()
  made = plan.make(
    given, root=toy.root, parse=lambda file, _: file, tool_command=list
  )
  done = engine.run(made.nodes, jobs=1, say=toy.said.append).done
  backwards = engine.Outcome({n: done[n] for n in reversed(done)}, {})
  values = results.collect(given, made.nodes, backwards)
  assert values == {
    "look.score": {"one": {0: 2.0, 1: 4.0}, "two": {0: 6.0, 1: 8.0}}
  }
  assert [*values["look.score"]] == ["one", "two"]
  assert [*values["look.score"]["one"]] == [0, 1]


def test_an_unknown_measure_is_refused(toy):
  table = experiment.Table(title="T", columns={"s": "look.scor"})
  with pytest.raises(errors.UsageError, match="'look.scor'.* score;"):
    toy.conduct(toy.experiment(tables=[table]))


def test_a_damaged_output_is_an_error(toy):
  code = (
    "import os,sys; o=sys.argv[1]; os.makedirs(o);"
    "open(o + '/found.json', 'w').write('no JSON')"
  )
  given = toy.experiment(
    steps={"one": toy.model(1), "look": toy.look(code)}, orderings=[]
  )
  with pytest.raises(errors.UsageError, match="look/one/seed0"):
    toy.conduct(given)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
