"""A training set appears whole, and is gone on with where it was stopped."""

import os
import signal
import subprocess
import sys

import pytest

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import (
  files,
  training_sets,
  write,
)


def test_the_same_again_is_done_already_and_another_is_refused(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  chosen = training_sets.of_boxes(annotations, min_size=8)
  first = training_sets_reference.write(chosen, tmp_path / "out")
  before = (tmp_path / "out/summary.json").stat().st_mtime_ns
  said = []
  again = training_sets_reference.write(
    chosen, tmp_path / "out", say=said.append
  )
  assert again == first
  assert "is done already" in said[0]
  assert (tmp_path / "out/summary.json").stat().st_mtime_ns == before
  other = training_sets.of_boxes(annotations, min_size=15)
  with pytest.raises(errors.UsageError, match="holds something else"):
    training_sets_reference.write(other, tmp_path / "out")
  training_sets_reference.write(other, tmp_path / "out", overwrite=True)
  assert len(training_sets_reference.rows_of(tmp_path / "out")) == 6
  assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("form", files.FORMATS)
def test_interrupted_it_goes_on_with_the_next_part(tmp_path, monkeypatch, form):
  monkeypatch.setattr(write, "_PART", 4)
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  training_sets_reference.write(chosen, tmp_path / "whole", form=form)
  make = files.pictures
  parts = []

  def some(training_set, start, stop):
    parts.append(start)
    for picture in make(training_set, start, stop):
      if start == 8 and picture.row == 10 and parts.count(8) == 1:
        raise KeyboardInterrupt
      yield picture

  monkeypatch.setattr(files, "pictures", some)
  with pytest.raises(KeyboardInterrupt):
    training_sets_reference.write(chosen, tmp_path / "out", form=form)
  assert not (tmp_path / "out").exists()
  (tmp_path / "out.partial/.x.tfrecord.0.tmp").write_text("of a killed run")
  with open(tmp_path / "out.partial/journal.jsonl", "a") as file:
    file.write('{"part": 2, "ro')  # half a line
  training_sets_reference.write(chosen, tmp_path / "out", form=form)
  assert parts == [0, 4, 8, 8]
  assert training_sets_reference.contents(
    tmp_path / "out"
  ) == training_sets_reference.contents(tmp_path / "whole")


def test_a_partial_set_of_something_else_is_begun_anew(tmp_path, monkeypatch):
  annotations = training_sets_reference.coco_set(tmp_path)

  def stop(*unused):
    raise KeyboardInterrupt
    yield

  with monkeypatch.context() as patched:
    patched.setattr(files, "write_shard", stop)
    with pytest.raises(KeyboardInterrupt):
      training_sets_reference.write(
        training_sets.of_boxes(annotations, min_size=8),
        tmp_path / "out",
        form="tfrecord",
      )
  (tmp_path / "out.partial/old.jpg").write_text("old")
  training_sets_reference.write(
    training_sets.of_boxes(annotations, min_size=15), tmp_path / "out"
  )
  assert len(training_sets_reference.rows_of(tmp_path / "out")) == 6
  assert not (tmp_path / "out/old.jpg").exists()


_KILLED = """
import os, signal, sys
from tf_ssl.dataset_bias.training_sets import files, training_sets, write
from tf_ssl.datasets.annotations import coco
write._PART = 4
make = files.pictures
def pictures(training_set, start, stop):
  for picture in make(training_set, start, stop):
    if picture.row == 6:
      os.kill(os.getpid(), signal.SIGKILL)
    yield picture
files.pictures = pictures
root, form = sys.argv[1:]
chosen = training_sets.of_boxes(
  coco.read(f"{root}/boxes.json", f"{root}/images"), min_size=8
)
write.write(chosen, f"{root}/out", form=form)
"""


def test_killed_it_goes_on(tmp_path, monkeypatch, repository):
  monkeypatch.setattr(write, "_PART", 4)
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  training_sets_reference.write(chosen, tmp_path / "whole", form="tfrecord")
  killed = subprocess.run(
    [sys.executable, "-c", _KILLED, str(tmp_path), "tfrecord"],
    cwd=repository,
    env={**os.environ, "PYTHONPATH": str(repository)},
    capture_output=True,
  )
  assert killed.returncode == -signal.SIGKILL, killed.stderr
  assert not (tmp_path / "out").exists()
  said = []
  training_sets_reference.write(
    chosen, tmp_path / "out", form="tfrecord", say=said.append
  )
  assert "1 parts are done" in said[0]
  assert training_sets_reference.contents(
    tmp_path / "out"
  ) == training_sets_reference.contents(tmp_path / "whole")


def test_two_processes_do_not_write_one_folder(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  partial = tmp_path / "out.partial"
  partial.mkdir()
  with write._locked(partial):
    with pytest.raises(errors.UsageError, match="another process is writing"):
      training_sets_reference.write(chosen, tmp_path / "out")


def test_an_unknown_format_is_refused(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  with pytest.raises(errors.UsageError, match="folder or tfrecord"):
    training_sets_reference.write(chosen, tmp_path / "out", form="zip")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
  chosen = training_sets.of_boxes(
    training_sets_reference.coco_set(tmp_path), min_size=8
  )
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="cannot write"):
    training_sets_reference.write(chosen, tmp_path / "file" / "out")


def test_a_file_in_the_place_of_the_set_is_replaced_only_if_told(tmp_path):
  annotations = training_sets_reference.coco_set(tmp_path)
  chosen = training_sets.of_boxes(annotations, min_size=8)
  (tmp_path / "out").write_text("mine")
  with pytest.raises(errors.UsageError, match="replace it with --overwrite"):
    training_sets_reference.write(chosen, tmp_path / "out")
  assert (tmp_path / "out").read_text() == "mine"
  training_sets_reference.write(chosen, tmp_path / "out", overwrite=True)
  assert len(training_sets_reference.rows_of(tmp_path / "out")) == 12


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
