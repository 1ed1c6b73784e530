"""A .npy file that grows by rows and survives a kill between two writes."""

import os
from collections.abc import Sequence

import numpy as np


class GrowingArray:
  """Rows of one shape, appended to a file instead of kept in memory.

  Appending needs no memory map, whose dirty pages would count as memory of this
  process; the file is mapped only when it is complete.
  """

  def __init__(
    self, path: str, row_shape: Sequence[int], dtype: type, *, rows: int = 0
  ):
    """Opens or creates the file.

    Args:
      path: path of the .npy file; its header is valid only after `finish`.
      row_shape: shape of one row.
      dtype: type of the values.
      rows: number of rows in the file to keep; further ones are dropped.

    Raises:
      OSError: the file cannot be written, or has fewer than `rows` rows.
    """
    self.path = path
    self.rows = rows
    self._row_shape = tuple(row_shape)
    self._dtype = np.dtype(dtype)
    self._file = open(path, "r+b" if rows else "w+b")
    if not rows:
      self._write_header()
    # NumPy pads the header, so that its size does not depend on the rows.
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
    """Appends rows [n, *row_shape]; they are durable after `flush`."""
    if rows.shape[1:] != self._row_shape:
      raise ValueError(
        f"{self.path}: rows of shape {rows.shape[1:]}; expected "
        f"{self._row_shape}"
      )
    self._file.write(np.ascontiguousarray(rows, self._dtype).data)
    self.rows += len(rows)

  def flush(self) -> None:
    """Returns after all rows are on disk."""
    self._file.flush()
    os.fsync(self._file.fileno())

  def finish(self) -> None:
    """Writes the number of rows into the header and closes the file."""
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
