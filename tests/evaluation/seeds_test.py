"""Tests of tf_ssl.evaluation.seeds."""

import os
import sys

import numpy as np
import pytest
from scipy import stats

from tf_ssl import errors
from tf_ssl.evaluation import seeds


def _open(folder, messages=None, **key):
  say = (messages if messages is not None else []).append
  return seeds.open_results(str(folder), key, say)


def _never(working):
  raise AssertionError(f"measured again in {working}")


def test_a_finished_part_is_not_measured_again(tmp_path):
  result = {"score": 0.5, "of": [1, None]}
  folders = []

  def measure(working):
    os.makedirs(working)
    folders.append(working)
    return result

  with _open(tmp_path / "a", steps=(3, 4)) as kept:
    assert kept.result("one", measure) == result
  assert not os.path.exists(folders[0])
  messages = []
  with _open(tmp_path / "a", messages, steps=[3, 4]) as kept:
    assert kept.result("one", _never) == result
  assert not messages


def test_an_interrupted_part_keeps_its_working_folder(tmp_path):
  def interrupted(working):
    os.makedirs(working)
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt), _open(tmp_path, steps=3) as kept:
    kept.result("one", interrupted)
  with _open(tmp_path, steps=3) as kept:
    assert kept.result("one", os.path.isdir)


def test_other_settings_delete_the_results_and_name_the_difference(tmp_path):
  with _open(tmp_path / "a", steps=3, model="x") as kept:
    kept.result("one", lambda working: 1)
  messages = []
  with _open(tmp_path / "a", messages, steps=4, model="x") as kept:
    assert kept.result("one", lambda working: 2) == 2
  assert len(messages) == 1
  assert "steps" in messages[0] and "model" not in messages[0]


def test_a_damaged_result_is_measured_again(tmp_path):
  with _open(tmp_path, steps=3) as kept:
    kept.result("one", lambda working: 1)
  (tmp_path / "one.json").write_text("{")
  with _open(tmp_path, steps=3) as kept:
    assert kept.result("one", lambda working: 2) == 2


def test_foreign_files_are_left_alone(tmp_path):
  (tmp_path / "precious").write_text("kept")
  with pytest.raises(errors.UsageError, match="precious.*--output_dir"):
    with _open(tmp_path, steps=3):
      pass
  assert (tmp_path / "precious").read_text() == "kept"
  with pytest.raises(errors.UsageError, match="precious/a.*--output_dir"):
    with _open(tmp_path / "precious" / "a", steps=3):
      pass


def test_two_processes_cannot_share_a_folder(tmp_path):
  with _open(tmp_path, steps=3):
    with pytest.raises(errors.UsageError, match=str(os.getpid())):
      with _open(tmp_path, steps=3):
        pass


def _three():
  return seeds.Repetitions(
    ["0", "1", "2"],
    [
      {"top1": 50.0, "ap": 1.0},
      {"top1": 75.0, "ap": None},
      {"top1": 100.0, "ap": 2.0},
    ],
  )


def test_intervals_are_students_over_the_repetitions():
  half = stats.t.ppf(0.975, 2) * np.std([50, 75, 100], ddof=1) / np.sqrt(3)
  found = _three()
  assert set(found.intervals()) == {"top1"}  # "ap" is missing for seed 1.
  assert found.results() == {"top1": 75.0}
  assert found.details()["intervals_95"]["top1"] == pytest.approx(
    [75, 75 - half, 75 + half]
  )


def test_the_table_has_repetitions_mean_and_interval():
  found = seeds.Repetitions(["0", "1"], [{"a": 1.0}, {"a": 3.0}])
  table = found.table(
    "By seed", {"a": "A, %", "absent": "-"}, extra={"loss": [0.5, None]}
  )
  assert table.columns == ["seed", "A, %", "loss"]
  assert table.rows[:3] == [
    ["0", 1.0, 0.5],
    ["1", 3.0, None],
    ["mean", 2, None],
  ]
  reach = stats.t.ppf(0.975, 1)
  assert table.rows[3][1] == pytest.approx(2 - reach)
  assert table.rows[4][1] == pytest.approx(2 + reach)


def test_a_single_repetition_has_no_interval():
  found = seeds.Repetitions(["0"], [{"a": 1.0}])
  assert found.details() == {"intervals_95": {"a": [1.0, None, None]}}
  assert found.table("By seed", {"a": "A"}).rows == [["0", 1.0]]


@pytest.mark.parametrize("values", [(), (1, 1), (-1, 0)])
def test_missing_repeated_and_negative_seeds_are_refused(values):
  with pytest.raises(errors.UsageError, match="SEEDS"):
    seeds.check(values)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
