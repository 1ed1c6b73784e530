"""PyTorch's file formats: zip archives (since 1.6) and the older stream."""

import collections
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from tf_ssl import errors
from tf_ssl.export import stored_arrays, torch_pickle

# The first two numbers of a file of torch.save before 1.6.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAGIC_BYTES = b"\x8a\n" + _MAGIC.to_bytes(10, "little")
_CONTAINERS = (dict, collections.OrderedDict, list, tuple)


def is_torch_file(path: str) -> bool:
  """Whether a file has one of PyTorch's formats."""
  with open(path, "rb") as file:
    start = file.read(64)
  if start.startswith(b"PK"):
    return _pickle_name(path) is not None
  return _MAGIC_BYTES in start


def read(path: str) -> dict[str, stored_arrays.StoredArray]:
  """Lists the tensors of a file of `torch.save`; executes nothing of it.

  Args:
    path: path of the file.

  Returns:
    Tensors by the keys that lead to them, joined by dots, such as
    {"state_dict.module.conv1.weight": ...}. Other values are skipped.

  Raises:
    UsageError: the file is damaged, of another format, or calls functions.
  """
  with open(path, "rb") as file:
    is_zip = file.read(2) == b"PK"
  content, bytes_of = _read_zip(path) if is_zip else _read_stream(path)
  return {
    name: _array(tensor, bytes_of, path) for name, tensor in _tensors(content)
  }


def _read_zip(path: str) -> tuple[Any, Callable]:
  name = _pickle_name(path)
  if name is None:
    raise errors.UsageError(
      f"{path} is a zip archive without data.pkl; expected a file of torch.save"
    )
  folder = name.removesuffix("data.pkl")
  # It stays open for the arrays, because its index is large.
  archive = zipfile.ZipFile(path)
  content = torch_pickle.load(io.BytesIO(_member(archive, name, path)), path)
  order = b"little"
  if f"{folder}byteorder" in archive.namelist():
    order = _member(archive, f"{folder}byteorder", path)

  def bytes_of(storage: torch_pickle.Storage) -> tuple[bytes, bool]:
    size = storage.count * stored_arrays.item_size(storage.dtype)
    data = _member(archive, f"{folder}data/{storage.key}", path)
    if len(data) < size:
      raise _short(path)
    return data[:size], order == b"big"

  return content, bytes_of


def _read_stream(path: str) -> tuple[Any, Callable]:
  with open(path, "rb") as file:
    start = [torch_pickle.load(file, path) for _ in range(2)]
    if start != [_MAGIC, _PROTOCOL]:
      raise errors.UsageError(
        f"{path} does not start like a PyTorch file; expected a file of "
        "torch.save"
      )
    system = torch_pickle.load(file, path)
    dtypes = {}
    content = torch_pickle.load(file, path, dtypes)
    keys = torch_pickle.load(file, path)
    places = _places(file, keys, dtypes, path)
  big_endian = not system.get("little_endian", True)

  def bytes_of(storage: torch_pickle.Storage) -> tuple[bytes, bool]:
    size = stored_arrays.item_size(storage.dtype)
    start, count = places.get(storage.key, (0, -1))
    if storage.offset + storage.count > count:
      raise _short(path)
    with open(path, "rb") as file:
      file.seek(start + storage.offset * size)
      return file.read(storage.count * size), big_endian

  return content, bytes_of


def _places(
  file: BinaryIO, keys: list, dtypes: Mapping[str, str], path: str
) -> dict[str, tuple[int, int]]:
  """Position and number of values of each storage by key."""
  end = os.fstat(file.fileno()).st_size
  places = {}
  for key in map(str, keys):
    header = file.read(8)
    if len(header) < 8 or key not in dtypes:
      # Without the type, the length and all later positions are unknown.
      raise _short(path)
    [count] = struct.unpack("<q", header)
    places[key] = file.tell(), count
    size = count * stored_arrays.item_size(dtypes[key])
    if count < 0 or file.tell() + size > end:
      raise _short(path)
    file.seek(size, os.SEEK_CUR)
  return places


def _tensors(content: Any) -> Iterator[tuple[str, torch_pickle.Tensor]]:
  """All tensors with their names, in order; each container is read once."""
  waiting, seen = [("", content)], set()
  while waiting:
    name, value = waiting.pop()
    if isinstance(value, torch_pickle.Tensor):
      yield name, value
    elif type(value) in _CONTAINERS and id(value) not in seen:
      seen.add(id(value))
      # dict.items, because a pickle can set `items` of an OrderedDict.
      is_dict = isinstance(value, dict)
      pairs = list(dict.items(value) if is_dict else enumerate(value))
      waiting.extend(
        (f"{name}.{key}" if name else f"{key}", item)
        for key, item in reversed(pairs)
      )


def _array(
  tensor: torch_pickle.Tensor, bytes_of: Callable, path: str
) -> stored_arrays.StoredArray:
  def read_it() -> np.ndarray:
    data, big_endian = bytes_of(tensor.storage)
    try:
      return stored_arrays.strided(
        data,
        tensor.storage.dtype,
        offset=tensor.offset,
        shape=tensor.shape,
        strides=tensor.strides,
        big_endian=big_endian,
      )
    except errors.UsageError as error:
      raise errors.UsageError(f"{path}: {error}") from None

  return stored_arrays.StoredArray(tensor.shape, read_it)


def _pickle_name(path: str) -> str | None:
  """Name of the main pickle of an archive, such as archive/data.pkl."""
  try:
    with zipfile.ZipFile(path) as archive:
      names = [n for n in archive.namelist() if n.endswith("data.pkl")]
  except (zipfile.BadZipFile, EOFError):
    return None
  return min(names, key=len, default=None)


def _member(archive: zipfile.ZipFile, name: str, path: str) -> bytes:
  try:
    info = archive.getinfo(name)
    # torch.save never compresses; without that a small file could fill memory.
    if info.compress_type == zipfile.ZIP_STORED:
      return archive.read(info)
  except (KeyError, zipfile.BadZipFile, EOFError, NotImplementedError):
    pass
  raise _short(path)


def _short(path: str) -> errors.UsageError:
  return errors.UsageError(
    f"{path} is damaged or truncated: values of a tensor are missing; copy or "
    "download it again"
  )
