"""metrics.jsonl and TensorBoard's scalars: one record for each logged step."""

import json
import os
import pathlib

import tensorflow as tf

from tf_ssl.ops import workdir
from tf_ssl.training import run_directory

# Measured, not computed: they differ between two runs of the same config.
TIMINGS = ("images_per_second", "data_wait_fraction")


class MetricsLog:
  """Appends records; a resumed run first drops what it will log again.

  Attributes:
    history: the records so far, oldest first.
  """

  def __init__(
    self,
    path: pathlib.Path,
    writer: tf.summary.SummaryWriter,
    *,
    timings_apart: bool = False,
  ):
    """Starts with no records.

    Args:
      path: of metrics.jsonl.
      writer: TensorBoard's.
      timings_apart: writes `TIMINGS` to timings.jsonl beside it, so that the
        metrics of two deterministic runs are the same bytes.
    """
    self._writer = writer
    self._path = path
    self._timings_path = (
      path.with_name("timings.jsonl") if timings_apart else None
    )
    self.history = []

  def resume(self, step: int) -> None:
    """Keeps the records up to `step`; a line cut by a kill goes too.

    Args:
      step: at which the run goes on; 0 starts it anew.
    """
    self.history = self._keep(self._path, step)
    if self._timings_path:
      self._keep(self._timings_path, step)

  def write(self, step: int, values: dict[str, float]) -> None:
    """Logs scalars at a step.

    Raises:
      UsageError: the disk is full or not writable.
    """
    timings = {}
    if self._timings_path:
      timings = {k: values[k] for k in TIMINGS if k in values}
    record = {"step": step}
    record.update((k, v) for k, v in values.items() if k not in timings)
    self.history.append(record)
    try:
      _append(self._path, record)
      if timings:
        _append(self._timings_path, {"step": step, **timings})
    except OSError as error:
      raise run_directory.unwritable(self._path, error) from error
    with self._writer.as_default(step=step):
      for name, value in values.items():
        if not name.startswith(
          "knn_"
        ):  # the monitor draws it under its own tag
          tf.summary.scalar(f"train/{name}", value)
    self._writer.flush()

  def _keep(self, path, step):
    kept = [r for r in read(path) if r["step"] <= step] if step else []
    if path.exists():
      lines = "".join(json.dumps(r) + "\n" for r in kept)
      workdir.write_text(path, lines)
    return kept


def read(path: str | os.PathLike) -> list[dict]:
  """The whole records of a metrics.jsonl; [] where there is no file."""
  path = pathlib.Path(path)
  if not path.exists():
    return []
  records = []
  for line in path.read_text().splitlines(keepends=True):
    if not line.endswith("\n"):
      break  # cut by a kill
    records.append(json.loads(line))
  return records


def _append(path, record):
  with open(path, "a") as file:
    file.write(json.dumps(record) + "\n")
