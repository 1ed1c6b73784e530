"""benchmarks.few_minutes: tables of runs that a short script stands in for."""

import csv
import shlex
import sys

import pytest
from PIL import Image

from benchmarks import few_minutes, few_minutes_tables, machine
from tf_ssl import errors
from tf_ssl.ops import threads

# Stands in for tools.train: writes what a run with this seed leaves behind.
_TRAINED = """
import json, pathlib, sys
folder, seed, steps = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
folder.mkdir(parents=True, exist_ok=True)
with open(folder / "calls", "a") as stream: stream.write("x")
lines = [{"step": 0, "knn_accuracy": 0.3}, {"step": 5, "loss": 1.0},
         {"step": steps, "knn_accuracy": 0.5 + seed / 10 + (steps - 9) / 100}]
(folder / "metrics.jsonl").write_text("\\n".join(map(json.dumps, lines)))
record = {"step": steps, "wall_seconds": 60.0, "precision": "float32"}
(folder / "run.json").write_text(json.dumps(record))
if not (folder / "stop").exists(): (folder / "saved_model").mkdir()
"""

_WRITE_CORES = """
import os
(folder / "cores").write_text(str(sorted(os.sched_getaffinity(0))))
"""


def _stand_in(run, code):
  numbers = [str(run.seed), str(run.steps or 9)]
  return [sys.executable, "-c", code, str(run.folder), *numbers]


@pytest.fixture
def data(tmp_path, monkeypatch):
  """Empty folders of both data sets; training is replaced by the script."""
  for name in ("cifar10", "imagenette"):
    (tmp_path / name).mkdir()

  def command(run, data, bindings):
    del data, bindings
    return _stand_in(run, _TRAINED)

  monkeypatch.setattr(few_minutes.Run, "command", command)
  return tmp_path


def _run(data, *more):
  config = "--config=moco_v2_cifar10"
  output = f"--output_dir={data / 'out'}"
  few_minutes.main([f"--data={data}", output, config, *more])
  with open(data / "out" / "few_minutes.csv") as stream:
    return list(csv.DictReader(stream))


def test_the_table_has_each_seed_and_the_mean_with_its_interval(data, capsys):
  rows = _run(data)
  assert [row["knn_trained"] for row in rows] == ["0.5", "0.6", "0.7"]
  text = (data / "out" / "few_minutes.md").read_text()
  # 60 % +- 4.303 * 10 % / sqrt(3).
  assert "| 60.0% | 35.2% to 84.8% | 50.0%, 60.0%, 70.0% | 9 |" in text
  assert machine.processor() in text and "| 30.0% |" in text
  assert text in capsys.readouterr().out


def test_a_table_is_made_in_pieces_and_no_run_is_repeated(data, capsys):
  assert len(_run(data, "--runs=1")) == 1
  assert "2 runs are left" in capsys.readouterr().out
  assert "| – |" in (data / "out" / "few_minutes.md").read_text()
  assert len(_run(data, "--runs=1")) == 2
  assert len(_run(data)) == 3
  assert len(_run(data)) == 3
  calls = sorted((data / "out").glob("*/calls"))
  assert [path.read_text() for path in calls] == ["x", "x", "x"]


def test_a_table_goes_on_from_the_rows_of_another_machine(data):
  rows = _run(data, "--seeds=2")
  (data / "out").rename(data / "elsewhere")
  (data / "out").mkdir()
  csv_file = data / "elsewhere" / "few_minutes.csv"
  text = csv_file.read_text().replace(machine.processor(), "Another CPU")
  (data / "out" / "few_minutes.csv").write_text(text)
  more = _run(data, "--seeds=3", "--config=pirl_cifar10")
  assert len(more) == 6 and more[:2] == [
    row | {"processor": "Another CPU"} for row in rows
  ]
  assert not list((data / "out").glob("moco_v2_cifar10_seed[01]"))
  page = (data / "out" / "few_minutes.md").read_text()
  assert f"Processor: Another CPU; {machine.processor()}." in page


def test_two_runs_at_once_have_half_of_the_cores_each(data, monkeypatch):
  if threads.num_cores() < 2:
    pytest.skip("needs two cores")
  monkeypatch.setattr(
    few_minutes.Run,
    "command",
    lambda run, *_: _stand_in(run, _TRAINED + _WRITE_CORES),
  )
  rows = _run(data, "--jobs=2", "--seeds=4")
  half = threads.num_cores() // 2
  assert [row["seed"] for row in rows] == ["0", "1", "2", "3"]
  assert {int(row["cores"]) for row in rows} <= {half, half + 1}
  used = [path.read_text() for path in (data / "out").glob("*/cores")]
  assert len(used) == 4 and len(set(used)) == 2


def test_other_numbers_of_steps_have_a_table_and_a_chart_of_their_own(
  data, monkeypatch
):
  own = _run(data, "--seeds=2")
  drawn = []
  monkeypatch.setattr(
    few_minutes_tables, "chart", lambda rows: drawn.append(rows) or b"PNG"
  )
  steps = ("--steps=3", "--steps=19", "--steps=3", "--seeds=2")
  assert _run(data, *steps) == own
  folder = data / "out"
  with open(folder / "few_minutes_steps.csv") as stream:
    found = list(csv.DictReader(stream))
  assert [(row["steps"], row["seed"]) for row in found] == [
    *(("3", "0"), ("3", "1"), ("19", "0"), ("19", "1"))
  ]
  page = (folder / "few_minutes_steps.md").read_text()
  assert "| 49.0% |" in page and "| 44.0%, 54.0% | 3 |" in page
  assert [row["steps"] for row in drawn[-1]] == [3, 3, 19, 19, 9, 9]
  assert (folder / "few_minutes_steps.png").read_bytes() == b"PNG"
  assert _run(data, *steps) == own
  calls = [path.read_text() for path in folder.glob("*/calls")]
  assert calls == ["x"] * 6


def test_the_chart_is_a_picture(data):
  _run(data, "--seeds=1")
  _run(data, "--steps=3", "--steps=19", "--config=pirl_cifar10", "--seeds=1")
  with Image.open(data / "out" / "few_minutes_steps.png") as picture:
    assert picture.format == "PNG" and picture.width > 500


def test_a_damaged_table_is_refused(data):
  (data / "out").mkdir()
  for text in ("config,seed\nmoco_v2_cifar10,0\n", "\0\n\0"):
    (data / "out" / "few_minutes.csv").write_text(text)
    with pytest.raises(errors.UsageError, match="csv cannot be read"):
      _run(data)
  (data / "out" / "few_minutes.csv").unlink()
  (data / "out" / "few_minutes.csv").mkdir()
  with pytest.raises(errors.UsageError, match="csv cannot be read .IsADir"):
    _run(data)


def test_a_stopped_run_is_resumed_and_its_minutes_add_up(data):
  folder = data / "out" / "moco_v2_cifar10_seed0"
  folder.mkdir(parents=True)
  (folder / "stop").touch()
  with pytest.raises(errors.UsageError, match="the same command to resume"):
    _run(data, "--seeds=1")
  (folder / "stop").unlink()
  [row] = _run(data, "--seeds=1")
  assert float(row["wall_minutes"]) == pytest.approx(1.0, abs=0.2)
  assert row["resumed"] == "True"
  assert ", resumed" in (data / "out" / "few_minutes.md").read_text()


def test_bad_arguments_are_one_line(data):
  for arguments, problem in (
    (["--seeds=0"], "--seeds=0"),
    (["--runs=-1"], "--runs=-1"),
    (["--steps=0"], "--steps=0"),
    (["--jobs=0"], "--jobs=0"),
    (["--jobs=1000"], "--jobs=1000"),
    (["--config=moco_v2_folder"], "--config=moco_v2_folder"),
    ([f"--data={data / 'out'}"], "is missing"),
  ):
    with pytest.raises(errors.UsageError, match=problem):
      _run(data, *arguments)


def test_a_run_that_fails_is_named(data, monkeypatch):
  monkeypatch.setattr(
    few_minutes.Run, "command", lambda *_: shlex.split("sh -c 'exit 2'")
  )
  with pytest.raises(errors.UsageError, match="cifar10_seed0.*exit code 2"):
    _run(data)


def test_the_command_reads_the_folders_of_the_config(tmp_path):
  for config, test in (("pirl_cifar10", "test"), ("simclr_imagenette", "val")):
    words = few_minutes.Run(config, 2, tmp_path / "run").command(
      tmp_path, ["STEPS=3"]
    )
    name = config.split("_")[-1]
    assert f"--gin_bindings=IMAGES='{tmp_path / name}/train'" in words
    assert f"--gin_bindings=HELD_OUT_IMAGES='{tmp_path / name}/{test}'" in words
    assert words[-3:] == [
      "--gin_bindings=SEED=2",
      "--gin_bindings=STEPS=3",
      f"--model_dir={tmp_path / 'run'}",
    ]


def test_the_command_binds_other_numbers_of_steps_last(tmp_path):
  run = few_minutes.Run("pirl_cifar10", 0, tmp_path, 325)
  words = run.command(tmp_path, ["STEPS=3"])
  assert words[-2] == "--gin_bindings=STEPS=325"


def test_all_configs_exist(repository):
  for config in few_minutes.CONFIGS:
    assert (repository / f"gin_configs/pretrain/{config}.gin").is_file()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
