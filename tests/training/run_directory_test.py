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
    command="train",
    seed=3,
    precision="float32",
    data={"count": 2, "bytes": 1},
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


def test_a_foreign_folder_is_refused_without_a_lock_file(tmp_path):
  (tmp_path / "thesis.txt").write_text("years of work")
  with pytest.raises(errors.UsageError, match=f"{tmp_path}.*--model_dir"):
    with run_directory.locked(str(tmp_path), cluster.read()):
      pytest.fail("must not be reached")
  assert os.listdir(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_run_that_fails_before_it_writes_leaves_the_folder_as_it_was(
  tmp_path, exists
):
  path = tmp_path / "run"
  if exists:
    path.mkdir()
  with pytest.raises(ZeroDivisionError):
    with run_directory.locked(str(path), cluster.read()):
      raise ZeroDivisionError
  assert path.exists() == exists
  assert not exists or not os.listdir(path)


def test_a_worker_locks_its_own_folder(tmp_path, monkeypatch):
  monkeypatch.setattr(
    run_directory.distribution, "any_worker", lambda flag: flag
  )
  worker = cluster.Cluster(("a:1", "b:2"), 1)

  def opened():
    return run_directory.opened(
      str(tmp_path / "run"), worker, CONFIG, overwrite=False
    )

  with opened() as directory:
    assert directory.path == tmp_path / "run" / "workers" / "1"
    with pytest.raises(errors.UsageError, match="workers/1.*--model_dir"):
      with opened():
        pytest.fail("must not be reached")
    assert directory.config.exists()
  with opened():
    pass


UUID = "0123456789abcdef" * 2


def test_the_next_start_removes_what_a_kill_left_and_no_file_of_the_user(
  tmp_path,
):
  run = open_in(tmp_path).path
  leftovers = (
    f".metrics.jsonl.00000000{UUID}.tmp",
    f".run.json.{UUID}.tmp",
    ".operative_config.gin.tmp",
    f".saved_model.00000000{UUID}.tmp/variables/variables.index",
    "saved_model.partial-4711/saved_model.pb",
    "checkpoints/step-7_temp/part-00000-of-00001.index",
    f"checkpoints/checkpoint.tmp{UUID}",
    "checkpoints/best/step-7_temp/part-00000-of-00001.index",
    f"tensorboard/projector/.features.tsv.00000000{UUID}.tmp",
  )
  of_the_user = (
    ".notes.tmp",
    "saved_model.partial-1/thesis.txt",
    "checkpoints/step-7_temperature.txt",
    "checkpoints/checkpoint.tmp.txt",
    "checkpoints/step-8.index",
    "tensorboard/notes.tempstate",
  )
  for name in (*leftovers, *of_the_user):
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text("content")
  open_in(tmp_path)
  for name in leftovers:
    assert not (run / name).exists(), name
  for name in of_the_user:
    assert (run / name).read_text() == "content", name
  top = {path.name for path in run.iterdir()}
  assert "saved_model.partial-4711" not in top


def test_a_link_to_another_folder_is_not_followed_by_the_clean_up(tmp_path):
  run = open_in(tmp_path).path
  other = tmp_path / "other" / "step-1_temp"
  other.mkdir(parents=True)
  (other / "file").write_text("content")
  (run / "checkpoints").mkdir()
  (run / "checkpoints" / "step-2_temp").symlink_to(other)
  (run / "tensorboard").symlink_to(tmp_path / "other")
  open_in(tmp_path)
  assert (other / "file").read_text() == "content"
  assert not os.path.lexists(run / "checkpoints" / "step-2_temp")


@pytest.mark.parametrize(
  "content", [b"", b'{"data": {"cou', b"\0" * 50, b"5", b"\xff", b'{"data": 1}']
)
def test_a_damaged_record_reads_as_none(tmp_path, content):
  directory = open_in(tmp_path)
  directory.record.write_bytes(content)
  assert directory.read_record() == {}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", CONFIG[:20].encode()])
def test_a_damaged_config_is_refused_in_one_line(tmp_path, content):
  directory = open_in(tmp_path)
  directory.config.write_bytes(content)
  with pytest.raises(errors.UsageError, match="SEED = 0.*--model_dir"):
    open_in(tmp_path)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
