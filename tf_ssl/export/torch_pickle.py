"""Tensors and arrays in pickles of PyTorch and NumPy.

The few names that build them stand for functions of this module; all others
stay text, so that nothing of a file is executed.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.export import inert_pickle, stored_arrays

# Class of a storage -> NumPy's name of the type of its values.
_STORAGES = {
  "BFloat16Storage": "bfloat16",
  "BoolStorage": "bool",
  "ByteStorage": "uint8",
  "CharStorage": "int8",
  "DoubleStorage": "float64",
  "FloatStorage": "float32",
  "HalfStorage": "float16",
  "IntStorage": "int32",
  "LongStorage": "int64",
  "ShortStorage": "int16",
}


class Storage(NamedTuple):
  """Values of one or more tensors.

  Attributes:
    key: name of the storage in the file.
    dtype: NumPy's name of the type of the values, or "bfloat16"; None for a
      type that is not read.
    count: number of values.
    offset: index of the first value in the storage `key`.
  """

  key: str
  dtype: str | None
  count: int
  offset: int = 0


class Tensor(NamedTuple):
  """A view of a storage, with offset and strides in values."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


class Array:
  """An array of NumPy, stored in the pickle.

  Attributes:
    shape: shape of the array.
    dtype: NumPy's name of the type of the values; None for other types than
      numbers.
    big_endian: whether the bytes of a value are in big-endian order.
    fortran: whether the first axis is contiguous instead of the last.
    data: bytes of the values.
  """

  __slots__ = ("big_endian", "data", "dtype", "fortran", "shape")

  def __init__(self, dtype=None, shape=(), data=b"", *, fortran=False):
    self.shape = _integers(shape)
    self.dtype = dtype.name if isinstance(dtype, _Dtype) else None
    self.big_endian = isinstance(dtype, _Dtype) and dtype.big_endian
    self.fortran = bool(fortran)
    if isinstance(data, str):  # Written by Python 2.
      data = data.encode("latin1")
    if not isinstance(data, bytes):  # Objects of Python.
      self.dtype = None
    self.data = data


class _Dtype:
  """A type of NumPy's values, such as "float32"; name is None for others."""

  def __init__(self, code: Any):
    known = isinstance(code, str) and re.fullmatch("[biuf][1248]", code)
    self.name = np.dtype(code).name if known else None
    self.big_endian = False


def load(
  file: BinaryIO, path: str, storages: dict[str, str] | None = None
) -> Any:
  """Reads one pickle.

  Args:
    file: file whose position is the start of the pickle; afterwards it is the
      end.
    path: path of the file, for errors.
    storages: dictionary to fill with the type of each storage by key, or None.

  Returns:
    Dictionaries, lists, numbers, strings, a `Tensor` or an `Array` for each
    array, and a `inert_pickle.Placeholder` for each object of another class.

  Raises:
    UsageError: the pickle calls a function of the system, it needs too much
      memory, or it is damaged.
  """
  try:
    return _Unpickler(file, path, {} if storages is None else storages).load()
  except errors.UsageError:
    raise
  except Exception as error:  # Damage raises nearly any type.
    raise errors.UsageError(
      f"{path} cannot be read as a PyTorch file ("
      f"{type(error).__name__}: {error}); it is damaged, or of another format"
    ) from error


class _Unpickler(inert_pickle.Unpickler):
  """Builds tensors and arrays, too."""

  def __init__(self, file: BinaryIO, path: str, storages: dict[str, str]):
    super().__init__(file, path)
    self._path = path
    self._storages = storages

  def persistent_load(self, pid: Any) -> Storage:
    kind, storage, key, _, count, *view = pid
    if kind != "storage" or not isinstance(storage, inert_pickle.Name):
      raise errors.UsageError(
        f"{self._path} has {kind!r}, expected tensors; save model.state_dict() "
        "instead of the model"
      )
    offset = 0
    if view and view[0] is not None:  # Before 1.6, a part of a storage.
      _, offset, count = view[0]
    if not all(type(n) is int and n >= 0 for n in (count, offset)):
      raise errors.UsageError(
        f"{self._path}: a storage of {count} values from index {offset}; the "
        "file is damaged"
      )
    module, _, name = storage.full.rpartition(".")
    known = module in ("torch", "torch.cuda", "torch.storage")
    dtype = _STORAGES.get(name) if known else None
    if dtype is not None:
      self._storages[str(key)] = dtype
    return Storage(str(key), dtype, count, offset)

  def call(self, name: str, arguments: Sequence[Any]) -> Any:
    if name in _FROM_TYPE:  # A tensor with attributes.
      return self.apply(arguments[0], arguments[2])
    if name in _BUILDERS:
      return _BUILDERS[name](*arguments)
    return inert_pickle.Placeholder(name)

  def set_state(self, value: Any, state: Any) -> None:
    if isinstance(value, Array) and len(state) == 5:
      _, shape, dtype, fortran, data = state
      value.__init__(dtype, shape, data, fortran=fortran)
    elif isinstance(value, _Dtype):
      value.big_endian = state[1] == ">"


def _integers(numbers: Any) -> tuple[int, ...]:
  most = stored_arrays.MAX_RANK
  if len(numbers) > most or not all(type(n) is int for n in numbers):
    raise ValueError(
      f"a shape of {len(numbers)} sides; expected at most {most} integers"
    )
  return tuple(numbers)


def _tensor(storage, offset, shape, strides, *others) -> Any:
  if not isinstance(storage, Storage):
    raise ValueError(
      "a tensor has its values in another place than torch.save writes them; "
      "with pickle.dump, use torch.save instead"
    )
  metadata = others[2] if len(others) > 2 else None
  if storage.dtype is None or metadata:  # Complex, quantized, negated, ...
    return inert_pickle.Placeholder("torch.Tensor")
  return Tensor(storage, offset, _integers(shape), _integers(strides))


def _first(value, *unused) -> Any:
  return value


_FROM_TYPE = (
  "torch._tensor._rebuild_from_type",
  "torch._tensor._rebuild_from_type_v2",
)
_BUILDERS: dict[str, Callable[..., Any]] = {
  "torch._utils._rebuild_tensor": _tensor,
  "torch._utils._rebuild_tensor_v2": _tensor,
  "torch._utils._rebuild_parameter": _first,
  "torch._utils._rebuild_parameter_with_state": _first,
  "torch._utils._rebuild_device_tensor_from_numpy": _first,
  "torch.nn.Parameter": _first,
  "torch.nn.parameter.Parameter": _first,
  "numpy.dtype": lambda code, *unused: _Dtype(code),
  **{
    f"numpy.{core}.{name}": function
    for core in ("core", "_core")
    for name, function in (
      ("multiarray._reconstruct", lambda *unused: Array()),
      (
        "numeric._frombuffer",
        lambda data, dtype, shape, order: Array(
          dtype, shape, data, fortran=order == "F"
        ),
      ),
    )
  },
}
