"""An experiment that goes on on another machine, with real processes."""

import json
import shutil
import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment.engine import records

# A model that differs each time, as training does, but measures the same.
_DRIFT = """
import json, os, sys, time
output, seed, number = sys.argv[1:]
os.makedirs(output, exist_ok=True)
with open(os.environ["TOY_RUNS"], "a") as file:
  file.write(f"make {number} {seed}\\n")
with open(os.path.join(output, "model.json"), "w") as file:
  file.write(f"{float(number) + int(seed)}" + " " * (time.time_ns() % 997))
"""


@pytest.fixture(name="records_dir")
def fixture_records_dir(toy):
  return str(toy.folder / "records")


def _new_machine(toy):
  shutil.rmtree(toy.root)
  toy.runs()


def _file(toy):
  return toy.folder / "records/toy" / records.RECORDS_FILE


def _page(toy):
  """Everything that the page is made of."""
  return json.loads((toy.folder / "out/toy/results.json").read_text())


def test_another_machine_runs_nothing_again_and_writes_the_same_page(
  toy, records_dir
):
  toy.conduct(records_dir=records_dir)
  page = _page(toy)
  _new_machine(toy)
  toy.conduct(records_dir=records_dir)
  assert toy.runs() == []
  assert _page(toy) == page
  assert (toy.folder / "out/RESULTS.md").exists()


def test_another_machine_runs_the_missing_seeds_alone(toy, records_dir):
  toy.conduct(toy.experiment(seeds=[0]), records_dir=records_dir)
  _new_machine(toy)
  toy.conduct(records_dir=records_dir)
  assert toy.runs() == ["look one", "look two", "make 1 1", "make 3 1"]
  [table] = _page(toy)["tables"]
  assert [row["values"] for row in table["rows"]] == [[[2, 4]], [[6, 8]]]
  assert len(_file(toy).read_text().splitlines()) == 8


def test_a_measurement_is_not_mixed_with_a_model_trained_again(
  toy, records_dir
):
  given = toy.experiment(
    steps={
      "one": toy.model(1, _DRIFT),
      "look": toy.look(),
      "again": toy.look(),
    },
    orderings=[],
  )
  toy.conduct(given, records_dir=records_dir)
  kept = [
    line
    for line in _file(toy).read_text().splitlines(keepends=True)
    if not line.startswith('{"name":"again/one/seed1"')
  ]
  assert len(kept) == 5
  _file(toy).write_text("".join(kept))
  _new_machine(toy)
  toy.conduct(given, records_dir=records_dir)
  # Both measurements, as the first one was of a model that is gone.
  assert toy.runs() == ["look one", "look one", "make 1 1"]
  toy.conduct(given, records_dir=records_dir)
  assert toy.runs() == []


def test_records_of_changed_steps_are_not_used(toy, records_dir):
  toy.conduct(records_dir=records_dir)
  _new_machine(toy)
  changed = toy.experiment(
    steps={"one": toy.model(1), "two": toy.model(4), "look": toy.look()}
  )
  toy.conduct(changed, records_dir=records_dir)
  assert toy.runs() == ["look two", "look two", "make 4 0", "make 4 1"]


def test_outputs_of_this_machine_come_before_records(toy, records_dir):
  toy.conduct(records_dir=records_dir)
  toy.runs()
  # A record that disagrees with the output here.
  _file(toy).write_text(_file(toy).read_text().replace("8.0", "9.0"))
  toy.conduct(records_dir=records_dir)
  assert toy.runs() == []
  [table] = _page(toy)["tables"]
  assert table["rows"][1]["values"] == [[6, 8]]


def test_steps_that_ran_before_there_were_records_are_recorded(
  toy, records_dir
):
  toy.conduct()
  toy.runs()
  toy.conduct(records_dir=records_dir)
  assert toy.runs() == []
  lines = [json.loads(line) for line in _file(toy).read_text().splitlines()]
  assert [line["name"] for line in lines] == sorted(
    line["name"] for line in lines
  )
  found = {line["name"]: line["measures"] for line in lines}
  assert found["look/two/seed1"] == {"score": 8.0} and found["two/seed1"] == {}


def test_a_dry_run_counts_records_and_writes_none(toy, records_dir):
  toy.conduct(dry_run=True, records_dir=records_dir)
  assert not _file(toy).exists()
  toy.conduct(records_dir=records_dir)
  _new_machine(toy)
  toy.conduct(dry_run=True, records_dir=records_dir)
  assert toy.said[-1] == "8 steps: 8 done, 0 would run"


_UNTYPED = json.dumps(dict.fromkeys(records.Record._fields, "x")) + "\n"


@pytest.mark.parametrize(
  "damage", ["[1]\n", "{\n", '{"name": "x"}\n', "\0\n", _UNTYPED]
)
def test_damaged_records_are_named_with_their_line(toy, records_dir, damage):
  toy.conduct(records_dir=records_dir)
  with open(_file(toy), "a") as file:
    file.write(damage)
  with pytest.raises(errors.UsageError, match=r"steps.jsonl, line 9: damaged"):
    toy.conduct(records_dir=records_dir)


def test_records_that_cannot_be_read_are_named(toy, records_dir):
  _file(toy).mkdir(parents=True)
  with pytest.raises(errors.UsageError, match="steps.jsonl cannot be read"):
    toy.conduct(records_dir=records_dir)
  assert toy.runs() == []


def test_a_folder_of_records_that_is_a_file_is_named(toy, records_dir):
  (toy.folder / "records").write_text("mine")
  with pytest.raises(errors.UsageError, match="--records"):
    toy.conduct(records_dir=records_dir)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
