"""Tests of tf_ssl.comparison.runs: folders of any state."""

import json
import os
import sys

import numpy as np
import pytest

from tests.comparison import runs_reference as reference
from tf_ssl import errors
from tf_ssl.comparison import runs


def only(path):
  [run] = runs.read([path]).runs
  return run


def test_a_run_has_its_records_settings_and_origin(tmp_path):
  path = reference.write(tmp_path / "a", reference.records(0, 4, 8))
  run = only(path)
  assert run.label == "a" and run.method == "moco"
  assert run.num_steps == 8 and run.step == 8 and run.minutes == 1.5
  assert run.settings["BATCH_SIZE"] == 4
  assert run.settings["settings.Pretraining.method"] == "@moco.build_moco"
  assert run.origin["versions.python"] == "3.11.7"
  assert run.origin["data.count"] == 12
  assert not run.notes
  steps, losses = run.curve("loss")
  np.testing.assert_array_equal(steps, [0, 4, 8])
  np.testing.assert_array_equal(losses, [10.0, 6.0, 2.0])


def test_a_curve_has_finite_numbers_only(tmp_path):
  values = [1.0, None, "x", True, float("nan"), float("inf"), 10**400, 2]
  rows = [{"step": i, "loss": value} for i, value in enumerate(values)]
  steps, losses = only(reference.write(tmp_path / "a", rows)).curve("loss")
  np.testing.assert_array_equal(steps, [0, 7])
  np.testing.assert_array_equal(losses, [1.0, 2.0])


def test_damaged_lines_are_skipped_counted_and_named(tmp_path):
  rows = [
    *reference.records(0),
    '{"step": 2, "lo',
    *reference.records(4),
    "\0\0\0",
    "[1, 2]",
    '{"loss": 3.0}',
    '{"step": "5"}',
    "[" * 100_000,
  ]
  path = reference.write(tmp_path / "a", rows, end='{"step": 8, "loss"')
  run = only(path)
  assert [record["step"] for record in run.records] == [0, 4]
  [note] = run.notes
  assert note == (
    "a: metrics.jsonl: 7 of 9 lines are damaged and skipped: lines 2, 4, 5, 6,"
    " 7, 8, 9"
  )


def test_bytes_that_are_not_utf8_damage_their_line_only(tmp_path):
  path = reference.write(tmp_path / "a", reference.records(0, 4))
  with open(f"{path}/metrics.jsonl", "ab") as file:
    file.write(b'{"step": 6, "\xff": 1}\n\xfe\xff\n')
  run = only(path)
  assert [record["step"] for record in run.records] == [0, 4, 6]
  assert "lines are damaged" in run.notes[0] and "line 4" in run.notes[0]


def test_steps_that_were_logged_again_replace_the_earlier_ones(tmp_path):
  first = reference.records(0, 2, 4, 6)
  again = [{"step": step, "loss": -1.0} for step in (4, 6, 8)]
  run = only(reference.write(tmp_path / "a", first + again))
  steps, losses = run.curve("loss")
  np.testing.assert_array_equal(steps, [0, 2, 4, 6, 8])
  np.testing.assert_array_equal(losses, [10.0, 8.0, -1.0, -1.0, -1.0])
  assert "2 records" in run.notes[0]


def test_timings_of_deterministic_runs_are_found(tmp_path):
  path = reference.write(tmp_path / "a", reference.records(0, 4, 8))
  with open(f"{path}/timings.jsonl", "w") as file:
    for step in (4, 8):
      row = {"step": step, "images_per_second": 10.0 * step}
      file.write(json.dumps(row) + "\n")
  steps, rates = only(path).curve("images_per_second")
  np.testing.assert_array_equal(steps, [4, 8])
  np.testing.assert_array_equal(rates, [40.0, 80.0])


@pytest.mark.parametrize(
  "content", ["", "{", "[]", "3", "null", "\0", '{"step": 4, "wall_']
)
def test_a_damaged_run_json_is_noted(tmp_path, content):
  path = reference.write(tmp_path / "a", reference.records(0, 4))
  with open(f"{path}/run.json", "w") as file:
    file.write(content)
  run = only(path)
  assert run.notes == ["a: run.json is damaged; left out"]
  assert run.origin == {} and run.minutes is None and run.step == 4


@pytest.mark.parametrize(
  "record",
  [
    {"data": 3, "versions": None},
    {"wall_seconds": "long", "step": None},
    {"wall_seconds": float("nan")},
  ],
)
def test_fields_of_run_json_may_hold_anything(tmp_path, record):
  path = reference.write(tmp_path / "a", reference.records(0, 4), record=record)
  run = only(path)
  assert run.records and (run.minutes is None or "wall_seconds" not in record)


def test_the_time_of_a_run_that_trains_is_unknown(tmp_path):
  path = reference.write(
    tmp_path / "a", reference.records(0, 4), record={"step": 0}
  )
  assert only(path).minutes is None


@pytest.mark.parametrize("name", ["operative_config.gin", "run.json"])
def test_a_missing_file_is_noted(tmp_path, name):
  path = reference.write(tmp_path / "a", reference.records(0, 4))
  os.remove(f"{path}/{name}")
  [note] = only(path).notes
  assert name in note


def test_a_file_that_is_a_folder_is_noted(tmp_path):
  path = reference.write(tmp_path / "a", [])
  os.remove(f"{path}/metrics.jsonl")
  os.mkdir(f"{path}/metrics.jsonl")
  assert any("metrics.jsonl cannot be read" in n for n in only(path).notes)


def test_a_run_that_has_just_begun_has_no_records(tmp_path):
  run = only(reference.write(tmp_path / "a", []))
  assert run.notes == ["a: no records yet"]
  assert run.step == 0 and not len(run.curve("loss")[0])


def test_what_is_no_run_is_one_line_each(tmp_path):
  path = reference.write(tmp_path / "a", reference.records(0))
  (tmp_path / "file").write_text("")
  (tmp_path / "empty").mkdir()
  found = runs.read(
    [path, *(f"{tmp_path}/{n}" for n in ("file", "empty", "none", "a/."))]
  )
  assert [run.label for run in found.runs] == ["a"]
  file, empty, none, again = found.left_out
  assert "is a file" in file and "is not a run" in empty
  assert "does not exist" in none and "twice" in again


@pytest.mark.parametrize("names", [[], ["empty"], ["empty", "none"]])
def test_without_any_run_there_is_nothing_to_compare(tmp_path, names):
  (tmp_path / "empty").mkdir()
  with pytest.raises(errors.UsageError, match="no run among|no folder"):
    runs.read([str(tmp_path / name) for name in names])


def test_equal_names_are_told_apart_by_their_folders(tmp_path):
  paths = [
    reference.write(tmp_path / name, []) for name in ("x/a", "y/a", "y/b")
  ]
  labels = [run.label for run in runs.read(paths).runs]
  assert labels == ["x/a", "y/a", "y/b"]


def test_a_name_that_is_not_utf8_is_escaped(tmp_path):
  path = reference.write(os.fsencode(tmp_path) + b"/r\xff\n", [])
  assert only(path).label == r"r\xff\n"


@pytest.mark.parametrize(
  "config, method",
  [
    ("settings.Pretraining.method = @simclr.build_simclr", "simclr"),
    ("settings.Pretraining.method = %M\nM = @npid.build_npid", "npid"),
    ("settings.Pretraining.method = @mine.Method()", "mine.Method"),
    ("moco.build_moco.momentum = 0.9", "moco"),  # As tf_ssl.pretrain writes.
    ("STEPS = 3", ""),
  ],
)
def test_the_method_is_named_by_its_builder(tmp_path, config, method):
  path = reference.write(tmp_path / "a", reference.records(0))
  with open(f"{path}/operative_config.gin", "w") as file:
    file.write(config + "\n")
  assert only(path).method == method


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
