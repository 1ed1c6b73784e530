"""HDF5 files with weights, read in a child process before Keras reads them.

The HDF5 library is native code, and a damaged file can make it crash or loop
for ever. The child imports neither TensorFlow nor Keras.
"""

import contextlib
import json
import sys
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

import h5py

from tf_ssl.ops import child_process

_SECONDS = 60.0
_BYTES_PER_SECOND = 2**24  # A slow disk.
_MEMORY = 2**33  # Bytes of address space of the child.
_AT_ONCE = 2**24  # Numbers of an array in memory at once.
_CHILD = "from tf_ssl.models import hdf5_files; hdf5_files.main()"


class Contents(NamedTuple):
  """What a file holds.

  Attributes:
    config: attribute "model_config", JSON text; None if there is none.
    keras_version: attribute "keras_version", "" if there is none.
    num_bytes: size of all arrays in bytes.
  """

  config: str | None
  keras_version: str
  num_bytes: int


def read(
  path: str, *, member: str | None = None, size: int, max_bytes: int
) -> Contents:
  """Reads all of a file in a child process.

  Args:
    path: path of the HDF5 file, or of a zip archive that holds it.
    member: name in the archive; None if `path` is the HDF5 file.
    size: size of the file in bytes, which decides how long the child may take.
    max_bytes: largest size of all arrays.

  Raises:
    ValueError: the file cannot be read, is larger than `max_bytes`, or has its
      arrays in other files.
    ChildError: the child crashed, or took too long.
  """
  printed = child_process.output_of(
    _CHILD,
    path,
    member or "",
    str(max_bytes),
    seconds=_SECONDS + size / _BYTES_PER_SECOND,
    memory=_MEMORY,
  )
  found = json.loads(printed)
  if "problem" in found:
    raise ValueError(found["problem"])
  return Contents(**found)


def main() -> None:
  """Reads the file in `sys.argv[1:]` and prints `Contents` as JSON."""
  path, member, max_bytes = sys.argv[1:]
  try:
    with _opened(path, member) as file:
      found = _contents(file, int(max_bytes))._asdict()
  except Exception as error:  # HDF5 raises many types on a damaged file.
    found = {"problem": str(error) or type(error).__name__}
  print(json.dumps(found))


@contextlib.contextmanager
def _opened(path: str, member: str) -> Iterator[h5py.File]:
  with contextlib.ExitStack() as stack:
    source = path
    if member:
      archive = stack.enter_context(zipfile.ZipFile(path))
      source = stack.enter_context(archive.open(member))
    yield stack.enter_context(h5py.File(source, "r"))


def _contents(file: h5py.File, max_bytes: int) -> Contents:
  total, arrays = 0, []

  def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
    nonlocal total
    for attribute in item.attrs:
      item.attrs[attribute]  # noqa: B018 - reads it
    if isinstance(item, h5py.Dataset):
      elsewhere = bool(item.external) or item.is_virtual
      total += (item.size or 0) * item.dtype.itemsize
      arrays.append(item)
    else:
      links = [item.get(each, getlink=True) for each in item]
      elsewhere = any(isinstance(each, h5py.ExternalLink) for each in links)
    if elsewhere:
      raise ValueError(f"{name} is in another file; expected all weights here")

  visit("/", file)
  file.visititems(visit)
  if total > max_bytes:
    raise ValueError(
      f"its arrays would take {total} bytes; expected at most {max_bytes}"
    )
  for item in arrays:
    _read_array(item)
  config = file.attrs.get("model_config")
  if isinstance(config, bytes):
    config = config.decode()
  if not isinstance(config, str | None):
    raise ValueError(f"model_config is {type(config).__name__}, and no text")
  version = file.attrs.get("keras_version", "")
  return Contents(config, str(version), total)


def _read_array(item: h5py.Dataset) -> None:
  if not item.shape:
    item[()]
    return
  step = max(1, _AT_ONCE * item.shape[0] // max(item.size, 1))
  for start in range(0, item.shape[0], step):
    item[start : start + step]
