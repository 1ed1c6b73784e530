"""Checkpoints of a run: the most recent ones and the best."""

import contextlib
import json
import os
import pathlib

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import progress, workdir
from tf_ssl.training import run_directory
from tf_ssl.training.distributed import distribution

_DAMAGED = ".damaged"


class Checkpoints:
  """Saves and restores a model, its optimizer and the loop's own state.

  TensorFlow writes each file under a temporary name and updates the folder's
  `checkpoint` file last, so a kill leaves the previous checkpoint intact.

  Attributes:
    memory: JSON values by name that are saved with the weights: the state that
      callbacks need to resume.
  """

  def __init__(
    self,
    model: tf.keras.Model,
    directory: pathlib.Path,
    *,
    keep: int = 3,
    restore_from: pathlib.Path | None = None,
  ):
    """Reads nothing yet.

    Args:
      model: model with `checkpoint_roots` and a built `optimizer`.
      directory: folder of the recent checkpoints; the best one is in `best/`.
      keep: number of recent checkpoints to keep.
      restore_from: folder to restore from; None for `directory`.
    """
    self.memory = {}
    self._model = model
    self._keep = keep
    self._directory = directory
    self._restore_from = restore_from or directory
    self._saved: str | None = None
    self._checkpoint = tf.train.Checkpoint(
      optimizer=model.optimizer,
      memory=_JsonState(self),
      **model.checkpoint_roots,
    )
    self._step = model.optimizer.iterations
    self._last = tf.train.CheckpointManager(
      self._checkpoint, str(directory), keep, checkpoint_name="step"
    )
    self._best = tf.train.CheckpointManager(
      self._checkpoint, str(directory / "best"), 1, checkpoint_name="step"
    )

  @property
  def latest(self) -> str | None:
    """Path of the newest checkpoint; None before the first."""
    return self._saved or next(iter(found(self._restore_from)), None)

  @property
  def saved_step(self) -> int:
    """Step of the newest checkpoint; -1 before the first."""
    latest = self.latest
    return int(latest.rsplit("-", 1)[1]) if latest else -1

  def restore(self) -> int:
    """Restores the newest checkpoint that is complete.

    Returns:
      Number of steps done; 0 without a checkpoint.

    Raises:
      UsageError: there are files of checkpoints, but none is complete.
    """
    damaged: dict[str, str] = {}
    for path in found(self._restore_from):
      try:
        with workdir.without_wildcards(path) as readable:
          status = self._checkpoint.restore(readable)
      except tf.errors.ResourceExhaustedError:
        raise
      except Exception as error:  # TensorFlow raises many kinds for damage.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        damaged[path] = f"{os.path.basename(path)} ({reason})"
        continue
      status.assert_existing_objects_matched()
      self._saved = path
      if damaged:
        progress.write(
          f"resuming from {path}; newer checkpoints are damaged and get the"
          f" ending {_DAMAGED}: {'; '.join(damaged.values())}"
        )
        for newer in damaged:  # Kept: reading may have failed only now.
          with contextlib.suppress(OSError):
            os.replace(f"{newer}.index", f"{newer}.index{_DAMAGED}")
      return int(self._step.numpy())
    if damaged or any(self._restore_from.glob("step-*.data-*")):
      reasons = "; ".join(damaged.values()) or "no index file"
      raise errors.UsageError(
        f"{self._restore_from} has files of checkpoints, but none is complete:"
        f" {reasons}. Delete that folder to train from scratch, or give another"
        f" {run_directory.ARGUMENT}"
      )
    return int(self._step.numpy())

  def save(self) -> str:
    """Saves a checkpoint of the current step, unless there is one.

    Returns:
      Path of the checkpoint.

    Raises:
      UsageError: the disk is full or not writable.
    """
    step = int(self._step.numpy())
    if self.saved_step == step:
      return self.latest
    self._saved = self._write(self._last, step, self._keep)
    return self._saved

  def save_best(self, value: float) -> bool:
    """Saves the best checkpoint if `value` exceeds all earlier values."""
    # Every worker takes part in saving; only the chief has measured the value.
    if not distribution.any_worker(
      value > self.memory.get("best", float("-inf"))
    ):
      return False
    self.memory["best"] = value
    self._write(self._best, int(self._step.numpy()), 1)
    return True

  def save_aside(self, directory: pathlib.Path) -> str:
    """Saves into another folder, outside the run's own sequence."""
    return self._checkpoint.write(str(directory / "checkpoint"))

  def _write(self, manager, step, keep):
    distribution.agree_on_averages(self._model)
    try:
      path = manager.save(checkpoint_number=step)
    except (OSError, tf.errors.OpError) as error:
      raise workdir.unwritable(
        self._directory, run_directory.ARGUMENT, error
      ) from error
    _remove_stale(pathlib.Path(manager.directory), step, keep)
    return path


def found(folder: pathlib.Path) -> list[str]:
  """Paths of the checkpoints NAME-STEP in a folder, highest step first."""
  steps = {}
  for path in pathlib.Path(folder).glob("*-*.index"):
    number = path.stem.rsplit("-", 1)[1]
    if number.isascii() and number.isdecimal():
      steps[str(path.with_suffix(""))] = int(number)
  return sorted(steps, key=lambda path: (-steps[path], path))


def _remove_stale(folder: pathlib.Path, step: int, keep: int) -> None:
  """Removes old checkpoints, which TensorFlow misses in some folders.

  Args:
    folder: folder of the checkpoints.
    step: step of the checkpoint just written.
    keep: number of checkpoints to keep.
  """
  steps = [(int(path.rsplit("-", 1)[1]), path) for path in found(folder)]
  for path in [path for number, path in steps if number <= step][keep:]:
    name = os.path.basename(path)
    for file in (*folder.glob(f"{name}.data-*"), folder / f"{name}.index"):
      file.unlink(missing_ok=True)


class _JsonState(tf.train.experimental.PythonState):
  """Stores `Checkpoints.memory` as JSON; restoring executes nothing."""

  def __init__(self, owner):
    self._owner = owner

  def serialize(self):
    return json.dumps(self._owner.memory, sort_keys=True)

  def deserialize(self, value):
    self._owner.memory = json.loads(value)
