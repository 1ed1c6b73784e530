"""Tests of tf_ssl.ops.numbered_checkpoints."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import child_process, numbered_checkpoints, workdir


def checkpoint(size=1000, value=0.0, variables=1):
  """A checkpoint of vectors of `size` numbers."""
  return tf.train.Checkpoint(
    v=[tf.Variable(tf.fill([size], value)) for _ in range(variables)]
  )


def write(folder, step, **kwargs):
  return numbered_checkpoints.write(
    checkpoint(value=float(step), **kwargs),
    folder,
    step,
    keep=2,
    argument="--out",
  )


def names(folder):
  return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["plain", "a[1]*?", "with space ü"])
def test_a_written_checkpoint_is_restored(tmp_path, name):
  folder = tmp_path / name
  path = write(folder, 3)
  restored = checkpoint()
  numbered_checkpoints.restore(restored, path)
  np.testing.assert_array_equal(restored.v[0], np.full(1000, 3.0))


def test_the_newest_are_kept_and_files_of_others_are_not_touched(tmp_path):
  for name in ("notes-1.index", "step-1.txt", "step-x.data-1"):
    (tmp_path / name).write_text("mine")
  for step in (9, 10, 11):
    write(tmp_path, step)
  assert [
    p.rsplit("/", 1)[1] for p in numbered_checkpoints.found(tmp_path)
  ] == [
    "step-11",
    "step-10",
    "notes-1",
  ]
  assert names(tmp_path) == [
    "checkpoint",
    "notes-1.index",
    "step-1.txt",
    "step-10.data-00000-of-00001",
    "step-10.index",
    "step-11.data-00000-of-00001",
    "step-11.index",
    "step-x.data-1",
  ]
  newest = tf.train.latest_checkpoint(str(tmp_path))
  assert newest == str(tmp_path / "step-11")


def test_data_without_an_index_is_listed_and_removed_when_it_is_old(tmp_path):
  write(tmp_path, 5)
  (tmp_path / "step-5.index").unlink()
  assert numbered_checkpoints.without_index(tmp_path) == [
    str(tmp_path / "step-5")
  ]
  write(tmp_path, 4)
  assert len(numbered_checkpoints.without_index(tmp_path)) == 1
  write(tmp_path, 6)
  assert not numbered_checkpoints.without_index(tmp_path)
  assert not list(tmp_path.glob("step-5*"))


@pytest.mark.parametrize(
  "size, variables, room", [(100_000, 1, 50_000), (1, 300, 8_000)]
)
def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_torn_one(
  tmp_path, full_disk, size, variables, room
):
  write(tmp_path, 1)
  before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
  with pytest.raises(workdir.WriteError, match=f"{tmp_path}.*--out"):
    with full_disk(room):
      write(tmp_path, 2, size=size, variables=variables)
  assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("index", ["missing", "torn", "whole"])
def test_what_a_kill_left_of_a_checkpoint_is_removed_unless_it_is_whole(
  tmp_path, index
):
  write(tmp_path, 1)
  write(tmp_path, 2)
  (tmp_path / "step-2_temp").mkdir()
  (tmp_path / "step-2_temp" / "part").write_text("half")
  if index == "missing":
    (tmp_path / "step-2.index").unlink()
  elif index == "torn":
    (tmp_path / "step-2.index").write_bytes(b"half")
  numbered_checkpoints.remove_unfinished(tmp_path)
  left = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
  assert left == {"checkpoint", "step-1"} | (
    {"step-2"} if index == "whole" else set()
  )
  numbered_checkpoints.remove_unfinished(tmp_path / "missing")


_KILLED = """
import sys
import tensorflow as tf
from tf_ssl.ops import numbered_checkpoints
checkpoint = tf.train.Checkpoint(
  v=[tf.Variable(tf.zeros([20_000])) for _ in range(50)]
)
for step in range(1, 10_000):
  checkpoint.v[0].assign(tf.fill([20_000], float(step)))
  numbered_checkpoints.write(
    checkpoint, sys.argv[1], step, keep=2, argument="--out"
  )
  print(step, flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_time_leaves_a_whole_checkpoint(tmp_path):
  draw = random.Random(0)
  for attempt in range(3):
    folder = tmp_path / str(attempt)
    process = child_process.start_python(
      _KILLED, str(folder), stdout=subprocess.PIPE
    )
    for _ in range(2):
      last = int(process.stdout.readline())
    time.sleep(0.2 * draw.random())
    process.kill()
    last = max([last, *map(int, process.stdout.read().split())])
    process.wait()
    numbered_checkpoints.remove_unfinished(folder)
    newest = numbered_checkpoints.found(folder)[0]
    assert numbered_checkpoints.number(newest) in (last, last + 1)
    restored = checkpoint(size=20_000, variables=50)
    numbered_checkpoints.restore(restored, newest)
    assert restored.v[0][0] == numbered_checkpoints.number(newest)
    assert not [name for name in names(folder) if "temp" in name]


def overwrite(path, change):
  path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize(
  "change",
  [
    lambda b: b"",
    lambda b: b[: len(b) // 2],
    lambda b: bytes(len(b)),
    lambda b: b[:-40] + bytes(x ^ 255 for x in b[-40:]),
    lambda b: b"not a checkpoint",
  ],
)
def test_files_that_are_not_whole_are_damaged(tmp_path, file, change):
  path = write(tmp_path, 1)
  overwrite(tmp_path / f"step-1.{file}", change)
  with pytest.raises(numbered_checkpoints.DamagedError):
    numbered_checkpoints.restore(checkpoint(), path)


def test_files_that_may_not_be_read_are_no_damage(tmp_path, monkeypatch):
  path = write(tmp_path, 1)
  (tmp_path / "step-1.index").write_bytes(b"")
  monkeypatch.setattr(numbered_checkpoints.os, "access", lambda *_: False)
  with pytest.raises(errors.UsageError, match="step-1.index.*permissions"):
    numbered_checkpoints.restore(checkpoint(), path)


def test_missing_data_are_damage(tmp_path):
  path = write(tmp_path, 1)
  (tmp_path / "step-1.data-00000-of-00001").unlink()
  with pytest.raises(numbered_checkpoints.DamagedError):
    numbered_checkpoints.restore(checkpoint(), path)


@pytest.mark.parametrize("change", [{"size": 7}, {"variables": 2}])
def test_a_whole_checkpoint_of_another_model_is_no_damage(tmp_path, change):
  path = write(tmp_path, 1)
  other = checkpoint(**change)
  before = names(tmp_path)
  with pytest.raises(errors.UsageError, match=f"{path}.*another model"):
    numbered_checkpoints.restore(other, path)
  assert names(tmp_path) == before


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
