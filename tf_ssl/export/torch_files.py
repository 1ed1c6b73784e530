"""PyTorch's file formats: zip archives (since 1.6) and the older stream.

A plain pickle with arrays of NumPy is read, too, as detectron2 writes it.
"""

import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from tf_ssl import errors
from tf_ssl.export import inert_pickle, stored_arrays, torch_pickle

# The first two numbers of a file of torch.save before 1.6.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAGIC_BYTES = b"\x8a\n" + _MAGIC.to_bytes(10, "little")
_MAX_DEPTH = 32  # Of containers in containers.


def is_torch_file(path: str) -> bool:
  """Whether a file has one of PyTorch's formats."""
  with open(path, "rb") as file:
    start = file.read(64)
  if start.startswith(b"PK"):
    return _pickle_name(path) is not None
  return _MAGIC_BYTES in start


def is_pickle(path: str) -> bool:
  """Whether a file starts as a pickle of protocol 2 or later."""
  with open(path, "rb") as file:
    start = file.read(2)
  return len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5


def read(path: str) -> dict[str, stored_arrays.StoredArray]:
  """Lists the tensors of a file of `torch.save`; executes nothing of it.

  Args:
    path: path of the file.

  Returns:
    Tensors and NumPy arrays by the keys that lead to them, joined by dots, such
    as {"state_dict.module.conv1.weight": ...}. Other values are skipped.

  Raises:
    UsageError: the file is damaged, of another format, without arrays, or calls
      functions of the system.
  """
  with open(path, "rb") as file:
    is_zip = file.read(2) == b"PK"
  content, bytes_of = _read_zip(path) if is_zip else _read_stream(path)
  return _listed(content, bytes_of, path)


def read_pickle(path: str) -> dict[str, stored_arrays.StoredArray]:
  """Lists the NumPy arrays of a pickle, as `read` lists tensors."""
  with open(path, "rb") as file:
    content = torch_pickle.load(file, path)

  def bytes_of(storage):
    raise _short(path)

  found = _listed(content, bytes_of, path)
  errors.require(
    found,
    f"weights {path} are a pickle without arrays of NumPy; expected such "
    "arrays, or a file of torch.save",
  )
  return found


def _listed(
  content: Any, bytes_of: Callable, path: str
) -> dict[str, stored_arrays.StoredArray]:
  values = dict(_values(content))
  found = {
    name: _array(value, bytes_of, path)
    for name, value in values.items()
    if not isinstance(value, inert_pickle.Placeholder)
  }
  objects = sorted(
    {value.name for value in values.values()} if not found else ()
  )
  errors.require(
    not objects,
    f"{path} has no arrays, but objects of {', '.join(objects[:3])}; expected "
    "named tensors: save only its state_dict with torch.save, and import that",
  )
  return found


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


def _values(content: Any) -> Iterator[tuple[str, Any]]:
  """All arrays and placeholders with their names, in order.

  Each container is read once.
  """
  waiting, seen = [("", content, 0)], set()
  while waiting:
    name, value, depth = waiting.pop()
    if isinstance(value, torch_pickle.Tensor) or (
      isinstance(value, torch_pickle.Array) and value.dtype is not None
    ):
      yield name, value
      continue
    if isinstance(value, dict):
      pairs = value.items()
    elif isinstance(value, inert_pickle.Placeholder):
      yield name, value
      pairs = value.entries
    elif type(value) in (list, tuple):
      pairs = enumerate(value)
    else:
      continue
    if id(value) not in seen and depth < _MAX_DEPTH:
      seen.add(id(value))
      waiting.extend(
        (f"{name}.{key}" if name else f"{key}", item, depth + 1)
        for key, item in reversed(list(pairs))
      )


def _array(
  array: torch_pickle.Tensor | torch_pickle.Array, bytes_of: Callable, path: str
) -> stored_arrays.StoredArray:
  def read_it() -> np.ndarray:
    if isinstance(array, torch_pickle.Tensor):
      data, big_endian = bytes_of(array.storage)
      dtype, offset = array.storage.dtype, array.offset
      strides = array.strides
    else:
      data, big_endian = array.data, array.big_endian
      dtype, offset = array.dtype, 0
      strides = _contiguous(array.shape, fortran=array.fortran)
    try:
      return stored_arrays.strided(
        data,
        dtype,
        offset=offset,
        shape=array.shape,
        strides=strides,
        big_endian=big_endian,
      )
    except errors.UsageError as error:
      raise errors.UsageError(f"{path}: {error}") from error

  return stored_arrays.StoredArray(array.shape, read_it)


def _contiguous(shape: Sequence[int], *, fortran: bool) -> list[int]:
  """Strides, in values, of an array without gaps."""
  sides = list(shape) if fortran else list(shape)[::-1]
  strides = [math.prod(sides[:axis]) for axis in range(len(sides))]
  return strides if fortran else strides[::-1]


def _pickle_name(path: str) -> str | None:
  """Name of the main pickle of an archive, such as archive/data.pkl."""
  try:
    with zipfile.ZipFile(path) as archive:
      names = [n for n in archive.namelist() if n.endswith("data.pkl")]
  except Exception:  # Damage raises nearly any type.
    return None
  return min(names, key=len, default=None)


def _member(archive: zipfile.ZipFile, name: str, path: str) -> bytes:
  try:
    info = archive.getinfo(name)
    # torch.save never compresses; without that a small file could fill memory.
    is_whole = info.header_offset + info.file_size <= os.path.getsize(path)
    if info.compress_type == zipfile.ZIP_STORED and is_whole:
      return archive.read(info)
  except Exception as error:  # Damage raises nearly any type.
    raise _short(path) from error
  raise _short(path)


def _short(path: str) -> errors.UsageError:
  return errors.UsageError(
    f"{path} is damaged or truncated: values of a tensor are missing; copy or "
    "download it again"
  )
