"""benchmarks.search_trials: files of trials, and their gin lines."""

import json
import sys

import pytest

from benchmarks import search_trials
from tf_ssl import errors


def test_a_space_gives_all_combinations_after_the_gin_file_as_it_is(write):
  file = write("a.json", '{"X": [1, 2], "net": [{"W": 3, "V": 4}, {"W": 5}]}')
  assert [t.bindings for t in search_trials.read_trials(file)] == [
    {},
    {"X": 1, "W": 3, "V": 4},
    {"X": 2, "W": 3, "V": 4},
    {"X": 1, "W": 5},
    {"X": 2, "W": 5},
  ]


def test_random_draws_from_a_space_are_different_and_repeatable(write):
  file = write("a.yaml", "{X: [1, 2, 3, 4], Y: [5, 6, 7]}")
  first = search_trials.read_trials(file, draws=6)
  assert first == search_trials.read_trials(file, draws=6)
  assert len({str(trial.bindings) for trial in first}) == 7


def test_a_csv_leaves_the_values_of_empty_cells_to_the_gin_file(write):
  file = write("a.csv", "X,m.y\n0.5,\n,@m.z\n")
  bindings = [t.bindings for t in search_trials.read_trials(file)]
  assert bindings == [{}, {"X": 0.5}, {"m.y": "@m.z"}]
  assert search_trials.gin_lines({"X": "a", **bindings[2]}) == [
    "X = 'a'",
    "m.y = @m.z",
  ]


def test_parts_of_a_space_may_each_add_a_gin_file(write):
  axes = {
    "crops": [{}, {"gin_file": "a.gin", "CROPS": 2}],
    "early": [{}, {"gin_file": "b.gin"}],
  }
  trials = search_trials.read_trials(write("a.json", json.dumps(axes)))
  assert [search_trials.gin_files(t.bindings) for t in trials] == [
    [],
    ["a.gin"],
    ["b.gin"],
    ["a.gin", "b.gin"],
  ]
  assert search_trials.gin_lines(trials[3].bindings) == ["CROPS = 2"]


@pytest.mark.parametrize("text", ["3", "[]", "{X: 3}", "[{}]", "[a, b]", "{"])
def test_a_file_that_is_no_trials_is_named_in_the_error(write, text):
  file = write("a.yaml", text)
  with pytest.raises(errors.UsageError, match=f"--trials={file}"):
    search_trials.read_trials(file)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
