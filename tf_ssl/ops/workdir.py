"""Durable files and folders: atomic replacement, locks, folders with a key.

A file or folder is written under a temporary name beside its final path and
renamed when it is complete, so that readers never see half of one.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import names

Path = str | os.PathLike

_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")

LOCK_FILE = ".lock"
# Wildcards, and bytes of a file name that are not UTF-8.
_NOT_FOR_TENSORFLOW = re.compile("[\\[\\]*?\\\\\ud800-\udfff]")
# An error of TensorFlow's file system ends with the operating system's text; a
# full accelerator raises ResourceExhaustedError, too, but says something else.
_WRITE_ERRORS = tuple(
  os.strerror(code)
  for code in (
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
  )
)
# Errors that reading does not have.
_FULL = (errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EROFS)
_FULL_TEXTS = (*map(os.strerror, _FULL), "Could not flush events file")


class WriteError(errors.UsageError):
  """A file or folder cannot be written: a full disk, or no permission."""


@contextlib.contextmanager
def replacing_file(
  path: Path, *, overwrite: bool = True
) -> Iterator[pathlib.Path]:
  """Yields a temporary path; the file written there becomes `path` on exit.

  The file is flushed to disk before it is renamed, so that a reader sees the
  old file or the complete new one, even after a power cut. If the body raises,
  the temporary file is removed and `path` stays as it was. Several machines may
  write one file at the same time: the last one wins.

  Args:
    path: path of the file; its parent folder must exist.
    overwrite: whether to replace a file at `path`.

  Yields:
    Path in the same folder, for which `is_temporary` is true.

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
def replacing_folder(
  path: Path, *, overwrite: bool = False, argument: str = "the output"
) -> Iterator[str]:
  """Yields a new folder, which becomes `path` on exit.

  The folder is a sibling of `path` until the body ends. If the body raises, it
  is removed and `path` stays as it was.

  Args:
    path: path of the folder; missing parents are created.
    overwrite: whether to replace a file or folder at `path`. An empty folder
      is always replaced.
    argument: name of the argument that chose the path, for errors.

  Yields:
    Path of an empty folder on the same disk.

  Raises:
    UsageError: `path` exists and `overwrite` is False, or it cannot be written.
  """
  path = pathlib.Path(os.path.abspath(path))
  if not overwrite and not _is_empty_folder(path):
    _refuse_existing(path)
  temporary, old = _temporary(path), _temporary(path)
  try:
    with writable(path, argument):
      temporary.mkdir(parents=True)
      yield str(temporary)
      if os.path.lexists(path) and not _is_empty_folder(path):
        os.replace(path, old)
      try:
        os.replace(temporary, path)
      except OSError:
        if os.path.lexists(old):
          os.replace(old, path)
        raise
  finally:
    for folder in (temporary, old):
      with contextlib.suppress(OSError):
        _remove(folder)


def write_text(path: Path, text: str) -> None:
  """Atomically replaces the content of a file with UTF-8 text.

  Bytes that `os.fsdecode` could not decode are written as they were; other
  halves of surrogate pairs, which no file can hold, as escapes.
  """
  text = _HALVES.sub(lambda half: names.escaped(half[0]), text)
  with replacing_file(path) as temporary:
    temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
  """Atomically replaces the content of a file with JSON."""
  write_text(path, json.dumps(value, indent=indent) + "\n")


def read_json(path: Path) -> Any:
  """The value in a JSON file; None if the file is missing or not JSON."""
  try:
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
  except (FileNotFoundError, ValueError, RecursionError):
    return None


def is_temporary(path: Path) -> bool:
  """Whether a name looks like a temporary one of this module."""
  name = os.path.basename(path)
  return name.startswith(".") and name.endswith(".tmp")


def remove_temporaries(folder: Path, name: str | None = None) -> None:
  """Removes the temporaries of a killed process; hold the folder's lock.

  Args:
    folder: folder that holds the temporary files and folders.
    name: final name of the file or folder whose temporaries to remove; None
      for all.
  """
  for path in pathlib.Path(folder).iterdir():
    wanted = name is None or path.name.startswith(_temporary_start(name))
    if is_temporary(path) and wanted:
      _remove(path)


@contextlib.contextmanager
def writable(path: Path, argument: str) -> Iterator[None]:
  """Turns a full disk or a read-only folder into a UsageError.

  Args:
    path: path of the file or folder that the body writes.
    argument: name of the argument that chose the path, such as "--output_dir".

  Raises:
    WriteError: the body raised OSError, or TensorFlow's error for one.
  """
  try:
    yield
  except Exception as error:
    if not isinstance(error, OSError) and not _tensorflow_says(
      error, _WRITE_ERRORS
    ):
      raise
    raise unwritable(path, argument, error) from error


@contextlib.contextmanager
def enough_space(path: Path, argument: str) -> Iterator[None]:
  """Turns a full disk into a WriteError, in a body that also reads files.

  Unlike `writable`, it lets errors pass that reading has, too, such as a
  missing file.

  Args:
    path: path of the folder that the body writes.
    argument: name of the argument that chose the path, such as "--output_dir".

  Raises:
    WriteError: the disk is full or read-only, or a quota is used up.
  """
  try:
    yield
  except Exception as error:
    if not is_full(error):
      raise
    raise unwritable(path, argument, error) from error


def is_full(error: Exception) -> bool:
  """Whether an error says that the disk is full, or cannot be written at all.

  Args:
    error: OSError, TensorFlow's error for one, or any other error.
  """
  if isinstance(error, OSError):
    return error.errno in _FULL or any(t in str(error) for t in _FULL_TEXTS)
  return _tensorflow_says(error, _FULL_TEXTS)


def unwritable(path: Path, argument: str, error: Exception) -> WriteError:
  """The WriteError for a path that cannot be written.

  Args:
    path: path of the file or folder.
    argument: name of the argument that chose the path.
    error: cause, an OSError or TensorFlow's error for one.
  """
  return WriteError(
    f"cannot write to {os.fspath(path)}: {_reason(error)}; free some space, or"
    f" change {argument} to a folder that can be written. Files saved earlier"
    " are complete"
  )


@contextlib.contextmanager
def locked(
  folder: Path,
  argument: str,
  *,
  name: str = LOCK_FILE,
  wait: Callable[[], None] | None = None,
) -> Iterator[int]:
  """Keeps other processes out of a folder until the body ends.

  The operating system releases the lock when its process dies. The lock file
  stays; it holds the id of the last process.

  Args:
    folder: folder to lock; it must exist.
    argument: name of the argument that chose the folder, for errors.
    name: name of the lock file; `open_keyed` ignores ".lock" only.
    wait: function to call repeatedly while another process holds the lock, for
      example a short sleep; None to raise instead.

  Yields:
    File descriptor of the lock; a child that inherits it holds the lock, too.

  Raises:
    UsageError: another process holds the lock and `wait` is None, or the folder
      cannot be written.
  """
  path = os.path.join(folder, name)

  def opened() -> int:
    with writable(folder, argument):
      return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)

  descriptor = opened()
  try:
    while True:
      try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
          break
        removed, descriptor = descriptor, opened()  # By its last holder.
        os.close(removed)
      except (BlockingIOError, PermissionError):  # The latter by Samba.
        if wait is None:
          holder = os.pread(descriptor, 32, 0).decode("ascii", "replace")
          raise errors.UsageError(
            f"{os.fspath(folder)} is in use by another process"
            f" (process {holder.strip() or 'unknown'}); wait until it ends, or"
            f" change {argument}"
          ) from None
        wait()
      except OSError as error:  # Network drives have many errors for it.
        warnings.warn(
          f"{os.fspath(folder)} is on a file system without locks"
          f" ({error.strerror}); start no second process in this folder",
          stacklevel=3,
        )
        break
    with contextlib.suppress(OSError):  # A full disk; the id is only a hint.
      os.ftruncate(descriptor, 0)
      os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    yield descriptor
  finally:
    os.close(descriptor)


@contextlib.contextmanager
def without_wildcards(path: Path) -> Iterator[str]:
  """Yields a path to a file that TensorFlow can use.

  TensorFlow takes the paths of checkpoints and SavedModels for patterns when it
  reads them, and needs UTF-8. Another path is reached through temporary
  symbolic links; other paths are yielded unchanged.

  Args:
    path: path of a file or folder, or the prefix of a checkpoint.
  """
  path = os.fspath(path)
  if not _NOT_FOR_TENSORFLOW.search(path):
    yield path
    return
  folder, name = os.path.split(os.path.abspath(path))
  plain = _NOT_FOR_TENSORFLOW.sub("_", name)
  with tempfile.TemporaryDirectory() as temporary:
    for each in os.listdir(folder) if os.path.isdir(folder) else ():
      if each == name or each.startswith(f"{name}."):
        link = os.path.join(temporary, plain + each[len(name) :])
        os.symlink(os.path.join(folder, each), link)
    yield os.path.join(temporary, plain)


def open_keyed(
  folder: Path,
  key: Mapping[str, Any],
  argument: str,
  *,
  key_file: str,
  on_change: str = "refuse",
  say: Callable[[str], None] = lambda line: None,
) -> bool:
  """Prepares a folder whose content depends on `key`: to resume or to start.

  Where several processes may use the folder, call this while holding its lock.

  Args:
    folder: folder for this content only; created if missing.
    key: JSON values, by name, on which the content depends.
    argument: name of the argument that chose the folder, for errors.
    key_file: name of the file in the folder that holds the key.
    on_change: what to do with content of another key: "refuse" or "replace".
    say: function that takes a line about replaced content.

  Returns:
    Whether the folder has content of the same key.

  Raises:
    UsageError: the folder has files of another origin, or content of another
      key and `on_change` is "refuse", or it cannot be written.
  """
  folder = pathlib.Path(folder)
  key_path = folder / key_file
  key = json.loads(json.dumps(key))  # Tuples are lists in JSON.
  with writable(folder, argument):
    folder.mkdir(parents=True, exist_ok=True)
    before = read_json(key_path)
    if before == key:
      return True
    content = [
      path
      for path in folder.iterdir()
      if path.name != LOCK_FILE and not is_temporary(path)
    ]
    if content and not key_path.exists():
      raise errors.UsageError(
        f"{folder} has files of another origin, such as {min(content).name};"
        f" change {argument} to an empty or a new folder"
      )
    if content and before != {}:  # {}: a replacement that was interrupted.
      known = before if isinstance(before, dict) else {}
      changed = [n for n in {**key, **known} if known.get(n) != key.get(n)]
      message = (
        f"{folder} was made from something else (different:"
        f" {', '.join(changed)})"
      )
      if on_change == "refuse":
        raise errors.UsageError(
          f"{message}; change {argument}, or replace the content with overwrite"
        )
      say(f"{message}; replacing it")
      write_json(key_path, {})
    for path in content:
      if path != key_path:
        _remove(path)
    write_json(key_path, key)
  return False


def _temporary(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(f"{_temporary_start(path.name)}{uuid.uuid4().hex}.tmp")


def _temporary_start(name: str) -> str:
  # 50 characters are at most 200 bytes of the 255 that a name may have; the
  # checksum tells longer names apart.
  checksum = zlib.crc32(os.fsencode(name))
  return f".{name[:50]}.{checksum:08x}"


def _refuse_existing(path: pathlib.Path) -> None:
  if os.path.lexists(path):
    raise errors.UsageError(
      f"{path} already exists; choose another output, or replace it with"
      " overwrite"
    )


def _is_empty_folder(path: pathlib.Path) -> bool:
  return path.is_dir() and not any(path.iterdir())


def _remove(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def _tensorflow_says(error: Exception, texts: Iterable[str]) -> bool:
  tf = sys.modules.get("tensorflow")  # Not imported, not raised.
  return (
    tf is not None
    and isinstance(error, tf.errors.OpError)
    and any(text in error.message for text in texts)
  )


def _reason(error: Exception) -> str:
  """What the operating system says, without TensorFlow's operations."""
  text = getattr(error, "strerror", None) or getattr(error, "message", None)
  text = str(text or error) or type(error).__name__
  for known in _WRITE_ERRORS:
    if known in text:
      return known
  return text.splitlines()[0]
