"""TensorBoard's event files, checked for lost events.

TensorFlow reports a full disk for small events only. It drops what it could not
write of a large one, and TensorBoard stops reading at its torn end.
"""

import errno
import os
import pathlib
import struct

from tf_ssl.ops import workdir

# Of a TFRecord: length of the data, and its checksum; behind the data comes
# another checksum of 4 bytes.
_HEADER = struct.Struct("<QI")
_CHECKSUM_BYTES = 4


class EventFiles:
  """The event files that this process writes into a folder."""

  def __init__(self, folder: pathlib.Path, argument: str):
    """Notes the files of earlier processes, which are not checked.

    Args:
      folder: path of the folder; it may be missing.
      argument: name of the argument that chose the folder, for errors.
    """
    self._folder = folder
    self._argument = argument
    self._earlier = set(self._paths())
    self._checked: dict[pathlib.Path, int] = {}  # Bytes found whole.

  def _paths(self) -> list[pathlib.Path]:
    return list(self._folder.glob(f"events.out.tfevents.*.{os.getpid()}.*"))

  def check(self) -> None:
    """Checks what has been written since the last call; flush before.

    Raises:
      WriteError: the end of an event is missing.
    """
    for path in self._paths():
      if path in self._earlier:
        continue
      end = _end_of_records(path, self._checked.get(path, 0))
      if end is None:
        lost = OSError(errno.ENOSPC, "the end of an event is missing")
        raise workdir.unwritable(path, self._argument, lost)
      self._checked[path] = end


def _end_of_records(path: pathlib.Path, start: int) -> int | None:
  """Size of a file of whole records; None for a torn one.

  Args:
    path: path of a TFRecord file.
    start: position of a record's first byte.
  """
  with open(path, "rb") as file:
    size = os.fstat(file.fileno()).st_size
    while start < size:
      file.seek(start)
      header = file.read(_HEADER.size)
      if len(header) < _HEADER.size:
        return None
      length, _ = _HEADER.unpack(header)
      start += _HEADER.size + length + _CHECKSUM_BYTES
  return start if start == size else None
