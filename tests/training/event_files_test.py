"""Tests of tf_ssl.training.event_files."""

import sys

import pytest
import tensorflow as tf

from tf_ssl.ops import workdir
from tf_ssl.training import event_files


@pytest.fixture(name="events")
def _events(tmp_path):
  return event_files.EventFiles(tmp_path, "--model_dir")


def write(writer, text):
  with writer.as_default(step=0):
    tf.summary.text("text", text)
  writer.flush()


def test_whole_events_pass(events, tmp_path):
  events.check()
  writer = tf.summary.create_file_writer(str(tmp_path))
  for size in (10, 20_000):
    write(writer, "a" * size)
    events.check()


def test_events_that_tensorflow_has_lost_are_an_error(
  events, tmp_path, full_disk
):
  writer = tf.summary.create_file_writer(str(tmp_path))
  write(writer, "a" * 20_000)
  events.check()
  with full_disk(30_000):
    write(writer, "b" * 20_000)  # Raises nothing.
  with pytest.raises(workdir.WriteError, match=f"{tmp_path}.*--model_dir"):
    events.check()
  write(writer, "c")
  with pytest.raises(workdir.WriteError, match=f"{tmp_path}.*--model_dir"):
    events.check()


def test_torn_files_of_earlier_processes_are_left_alone(tmp_path):
  write(tf.summary.create_file_writer(str(tmp_path)), "a")
  (path,) = tmp_path.iterdir()
  path.write_bytes(path.read_bytes()[:-3])
  event_files.EventFiles(tmp_path, "--model_dir").check()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
