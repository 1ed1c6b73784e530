"""Tests of tf_ssl.training.summary."""

import sys

import pytest

from tf_ssl.training import summary

_RESULT = summary.PretrainResult(
  model_dir="runs/a",
  command="the command",
  step=8,
  num_steps=8,
  stopped_by=None,
  before={},
  after={},
  baseline=None,
  findings=("first finding", "second finding"),
  pictures=("runs/a/picture.png",),
  checkpoint="runs/a/checkpoints/step-8",
  saved_model="runs/a/saved_model",
  tensorboard="runs/a/tensorboard",
  next_command="the next command",
)


def test_a_finished_run_lists_findings_paths_and_the_next_command():
  lines = summary.lines(_RESULT)
  assert lines[0].endswith("first finding") and lines[0].startswith("Learned:")
  assert lines[1].strip() == "second finding"
  starts = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[2:]}
  assert starts == {
    "Picture:": "runs/a/picture.png",
    "Checkpoint:": "runs/a/checkpoints/step-8",
    "SavedModel:": "runs/a/saved_model",
    "TensorBoard:": "tensorboard --logdir runs/a/tensorboard",
    "Next:": "the next command",
  }


def test_without_a_next_command_there_is_no_line_for_it():
  lines = summary.lines(_RESULT._replace(next_command=None))
  assert lines == summary.lines(_RESULT)[:-1]


def test_without_findings_the_first_line_has_steps_and_folder():
  line = summary.lines(_RESULT._replace(findings=()))[0]
  assert "8 steps" in line and "runs/a" in line


def test_an_interrupted_run_tells_how_to_resume():
  interrupted = _RESULT._replace(step=3, stopped_by="SIGTERM")
  assert not interrupted.finished
  [line] = summary.lines(interrupted)
  for part in ("SIGTERM", "step 3 of 8", "step-8", "the command"):
    assert part in line


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
