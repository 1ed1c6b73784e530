"""Files and folders that are whole or absent, locked, and kept by a key."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tf_ssl import errors

Path = str | os.PathLike


@contextlib.contextmanager
def replacing_file(
  path: Path, *, overwrite: bool = True
) -> Iterator[pathlib.Path]:
  """Yields a temporary path; the file written there becomes `path` on exit.

  The file is flushed to disk and renamed, so that readers and a power cut see
  the old file or the new one. If the body raises, the temporary file is
  removed and `path` stays as it was. Several machines may write one file at
  once: the last one wins.

  Args:
    path: path of the file; its parent folder exists.
    overwrite: whether a file at `path` is replaced.

  Yields:
    Path beside `path`, for which `is_temporary` is true.

  Raises:
    UsageError: `path` exists and `overwrite` is False.
    OSError: the file cannot be written; see `writable`.
  """
  path = pathlib.Path(path)
  if not overwrite:
    _refuse_existing(path)
  temporary = _temporary(path)
  try:
    yield temporary
    with open(temporary, "rb") as file:
      os.fsync(file.fileno())
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path, *, overwrite: bool = False) -> Iterator[str]:
  """Yields a new folder; once filled, it becomes `path` on exit.

  The folder lies beside `path` while it is filled. If the body raises, it is
  removed and `path` stays as it was.

  Args:
    path: path of the folder; its parents are created.
    overwrite: whether a file or folder at `path` is replaced. An empty folder
      always is.

  Yields:
    Path of an empty folder on the same disk.

  Raises:
    UsageError: `path` exists and `overwrite` is False, or it cannot be written.
  """
  path = pathlib.Path(os.path.abspath(path))
  if not overwrite and not _is_empty_folder(path):
    _refuse_existing(path)
  temporary = _temporary(path)
  try:
    with writable(path, "output"):
      temporary.mkdir(parents=True)
      yield str(temporary)
      if path.exists() and not _is_empty_folder(path):
        old = _temporary(path)
        os.replace(path, old)
        os.replace(temporary, path)
        _remove(old)
      else:
        os.replace(temporary, path)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
  """Replaces a file by UTF-8 text in one step."""
  with replacing_file(path) as temporary:
    temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
  """Replaces a file by JSON text in one step."""
  write_text(path, json.dumps(value, indent=indent) + "\n")


def read_json(path: Path) -> Any:
  """The value of a JSON file; None where it is missing or not JSON."""
  try:
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
  except (FileNotFoundError, ValueError, RecursionError):
    return None


def is_temporary(path: Path) -> bool:
  """Whether a path has the form of those that this module yields."""
  name = os.path.basename(path)
  return name.startswith(".") and name.endswith(".tmp")


def remove_temporaries(folder: Path) -> None:
  """Removes what a killed process left; call it while holding the lock."""
  for path in pathlib.Path(folder).iterdir():
    if is_temporary(path):
      _remove(path)


@contextlib.contextmanager
def writable(path: Path, argument: str) -> Iterator[None]:
  """Turns a full disk or a read-only folder into a UsageError.

  Args:
    path: path of the file or folder that the body writes.
    argument: name of the argument that chose it, such as "--output_dir".

  Raises:
    UsageError: the body raised OSError, or TensorFlow's error for one.
  """
  try:
    yield
  except errors.UsageError:
    raise
  except Exception as error:
    if not isinstance(error, (OSError, *_tensorflow_errors())):
      raise
    raise unwritable(path, argument, error) from error


def unwritable(
  path: Path, argument: str, error: Exception
) -> errors.UsageError:
  """The error for a path that cannot be written; arguments as of `writable`."""
  reason = getattr(error, "strerror", None) or getattr(error, "message", None)
  lines = str(reason or error).splitlines() or [type(error).__name__]
  return errors.UsageError(
    f"cannot write to {os.fspath(path)}: {lines[0]}; free some space, or change"
    f" {argument} to a folder that can be written. Files saved before are whole"
  )


@contextlib.contextmanager
def locked(
  folder: Path,
  argument: str,
  *,
  name: str = ".lock",
  wait: Callable[[], None] | None = None,
) -> Iterator[int]:
  """Keeps other processes out of a folder until the body ends.

  The operating system releases the lock when its process dies.

  Args:
    folder: folder to lock; it exists.
    argument: name of the argument that chose it, for the error.
    name: name of the lock file in it.
    wait: called again and again while another process holds the lock; None to
      raise instead. It should sleep.

  Yields:
    File descriptor of the lock; a child that inherits it holds the lock, too.

  Raises:
    UsageError: another process holds the lock, and `wait` is None.
  """
  path = os.path.join(folder, name)
  descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
  try:
    while True:
      try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
      except BlockingIOError:
        if wait is None:
          holder = os.pread(descriptor, 32, 0).decode("ascii", "replace")
          raise errors.UsageError(
            f"{os.fspath(folder)} is in use by another process"
            f" (process {holder.strip() or 'unknown'}); wait until it ends, or"
            f" change {argument}"
          ) from None
        wait()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    yield descriptor
  finally:
    os.close(descriptor)


def open_keyed(
  folder: Path,
  key: Mapping[str, Any],
  argument: str,
  *,
  key_file: str,
  on_change: str = "refuse",
  say: Callable[[str], None] = lambda line: None,
) -> bool:
  """Opens a folder whose content depends on `key`, to resume or start it.

  Args:
    folder: folder that holds nothing else; created where missing.
    key: JSON values, by name, that decide the content.
    argument: name of the argument that chose the folder, for errors.
    key_file: name of the file in the folder that keeps the key.
    on_change: "refuse" content made from another key, or "replace" it.
    say: takes a line about what is replaced.

  Returns:
    Whether the folder has content made from the same key.

  Raises:
    UsageError: the folder has foreign files, content made from another key
      that is not to be replaced, or it cannot be written.
  """
  folder = pathlib.Path(folder)
  key = json.loads(json.dumps(key))  # Tuples are lists in JSON.
  with writable(folder, argument):
    folder.mkdir(parents=True, exist_ok=True)
    before = read_json(folder / key_file)
    if before == key:
      return True
    names = [p for p in folder.iterdir() if not is_temporary(p)]
    if names and not (folder / key_file).exists():
      raise errors.UsageError(
        f"{folder} has files that were not made here, such as"
        f" {min(names).name}; change {argument} to an empty or a new folder"
      )
    if names:
      known = before if isinstance(before, dict) else {}
      changed = [n for n in {**key, **known} if known.get(n) != key.get(n)]
      message = (
        f"{folder} was made from something else (different:"
        f" {', '.join(changed)})"
      )
      if on_change == "refuse":
        raise errors.UsageError(
          f"{message}; change {argument}, or replace it with overwrite"
        )
      say(f"{message}; it is replaced")
      for path in folder.iterdir():
        _remove(path)
    write_json(folder / key_file, key)
  return False


def _temporary(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.tmp")


def _refuse_existing(path: pathlib.Path) -> None:
  if path.exists():
    raise errors.UsageError(
      f"the output {path} already exists; choose another output, or replace it"
      " with overwrite"
    )


def _is_empty_folder(path: pathlib.Path) -> bool:
  return path.is_dir() and not any(path.iterdir())


def _remove(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def _tensorflow_errors() -> tuple[type[Exception], ...]:
  """TensorFlow's errors for a failed write, where it is imported."""
  tf = sys.modules.get("tensorflow")
  if tf is None:
    return ()
  return (
    tf.errors.FailedPreconditionError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
  )
