"""The user's folders, also for users without a home that can be written.

Containers and services often run under a number without a name, without $HOME,
or with a home on a read-only disk.
"""

import os
import pathlib
import tempfile

from absl import logging

from tf_ssl import errors
from tf_ssl.ops import names


def expand(path: str | os.PathLike, argument: str) -> pathlib.Path:
  """The path of an output, with ~ replaced by the user's home.

  Args:
    path: path of a file or folder that TensorFlow will write.
    argument: name of the argument that chose the path, for errors.

  Raises:
    UsageError: the path starts with ~, and the home is unknown; or it is not
      UTF-8, which TensorFlow cannot write.
  """
  try:
    os.fspath(path).encode()
  except UnicodeEncodeError as error:
    raise errors.UsageError(
      f"{names.escaped(os.fspath(path))}: the path is not UTF-8, so TensorFlow"
      f" cannot write there; change {argument}"
    ) from error
  try:
    return pathlib.Path(path).expanduser()
  except RuntimeError as error:
    raise errors.UsageError(
      f"{os.fspath(path)}: the home folder is unknown; set HOME, or change"
      f" {argument} to a path without ~"
    ) from error


def cache_home() -> pathlib.Path:
  """$XDG_CACHE_HOME, or ~/.cache, or `temporary()` without a home."""
  path = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
  return temporary() if path.startswith("~") else pathlib.Path(path)


def cache(name: str) -> pathlib.Path:
  """Returns the folder tf_ssl/`name` in `cache_home`, which exists.

  If it cannot be created there, it is in `temporary()`, and a warning says so.

  Args:
    name: name of the folder.

  Raises:
    UsageError: there is no folder for temporary files.
  """
  place = cache_home() / "tf_ssl" / name
  try:
    place.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    wanted, place = place, temporary() / "tf_ssl" / name
    place.mkdir(parents=True, exist_ok=True)
    logging.warning(
      "cannot create %s (%s); using %s; set XDG_CACHE_HOME to keep its content",
      wanted,
      error.strerror,
      place,
    )
  return place


def temporary() -> pathlib.Path:
  """Returns this user's own folder among the temporary files.

  Raises:
    UsageError: there is no folder for temporary files.
  """
  try:
    place = os.path.join(tempfile.gettempdir(), f"tf_ssl_home_{os.getuid()}")
    os.makedirs(place, mode=0o700, exist_ok=True)
    found = os.lstat(place)
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
      place = tempfile.mkdtemp(prefix="tf_ssl_")  # The other is not ours alone.
  except OSError as error:
    raise errors.UsageError(
      f"no folder for temporary files: {error.strerror}; set TMPDIR to a folder"
      " that can be written"
    ) from error
  return pathlib.Path(place)


def is_writable() -> bool:
  """Whether libraries can keep their settings in the user's home."""
  home = os.path.expanduser("~")
  return os.path.isabs(home) and os.access(home, os.W_OK | os.X_OK)
