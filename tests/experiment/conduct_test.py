"""Which steps a run chooses, checks and reports."""

import json
import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment import conduct

_FAIL = "import sys; print('no such number', file=sys.stderr); sys.exit(3)"


def test_a_dry_run_prints_the_steps_and_runs_nothing(toy):
  toy.conduct(dry_run=True)
  assert toy.runs() == [] and not (toy.folder / "out").exists()
  assert "would run one/seed0" in toy.said
  assert toy.said[-1] == "8 steps: 0 done, 8 would run"
  toy.conduct(only=["one/seed1"])
  toy.conduct(dry_run=True)
  assert "done      one/seed1" in toy.said
  assert toy.said[-1] == "8 steps: 1 done, 7 would run"
  command = toy.said[toy.said.index("would run look/two/seed0") + 1]
  assert command.split()[-1] == "two"


def test_a_missing_folder_of_data_is_an_error_before_anything_runs(toy):
  given = toy.experiment(data=str(toy.folder / "nowhere"))
  with pytest.raises(errors.UsageError, match="nowhere'.*change DATA"):
    toy.conduct(given)
  assert toy.runs() == []
  toy.conduct(given, dry_run=True)  # Needs no data.


def test_all_missing_data_are_in_one_error(toy):
  (toy.folder / "data/there").mkdir(parents=True)
  given = toy.experiment(
    data=str(toy.folder / "data"),
    steps={
      "one": toy.program(_FAIL, "--x=data:there", "data:photos/train"),
      "two": toy.program(_FAIL, "data:photos/train", "data:/boxes.json"),
      "three": toy.program(_FAIL, "data:", "data:there"),
    },
    tables=[],
    orderings=[],
  )
  with pytest.raises(
    errors.UsageError,
    match=r"photos/train \(for one, two\), .*boxes.json \(for two\).*DATA",
  ):
    toy.conduct(given)
  assert not (toy.folder / "out").exists()
  # A part of an experiment needs only its own data.
  with pytest.raises(errors.UsageError, match=r"\(for one\);"):
    toy.conduct(given, only=["one"])
  assert list(toy.conduct(given, only=["three"])) == ["three"]


def test_a_file_as_output_folder_is_refused(toy):
  (toy.folder / "out").write_text("mine")
  with pytest.raises(errors.UsageError, match="--output_dir=.*out"):
    toy.conduct()
  assert (toy.folder / "out").read_text() == "mine"


def test_only_matching_steps_and_their_inputs_are_run(toy):
  toy.conduct(only=["look/two/seed*"])
  assert toy.runs() == ["look two", "look two", "make 3 0", "make 3 1"]
  assert "look.score of two, seed 1: 8.0" in toy.said
  assert not (toy.folder / "out/RESULTS.md").exists()
  with pytest.raises(errors.UsageError, match="--only=lok.* one/seed"):
    toy.conduct(only=["lok*"])


def test_the_page_and_the_verdicts_are_told(toy):
  page = toy.folder / "page.md"
  assert toy.conduct(results_file=str(page)) == {}
  assert "Toy" in page.read_text()
  assert not (toy.folder / "out/RESULTS.md").exists()
  assert toy.said[-1] == f"results: {page}"
  # 6 and 8 against 2 and 4.
  [verdict] = [line for line in toy.said if "two > one" in line]
  assert verdict.partition(":")[0] in (
    "confirmed",
    "reversed",
    "not significant",
  )


def test_a_killed_run_leaves_the_results_of_its_finished_steps(toy):
  class Killed(BaseException):
    pass

  def say(line):
    if "look/two" in line:
      raise Killed

  toy.conduct(only=["one/seed0", "look/one/seed0"])
  with pytest.raises(Killed):
    conduct.conduct(
      toy.experiment(),
      name="toy",
      output_dir=toy.root,
      parse=lambda file, bindings: file,
      tool_command=list,
      dry_run=False,
      say=say,
    )
  [written] = (toy.folder / "out/toy").glob("*.json")
  results = json.loads(written.read_text())
  [table] = results["tables"]
  values = {row["model"]: row["values"] for row in table["rows"]}
  assert values == {"one": [[2.0]], "two": [[]]}


def test_a_folder_that_cannot_be_written_is_named(toy):
  (toy.folder / "out").mkdir()
  (toy.folder / "out/toy").write_text("mine")
  with pytest.raises(errors.UsageError, match="--output_dir"):
    toy.conduct()
  assert toy.runs() == []


def test_an_experiment_is_named_after_its_first_file():
  assert conduct.name_of(["gin_configs/paper/a.b.gin", "other.gin"]) == "a.b"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
