"""TensorFlow checkpoints step-N in one folder: listed, written, restored.

The folder itself says which checkpoints there are. TensorFlow's own manager
trusts the text file `checkpoint` instead, takes folders with wildcards in their
names for patterns, and cannot tell damage from another model.
"""

import glob
import os
import pathlib
import re
import shutil

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import workdir

NAME = "step"
STATE_FILE = "checkpoint"  # Where `tf.train.latest_checkpoint` looks.
_TEMPORARY_FILE = re.compile(
  r"checkpoint\.tmp[0-9a-f]{32}"
  r"|step-[0-9]+\.(index|data-[0-9]+-of-[0-9]+)\.tempstate[0-9]+"
)
_TEMPORARY_FOLDER = re.compile(r"step-[0-9]+_temp")


class DamagedError(Exception):
  """The files of a checkpoint are damaged or incomplete, told in one line."""


def found(folder: workdir.Path) -> list[str]:
  """Paths of the checkpoints NAME-N in a folder, highest N first.

  Args:
    folder: path of the folder; a missing one has none.
  """
  paths = [
    str(path.with_suffix(""))
    for path in pathlib.Path(folder).glob("*-*.index")
    if number(path.stem) is not None
  ]
  return sorted(paths, key=lambda path: (-number(path), path))


def without_index(folder: workdir.Path) -> list[str]:
  """Paths of checkpoints that have data, but no index; highest N first.

  Args:
    folder: path of the folder; a missing one has none.
  """
  data = pathlib.Path(folder).glob(f"{NAME}-*.data-*")
  paths = {str(path.with_suffix("")) for path in data}
  return sorted(
    (
      path
      for path in paths
      if number(path) is not None and not os.path.lexists(f"{path}.index")
    ),
    key=lambda path: -number(path),
  )


def number(path: workdir.Path) -> int | None:
  """N of the path NAME-N; None for another path."""
  _, dash, digits = os.path.basename(path).rpartition("-")
  valid = dash and digits.isascii() and digits.isdecimal()
  return int(digits) if valid else None


def write(
  checkpoint: tf.train.Checkpoint,
  folder: workdir.Path,
  step: int,
  *,
  keep: int,
  argument: str,
) -> str:
  """Writes the checkpoint step-`step`, then removes old ones.

  A failure leaves the earlier checkpoints, and nothing of the new one.

  Args:
    checkpoint: what to write.
    folder: path of the folder, created if missing.
    step: number of the checkpoint.
    keep: number of checkpoints to keep, those with the highest numbers.
    argument: name of the argument that chose the folder, for errors.

  Returns:
    Path of the checkpoint, without the endings of its files.

  Raises:
    WriteError: the disk is full or not writable.
  """
  folder = pathlib.Path(folder)
  path = folder / f"{NAME}-{step}"
  try:
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save_counter.assign_add(1)
    checkpoint.write(str(path))
  except (OSError, tf.errors.OpError) as error:
    _remove(path)
    raise workdir.unwritable(folder, argument, error) from error
  older = [
    p
    for p in found(folder)
    if os.path.basename(p).startswith(f"{NAME}-") and number(p) <= step
  ]
  with workdir.writable(folder, argument):
    _write_state(folder, older[:keep])
    unfinished = [p for p in without_index(folder) if number(p) <= step]
    for old in (*older[keep:], *unfinished):
      _remove(pathlib.Path(old))
  return str(path)


def remove_unfinished(folder: workdir.Path) -> None:
  """Removes checkpoints whose writing was killed, and TensorFlow's temporaries.

  TensorFlow moves the data to their place, writes the index, and then removes
  its temporary folder, which therefore tells an unfinished checkpoint from one
  that was damaged later.

  Args:
    folder: path of the folder; nobody may be writing there.
  """
  folder = pathlib.Path(folder)
  for path in folder.iterdir() if folder.is_dir() else ():
    if _TEMPORARY_FILE.fullmatch(path.name):
      path.unlink()
    elif _TEMPORARY_FOLDER.fullmatch(path.name):
      prefix = path.with_name(path.name.removesuffix("_temp"))
      try:
        check_whole(str(prefix))
      except DamagedError:
        _remove(prefix)
      if path.is_symlink():
        path.unlink()
      else:
        shutil.rmtree(path, ignore_errors=True)


def restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
  """Restores every variable of `checkpoint`.

  Args:
    checkpoint: what to restore; all its variables exist.
    path: path of a checkpoint, without the endings of its files.

  Raises:
    DamagedError: files are damaged or missing. Variables may have changed.
    UsageError: the files are of another model, or may not be read.
  """
  with workdir.without_wildcards(path) as readable:
    try:
      checkpoint.save_counter  # noqa: B018  Created here, so that it is found.
      status = checkpoint.restore(readable)
      status.assert_existing_objects_matched().expect_partial()
    except tf.errors.ResourceExhaustedError:  # The accelerator's memory.
      raise
    except Exception as error:  # TensorFlow raises many kinds for damage.
      check_whole(path)
      raise errors.UsageError(
        f"{path} is whole, but was saved by another model or with other"
        f" settings ({_line(error)}); expected the model that it was saved"
        " from. It stays as it is"
      ) from error


def check_whole(path: str) -> None:
  """Reads all bytes of a checkpoint, which have checksums.

  Args:
    path: path of a checkpoint, without the endings of its files.

  Raises:
    DamagedError: files are damaged or missing.
    UsageError: the files may not be read.
  """
  for file in _files(pathlib.Path(path)):
    errors.require(
      os.access(file, os.R_OK),
      f"{file} may not be read: permission denied; change its permissions",
    )
  try:
    with workdir.without_wildcards(path) as readable:
      reader = tf.train.load_checkpoint(readable)
      for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)
  except (tf.errors.ResourceExhaustedError, MemoryError):
    raise
  except Exception as error:
    raise DamagedError(_line(error)) from error


def _write_state(folder: pathlib.Path, newest_first: list[str]) -> None:
  """Writes the file by which TensorFlow's own functions find the newest."""
  names = [os.path.basename(path) for path in reversed(newest_first)]
  lines = [f'model_checkpoint_path: "{names[-1]}"']
  lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
  workdir.write_text(folder / STATE_FILE, "\n".join(lines) + "\n")


def _remove(path: pathlib.Path) -> None:
  """Removes the files of a checkpoint, also of an unfinished one."""
  for file in _files(path):
    file.unlink(missing_ok=True)
  shutil.rmtree(path.with_name(f"{path.name}_temp"), ignore_errors=True)


def _files(path: pathlib.Path) -> list[pathlib.Path]:
  """The files of a checkpoint that exist."""
  index = path.with_name(f"{path.name}.index")
  data = path.parent.glob(f"{glob.escape(path.name)}.data-*")
  return [*([index] if index.exists() else []), *data]


def _line(error: Exception) -> str:
  return " ".join(str(error).split())[:300] or type(error).__name__
