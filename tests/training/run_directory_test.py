"""Tests of tf_ssl.training.run_directory."""

import json
import os
import sys

import pytest

from tf_ssl import errors
from tf_ssl.training import run_directory
from tf_ssl.training.distributed import cluster

CONFIG = "# A comment.\nsettings.Pretraining.steps = \\\n    6\nSEED = 0\n"


def open_in(folder, config=CONFIG, **options):
  directory = run_directory.RunDirectory(str(folder / "run"))
  directory.open(config, **options)
  return directory


def test_a_new_folder_gets_the_config_and_is_resumed_with_the_same(tmp_path):
  first = open_in(tmp_path)
  assert not first.resumed
  assert first.config.read_text() == CONFIG
  again = open_in(
    tmp_path, "SEED =   0\nsettings.Pretraining.steps = 6\n# Another comment.\n"
  )
  assert again.resumed


def test_another_config_is_refused_or_replaces_the_run(tmp_path):
  first = open_in(tmp_path)
  first.metrics.write_text("{}")
  with pytest.raises(errors.UsageError, match="-SEED = 0; .SEED = 1"):
    open_in(tmp_path, CONFIG.replace("SEED = 0", "SEED = 1"))
  open_in(tmp_path, "SEED = 1\n", overwrite=True)
  assert not first.metrics.exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_others_are_never_touched(tmp_path, overwrite):
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "thesis.txt").write_text("years of work")
  with pytest.raises(errors.UsageError, match="--model_dir"):
    open_in(tmp_path, overwrite=overwrite)
  assert (tmp_path / "run" / "thesis.txt").exists()


def test_a_run_killed_before_its_first_config_can_start_again(tmp_path):
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / ".operative_config.gin.abc.tmp").write_text("SE")
  assert open_in(tmp_path).config.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "run").write_text("a file")
  with pytest.raises(errors.UsageError, match="run.*--model_dir"):
    open_in(tmp_path)


def test_the_record_is_sorted_json(tmp_path):
  directory = open_in(tmp_path)
  assert directory.read_record() == {}
  record = run_directory.describe(
    command="train", seed=3, data={"count": 2, "bytes": 1}
  )
  directory.write_record(record)
  assert directory.read_record() == record
  text = directory.record.read_text()
  assert text == json.dumps(record, indent=2, sort_keys=True) + "\n"
  assert record["versions"]["tensorflow"] and record["seed"] == 3
  assert run_directory.peak_memory_bytes() > 1e7


def test_a_worker_has_its_own_folder_and_the_checkpoints_of_the_chief(tmp_path):
  directory = open_in(tmp_path)
  worker = directory.of_worker(2)
  assert worker.path == directory.path / "workers" / "2"
  assert worker.chief_checkpoints == directory.checkpoints
  assert worker.checkpoints != directory.checkpoints


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_locked_folder_refuses_a_second_run_and_is_no_foreign_one(
  tmp_path, overwrite
):
  alone = cluster.read()
  path = tmp_path / "run"
  with run_directory.locked(str(path), alone):
    directory = run_directory.RunDirectory(str(path))
    directory.open("a = 1", overwrite=overwrite)
    directory.open("a = 1", overwrite=overwrite)
    with (
      pytest.raises(errors.UsageError, match=f"{os.getpid()}.*--model_dir"),
      run_directory.locked(str(path), alone),
    ):
      pass
