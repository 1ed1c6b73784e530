"""A .npy file that rows are added to, and that survives a kill between two."""

import os
from collections.abc import Sequence

import numpy as np


class GrowingArray:
  """Rows of one shape, written to a file and not kept in memory.

  A mapping of the file would count as memory of this process, page by page as
  it is written; so rows are appended, and mapped only when all are there.
  """

  def __init__(
    self, path: str, row_shape: Sequence[int], dtype: type, *, rows: int = 0
  ):
    """Opens the file, or makes it.

    Args:
      path: of the .npy file; its header counts the rows only after `finish`.
      row_shape: of one row.
      dtype: of the values.
      rows: how many of those in the file are kept.

    Raises:
      OSError: it cannot be written, or holds fewer rows.
    """
    self.path = path
    self.rows = rows
    self._row_shape = tuple(row_shape)
    self._dtype = np.dtype(dtype)
    self._file = open(path, "r+b" if rows else "w+b")
    if not rows:
      self._write_header()
    # NumPy leaves room in the header for any number of rows.
    size = self._header_size() + rows * self._row_bytes
    if os.path.getsize(path) < size:
      self._file.close()
      raise OSError(f"{path} holds fewer than {rows} rows")
    self._file.truncate(size)
    self._file.seek(size)

  @property
  def _row_bytes(self) -> int:
    return int(np.prod(self._row_shape, dtype=np.int64)) * self._dtype.itemsize

  def append(self, rows: np.ndarray) -> None:
    """Adds rows, [n, *row_shape]; they are safe after `flush`."""
    if rows.shape[1:] != self._row_shape:
      raise ValueError(
        f"{self.path}: rows of shape {rows.shape[1:]}; expected "
        f"{self._row_shape}"
      )
    self._file.write(np.ascontiguousarray(rows, self._dtype).data)
    self.rows += len(rows)

  def flush(self) -> None:
    """Returns when all rows are on the disk."""
    self._file.flush()
    os.fsync(self._file.fileno())

  def finish(self) -> None:
    """Writes the number of rows into the header, and closes the file."""
    self._file.seek(0)
    self._write_header()
    self.flush()
    self.close()

  def close(self) -> None:
    """Closes the file."""
    self._file.close()

  def _write_header(self) -> None:
    np.lib.format.write_array_header_1_0(
      self._file,
      {
        "descr": np.lib.format.dtype_to_descr(self._dtype),
        "fortran_order": False,
        "shape": (self.rows, *self._row_shape),
      },
    )

  def _header_size(self) -> int:
    self._file.seek(0)
    np.lib.format.read_magic(self._file)
    np.lib.format.read_array_header_1_0(self._file)
    return self._file.tell()
