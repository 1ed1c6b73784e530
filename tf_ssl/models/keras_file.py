"""Parts of a `.keras` or `.h5` file, checked before Keras reads it.

A few kB of such a file can stand for terabytes of zeros, and Keras would read
arrays by pickle, which runs code. What a file may take is therefore checked
against its size and the limits below.
"""

import functools
import json
import os
import zipfile
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.models import hdf5_files, reader

_WEIGHTS = "model.weights.h5"
_PICKLED = "model.weights.npz"
_CONFIG = "config.json"
_METADATA = "metadata.json"
_MAX_CONFIG = 2**24  # Bytes; Keras' largest applications have 2**20.
# Bytes that a file may unpack to: weights hardly compress, unless untrained.
_MAX_UNPACKED = 2**30
_MAX_GROWTH = 8


class Saved(NamedTuple):
  """What a file says of its model.

  Attributes:
    config: JSON value, the configuration of the model; nothing is checked.
    keras_version: version of Keras that saved it, "" if unknown.
  """

  config: object
  keras_version: str


def read(path: str) -> Saved:
  """Reads the configuration of a `.keras` or `.h5` file; builds nothing.

  Args:
    path: path of the file.

  Raises:
    UsageError: the file is not a Keras model, contains only weights, unpacks to
      more than is allowed, or has arrays that only pickle can read.
  """
  with _reading(path):
    if _is_archive(path):
      with zipfile.ZipFile(path) as archive:
        return _from_archive(archive, path)
    found = _hdf5(path)
    if found.config is not None:
      return Saved(_parsed(found.config, path), found.keras_version)
  raise errors.UsageError(
    f"{path} contains weights but no model; save the model with "
    "model.save(...), or give the weights of a known network as "
    "keras.applications:NAME:PATH"
  )


def is_of_keras_3(path: str) -> bool:
  """Whether Keras 3 or later saved a file; arguments, errors as in `read`."""
  major = read(path).keras_version.partition(".")[0]
  return major.isdecimal() and int(major) >= 3


def check_weights(path: str) -> int:
  """Checks the arrays of a `.keras` or `.h5` file.

  Args:
    path: path of the file.

  Returns:
    Size of all arrays in bytes.

  Raises:
    UsageError: the file is damaged, its arrays are in other files, or they take
      more than is allowed.
  """
  with _reading(path):
    return _hdf5(path).num_bytes


def _hdf5(path: str) -> hdf5_files.Contents:
  found = os.stat(path)
  member = _WEIGHTS if _is_archive(path) else None
  return _read_once(path, member, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _read_once(
  path: str, member: str | None, size: int, changed: int
) -> hdf5_files.Contents:
  """One child process for all questions about a file that has not changed."""
  del changed
  return hdf5_files.read(path, member=member, size=size, max_bytes=_most(size))


def _most(size: int) -> int:
  """Bytes that a file of a size in bytes may unpack to."""
  return _MAX_UNPACKED + _MAX_GROWTH * size


def _is_archive(path: str) -> bool:
  """Whether Keras reads the file as an archive."""
  errors.require(
    path.endswith(".keras") or not path.lower().endswith(".keras"),
    f"{path}: Keras reads only names that end in .keras, in small letters; "
    "rename the file",
  )
  return path.endswith(".keras")


def _reading(path: str):
  return reader.reading(
    f"{path} cannot be read as a Keras model",
    "expected what model.save(...) writes",
  )


def _from_archive(archive: zipfile.ZipFile, path: str) -> Saved:
  members = {member.filename: member for member in archive.infolist()}
  unpacked = sum(each.file_size for each in archive.infolist())
  most = _most(os.path.getsize(path))
  errors.require(
    unpacked <= most,
    f"{path} would unpack to {unpacked} bytes; expected at most {most}; save "
    "the model with model.save(...)",
  )
  errors.require(
    _WEIGHTS in members or _PICKLED not in members,
    f"{path} has its weights in {_PICKLED}, which Keras reads by pickle, so "
    "that loading could run code; save the model with model.save(...)",
  )
  config = members.get(_CONFIG)
  _check_config(config.file_size if config else 0, path)
  parsed = _parsed(archive.read(_CONFIG), path)
  version = ""
  if _METADATA in members:
    _check_config(members[_METADATA].file_size, path)
    metadata = json.loads(archive.read(_METADATA))
    if isinstance(metadata, dict):
      version = str(metadata.get("keras_version", ""))
  return Saved(parsed, version)


def _parsed(config: str | bytes, path: str) -> object:
  _check_config(len(config), path)
  return json.loads(config)


def _check_config(num_bytes: int, path: str) -> None:
  errors.require(
    num_bytes <= _MAX_CONFIG,
    f"{path} has a configuration of {num_bytes} bytes; expected at most "
    f"{_MAX_CONFIG}",
  )
