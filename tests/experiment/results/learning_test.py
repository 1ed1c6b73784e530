"""Learning curves from the logs of an experiment's encoders."""

import json
import sys

import pytest

from tf_ssl.experiment import plan, steps
from tf_ssl.experiment.engine import engine
from tf_ssl.experiment.results import learning


def _made(toy, repository):
  given = toy.experiment(
    steps={
      "moco": steps.Pretrain(
        title="MoCo v2",
        config=str(repository / "gin_configs/pretrain/quickstart.gin"),
      ),
      "one": toy.model(1),
    },
    tables=[],
    orderings=[],
  )
  made = plan.make(
    given, root=toy.root, parse=lambda file, _: file, tool_command=list
  )
  return given, made.nodes


def _log(node, records):
  node.output.mkdir(parents=True)
  text = "".join(json.dumps(record) + "\n" for record in records)
  (node.output / "metrics.jsonl").write_text(text)


def test_runs_have_the_curves_that_they_logged(toy, repository):
  given, nodes = _made(toy, repository)
  _log(
    nodes["moco/seed0"],
    [
      {"step": 0, "knn_accuracy": 0.25},
      *({"step": s, "loss": 5.0 - s / 100} for s in range(1, 101)),
      {"step": 100, "knn_accuracy": 0.5, "loss": 4.0},
    ],
  )
  done = {"moco/seed0": None, "moco/seed1": None, "one/seed0": None}
  found = learning.collect(given, nodes, engine.Outcome(done, {}))
  # Seed 1 has no log, and other steps train nothing.
  [run] = found
  assert (run["model"], run["seed"]) == ("MoCo v2", 0)
  assert run["curves"].keys() == {"knn_accuracy", "loss"}
  assert run["curves"]["knn_accuracy"] == [[0, 0.25], [100, 0.5]]
  loss = run["curves"]["loss"]
  assert len(loss) == 40 and loss[0] == [1, 4.99] and loss[-1] == [100, 4.0]


def test_runs_that_are_not_done_have_no_curves(toy, repository):
  given, nodes = _made(toy, repository)
  _log(nodes["moco/seed0"], [{"step": 1, "loss": 1.0}])
  assert learning.collect(given, nodes, engine.Outcome({}, {})) == []


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
