"""Parts of a `.keras` or `.h5` file, checked before Keras reads it.

A few kB of such a file can stand for terabytes of zeros, and Keras would read
arrays by pickle, which runs code. What a file may take is therefore checked
against its size and the limits below.
"""

import json
import os
import zipfile
from typing import NamedTuple

import h5py

from tf_ssl import errors
from tf_ssl.models import reader

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
    with h5py.File(path, "r") as file:
      config = file.attrs.get("model_config")
      version = file.attrs.get("keras_version", "")
    if config is not None:
      return Saved(_parsed(config, path), str(version))
  raise errors.UsageError(
    f"{path} contains weights but no model; save the model with "
    "model.save(...), or give the weights of a known network as "
    "keras.applications:NAME:PATH"
  )


def check_weights(path: str) -> int:
  """Checks the arrays of a `.keras` or `.h5` file; reads none of them.

  Args:
    path: path of a file that `read` accepts.

  Returns:
    Size of all arrays in bytes.

  Raises:
    UsageError: the file is damaged, its arrays are in other files, or they take
      more than is allowed.
  """
  with _reading(path):
    if not _is_archive(path):
      with h5py.File(path, "r") as file:
        return _array_bytes(file, path)
    with (
      zipfile.ZipFile(path) as archive,
      archive.open(_WEIGHTS) as stream,
      h5py.File(stream, "r") as file,
    ):
      return _array_bytes(file, path)


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
  _check_size(sum(each.file_size for each in archive.infolist()), path)
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


def _check_size(num_bytes: int, path: str) -> None:
  size = os.path.getsize(path)
  most = _MAX_UNPACKED + _MAX_GROWTH * size
  errors.require(
    num_bytes <= most,
    f"{path} has {size} bytes and would unpack to {num_bytes}; expected at "
    f"most {most}; save the model with model.save(...)",
  )


def _array_bytes(file: h5py.File, path: str) -> int:
  """Size in bytes of all arrays of an HDF5 file."""
  total = 0

  def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
    nonlocal total
    if isinstance(item, h5py.Dataset):
      elsewhere = bool(item.external) or item.is_virtual
      total += (item.size or 0) * item.dtype.itemsize
    else:
      links = [item.get(each, getlink=True) for each in item]
      elsewhere = any(isinstance(each, h5py.ExternalLink) for each in links)
    errors.require(
      not elsewhere,
      f"{path}: {name} is in another file; expected all weights in this one",
    )

  visit("/", file)
  file.visititems(visit)
  _check_size(total, path)
  return total
