"""The log of a run: metrics.jsonl and TensorBoard's scalars."""

import errno
import json
import os
import pathlib
from collections.abc import Callable

import tensorflow as tf

from tf_ssl.ops import step_records, workdir
from tf_ssl.training import run_directory

# Timings differ between two runs of one config.
TIMINGS = ("images_per_second", "data_wait_fraction")


class MetricsLog:
  """Writes one record for each logged step.

  Attributes:
    history: all records so far, oldest first.
  """

  def __init__(
    self,
    path: pathlib.Path,
    writer: tf.summary.SummaryWriter,
    *,
    timings_apart: bool = False,
    check_events: Callable[[], None] = lambda: None,
  ):
    """Starts with no records.

    Args:
      path: path of metrics.jsonl.
      writer: writer of TensorBoard's events.
      timings_apart: whether `TIMINGS` go to timings.jsonl in the same folder,
        so that two deterministic runs write the same metrics.jsonl.
      check_events: function that raises if events are lost, called after each
        record.
    """
    self._check_events = check_events
    self._writer = writer
    self._path = path
    self._timings_path = (
      path.with_name("timings.jsonl") if timings_apart else None
    )
    self.history = []

  def resume(self, step: int) -> None:
    """Drops the records after `step`, which will be logged again.

    Args:
      step: step of the checkpoint; 0 drops all records.
    """
    self.history = self._keep(self._path, step)
    if self._timings_path:
      self._keep(self._timings_path, step)

  def write(self, step: int, values: dict[str, float]) -> None:
    """Appends a record and draws its values in TensorBoard as `train/NAME`.

    Values named `knn_...` are not drawn: their monitor draws them under its
    own tag.

    Raises:
      UsageError: the disk is full or not writable.
    """
    timings = {}
    if self._timings_path:
      timings = {k: values[k] for k in TIMINGS if k in values}
    record = {"step": step}
    record.update((k, v) for k, v in values.items() if k not in timings)
    self.history.append(record)
    with workdir.writable(self._path, run_directory.ARGUMENT):
      _append(self._path, record)
      if timings:
        _append(self._timings_path, {"step": step, **timings})
      with self._writer.as_default(step=step):
        for name, value in values.items():
          if not name.startswith("knn_"):
            tf.summary.scalar(f"train/{name}", value)
      self._writer.flush()
    self._check_events()

  def _keep(self, path, step):
    kept = [r for r in read(path) if r["step"] <= step] if step else []
    if path.exists():
      with workdir.writable(path, run_directory.ARGUMENT):
        workdir.write_text(path, "".join(json.dumps(r) + "\n" for r in kept))
    return kept


def read(path: str | os.PathLike) -> list[dict]:
  """Reads a metrics.jsonl; [] for a missing file.

  Lines that a kill or a full disk has damaged are left out.
  """
  return step_records.read(path).records


def _append(path, record):
  """Appends a whole line, or nothing."""
  line = (json.dumps(record) + "\n").encode()
  with open(path, "ab", buffering=0) as file:
    before = file.tell()
    if file.write(line) < len(line):  # The disk is full.
      file.truncate(before)
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
