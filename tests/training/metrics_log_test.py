"""Tests of tf_ssl.training.metrics_log."""

import sys

import pytest
import tensorflow as tf

from tf_ssl.ops import workdir
from tf_ssl.training import metrics_log


def log_in(folder, **kwargs):
  writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
  return metrics_log.MetricsLog(folder / "metrics.jsonl", writer, **kwargs)


def test_each_step_is_one_line(tmp_path):
  log = log_in(tmp_path)
  log.write(2, {"loss": 0.5})
  log.write(4, {"loss": 0.25, "knn_accuracy": 0.5})
  assert (tmp_path / "metrics.jsonl").read_text() == (
    '{"step": 2, "loss": 0.5}\n{"step": 4, "loss": 0.25, "knn_accuracy": 0.5}\n'
  )
  assert [r["step"] for r in log.history] == [2, 4]


def test_a_resumed_log_drops_later_records(tmp_path):
  log = log_in(tmp_path)
  for step in (0, 2, 4):
    log.write(step, {"loss": 1.0})
  with open(tmp_path / "metrics.jsonl", "a") as file:
    file.write('{"step": 6, "lo')  # Cut off by a kill.
  resumed = log_in(tmp_path)
  resumed.resume(3)
  assert [r["step"] for r in resumed.history] == [0, 2]
  assert [r["step"] for r in metrics_log.read(tmp_path / "metrics.jsonl")] == [
    0,
    2,
  ]


def test_a_log_that_starts_from_scratch_is_empty(tmp_path):
  log = log_in(tmp_path)
  log.write(0, {"loss": 1.0})
  again = log_in(tmp_path)
  again.resume(0)
  assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_timings_can_be_kept_apart(tmp_path):
  log = log_in(tmp_path, timings_apart=True)
  log.write(1, {"loss": 1.0, "images_per_second": 7.0})
  assert metrics_log.read(tmp_path / "metrics.jsonl") == [
    {"step": 1, "loss": 1.0}
  ]
  assert metrics_log.read(tmp_path / "timings.jsonl") == [
    {"step": 1, "images_per_second": 7.0}
  ]


@pytest.mark.parametrize("torn", ['{"step": 2, "lo\n', "\0\0\n", "5\n", '{"a"'])
def test_a_damaged_last_line_is_left_out(tmp_path, torn):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"step": 1}\n' + torn)
  assert metrics_log.read(path) == [{"step": 1}]


@pytest.mark.parametrize("size", [0, 30, 60])
def test_a_full_disk_leaves_whole_records(tmp_path, full_disk, size):
  log = log_in(tmp_path)
  log.write(1, {"loss": 0.5})
  before = (tmp_path / "metrics.jsonl").read_bytes()
  with pytest.raises(workdir.WriteError, match="metrics.jsonl.*--model_dir"):
    with full_disk(len(before) + size):
      log.write(2, {"loss": 0.25, "a_name_of_many_letters": 0.123456789012345})
  assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_events_are_checked_after_each_record(tmp_path):
  checked = []
  log = log_in(tmp_path, check_events=lambda: checked.append(1))
  log.write(1, {"loss": 0.5})
  assert checked == [1]


@pytest.mark.parametrize("step", ['"2"', "null", "true", "[]"])
def test_a_record_without_a_step_is_left_out(tmp_path, step):
  path = tmp_path / "metrics.jsonl"
  path.write_text('{"step": 1}\n{"step": ' + step + "}\n")
  assert metrics_log.read(path) == [{"step": 1}]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
