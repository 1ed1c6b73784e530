"""Checkpoints of a run: the most recent ones and the best."""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import numbered_checkpoints, progress
from tf_ssl.training import run_directory
from tf_ssl.training.distributed import distribution

_BEST = "best"
_DAMAGED = ".damaged"


class Checkpoints:
  """Saves and restores a model, its optimizer and the loop's own state.

  An earlier checkpoint is removed once a newer one is whole, so a kill or a
  full disk costs the steps since the last one.

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
    more: Mapping[str, tf.train.experimental.PythonState] | None = None,
  ):
    """Reads nothing yet.

    Args:
      model: model with `checkpoint_roots` and a built `optimizer`.
      directory: folder of the recent checkpoints; the best one is in `best/`.
      keep: number of recent checkpoints to keep.
      restore_from: folder to restore from; None for `directory`.
      more: further state to save, by name.
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
      **(more or {}),
    )
    self._step = model.optimizer.iterations

  @property
  def latest(self) -> str | None:
    """Path of the newest checkpoint; None before the first."""
    if self._saved is None:
      return next(iter(numbered_checkpoints.found(self._restore_from)), None)
    return self._saved

  @property
  def saved_step(self) -> int:
    """Step of the newest checkpoint; -1 before the first."""
    return numbered_checkpoints.number(self.latest) if self.latest else -1

  def restore(self) -> int:
    """Restores the newest complete checkpoint.

    Damaged ones are named and set aside; nothing is deleted.

    Returns:
      Number of steps done; 0 without a checkpoint.

    Raises:
      UsageError: there are files of checkpoints, but none is complete; or the
        newest complete one is of another model.
    """
    damaged: dict[str, str] = {}
    for path in numbered_checkpoints.found(self._restore_from):
      try:
        numbered_checkpoints.restore(self._checkpoint, path)
      except numbered_checkpoints.DamagedError as error:
        damaged[path] = str(error)
        continue
      except errors.UsageError as error:
        raise errors.UsageError(
          f"{error}; change the settings back, or give another"
          f" {run_directory.ARGUMENT}"
        ) from error
      self._saved = path
      self._set_aside(path, damaged)
      return int(self._step.numpy())
    self._refuse_remains(damaged)
    return int(self._step.numpy())

  def _set_aside(self, resumed: str, damaged: Mapping[str, str]) -> None:
    """Names the newer checkpoints that are lost, and renames their indices."""
    problems = [
      f"{os.path.basename(path)} is damaged ({reason})"
      for path, reason in damaged.items()
    ]
    first = numbered_checkpoints.number(resumed)
    problems += [
      f"{os.path.basename(path)} has no index file"
      for path in numbered_checkpoints.without_index(self._restore_from)
      if numbered_checkpoints.number(path) > first
      and not os.path.lexists(f"{path}.index{_DAMAGED}")
    ]
    if not problems:
      return
    kept = f" (kept as .index{_DAMAGED})" if damaged else ""
    progress.write(
      f"resuming from {resumed}, because newer ones are incomplete or damaged:"
      f" {'; '.join(problems)}{kept}"
    )
    for path in damaged:  # Kept: reading may have failed only now.
      with contextlib.suppress(OSError):
        os.replace(f"{path}.index", f"{path}.index{_DAMAGED}")

  def _refuse_remains(self, damaged: Mapping[str, str]) -> None:
    """Raises UsageError if there were checkpoints, so that none is lost."""
    folder = self._restore_from
    state_file = numbered_checkpoints.STATE_FILE
    remains = [
      *folder.glob(f"{numbered_checkpoints.NAME}-[0-9]*"),
      folder / state_file,
    ]
    if not damaged and not any(map(os.path.lexists, remains)):
      return
    reasons = [
      f"{os.path.basename(path)} is damaged ({reason})"
      for path, reason in damaged.items()
    ]
    best = numbered_checkpoints.found(folder / _BEST)
    copy = (
      f"copy the files of {best[0]} to it to resume there, " if best else ""
    )
    raise errors.UsageError(
      f"{folder} has files of checkpoints, but none is complete:"
      f" {'; '.join(reasons) or 'no index file'}; {copy}train from scratch with"
      f" --overwrite or after deleting {folder.parent}, or give another"
      f" {run_directory.ARGUMENT}"
    )

  def save(self) -> str:
    """Saves a checkpoint of the current step, unless there is one.

    Returns:
      Path of the checkpoint.

    Raises:
      WriteError: the disk is full or not writable.
    """
    step = int(self._step.numpy())
    if self.saved_step == step:
      return self.latest
    self._saved = self._write(self._directory, step, self._keep)
    return self._saved

  def save_best(self, value: float) -> bool:
    """Saves the best checkpoint if `value` exceeds all earlier values."""
    # Every worker takes part in saving; only the chief has measured the value.
    if not distribution.any_worker(
      value > self.memory.get("best", float("-inf"))
    ):
      return False
    self.memory["best"] = value
    self._write(self._directory / _BEST, int(self._step.numpy()), 1)
    return True

  def save_aside(self, directory: pathlib.Path) -> str:
    """Saves into another folder, outside the run's own sequence."""
    return self._checkpoint.write(str(directory / "checkpoint"))

  def _write(self, folder: pathlib.Path, step: int, keep: int) -> str:
    distribution.agree_on_averages(self._model)
    path = numbered_checkpoints.write(
      self._checkpoint, folder, step, keep=keep, argument=run_directory.ARGUMENT
    )
    # Its data are overwritten.
    pathlib.Path(f"{path}.index{_DAMAGED}").unlink(missing_ok=True)
    return path


class _JsonState(tf.train.experimental.PythonState):
  """Stores `Checkpoints.memory` as JSON; restoring executes nothing."""

  def __init__(self, owner):
    self._owner = owner

  def serialize(self):
    return json.dumps(self._owner.memory, sort_keys=True)

  def deserialize(self, value):
    self._owner.memory = json.loads(value)
