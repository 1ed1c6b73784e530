"""Provenance from the folder of a run."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.export import provenance


def test_the_last_value_of_every_metric_is_kept_with_its_step(tmp_path):
  (tmp_path / "run.json").write_text('{"seed": 3}')
  (tmp_path / "operative_config.gin").write_text("SEED = 3\n")
  (tmp_path / "metrics.jsonl").write_text(
    '{"step": 0, "knn_accuracy": 0.2}\n'
    '{"step": 10, "loss": 5.0}\n'
    '{"step": 20, "loss": 4.5}\n'
    '{"step": 30, "lo'  # Killed while writing.
  )

  found = provenance.provenance(str(tmp_path), checkpoint="checkpoints/20")

  assert found == {
    "run": {"seed": 3},
    "operative_config": "SEED = 3\n",
    "metrics": {
      "knn_accuracy": {"value": 0.2, "step": 0},
      "loss": {"value": 4.5, "step": 20},
    },
    "checkpoint": "checkpoints/20",
  }


def test_missing_files_of_an_interrupted_run_give_none(tmp_path):
  assert provenance.provenance(str(tmp_path)) == {
    "run": None,
    "operative_config": None,
    "metrics": None,
    "checkpoint": None,
  }


@pytest.mark.parametrize("torn", [b"5", b"\xff\xfe", b"\0\0", b"[" * 100_000])
def test_damaged_lines_of_the_metrics_are_left_out(tmp_path, torn):
  lines = b'{"step": 1, "loss": 2.0}\n' + torn + b"\n"
  (tmp_path / "metrics.jsonl").write_bytes(lines)
  found = provenance.provenance(str(tmp_path))["metrics"]
  assert found == {"loss": {"value": 2.0, "step": 1}}


@pytest.mark.parametrize("content", [b"{", b"", b"\xff", b"[" * 100_000])
def test_a_damaged_run_file_is_named(tmp_path, content):
  (tmp_path / "run.json").write_bytes(content)
  with pytest.raises(errors.UsageError, match="run.json is not JSON"):
    provenance.provenance(str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
