"""Reads pickles of PyTorch and NumPy without executing them.

A pickle is a program: it names functions, and loading it calls them. Here a
name is never looked up. The few names that build tensors, arrays and containers
stand for functions of this module, and each call of another name becomes a
`Placeholder`. Files that call functions of the system are refused, although
nothing would run, because no trainer writes them.
"""

import collections
import os
import pickle
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.export import stored_arrays

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
# Names that no data has. They are refused by courtesy: every other name is only
# text, too.
_CODE = re.compile(
  r"(?:posix|nt|os|subprocess|sys|shutil|socket|importlib|runpy|pty|ctypes|"
  r"_?pickle|marshal|code|codeop|webbrowser|commands|__torch__)\..*|"
  r"builtins\.(?:eval|exec|execfile|compile|open|file|__import__|input|"
  r"breakpoint)|_?io\.(?:open|open_code|FileIO)|pathlib\.\w+\.\w+|"
  r"torch\.(?:load|hub\..*)"
)
# torch.save writes pickles that Python 2 can read.
_PYTHON_2_NAMES = {
  "__builtin__": "builtins",
  "cPickle": "pickle",
  "copy_reg": "copyreg",
}
# Each read takes a few bytes of the file and at most about 200 of memory; a
# checkpoint with the names of all ImageNet files makes 7 million reads.
_MAX_READS = 10_000_000
_PLAIN_KEYS = (str, int, float, bool, bytes, type(None))


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


class Placeholder:
  """Result of a call that is not made.

  Attributes:
    name: full name of the class or function.
    entries: (key, value) of the items that were put into it, as into a
      dictionary or list; its state is dropped.
  """

  __slots__ = ("entries", "name")

  def __init__(self, name: str):
    self.name = name
    self.entries = []

  def __setitem__(self, key, value):
    self.entries.append((key, value))

  def append(self, value):
    self[len(self.entries)] = value

  def __repr__(self):
    return self.name


class _Name(NamedTuple):
  """A name in a pickle, such as "torch.FloatStorage"."""

  full: str


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
    array, and a `Placeholder` for each object of another class.

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


class _Source:
  """A file that a pickle can neither read past its end nor too often."""

  def __init__(self, file: BinaryIO):
    self._file = file
    start = file.tell()
    self.left = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    self._reads = 0

  def read(self, count: int) -> bytes:
    self._check(count)
    return self._file.read(count)

  def readline(self) -> bytes:
    line = self._file.readline()
    self._check(len(line))
    return line

  def _check(self, count: int) -> None:
    self.left -= count
    self._reads += 1
    if self.left < 0:
      raise EOFError(f"{count} bytes are wanted, and the file ends before")
    if self._reads > _MAX_READS:
      raise ValueError(f"it has more than {_MAX_READS} parts")


class _Unpickler(pickle._Unpickler):
  """Builds data only.

  It is a subclass of the slower unpickler, which is written in Python: there
  the numbers of memo entries are keys of a dictionary, while the fast one
  allocates an array up to the largest number, of gigabytes for a file of a
  hundred bytes.
  """

  dispatch = dict(pickle._Unpickler.dispatch)

  def __init__(self, file: BinaryIO, path: str, storages: dict[str, str]):
    source = _Source(file)
    super().__init__(source, encoding="latin1")  # Some are of Python 2.
    self._path = path
    self._storages = storages
    self._copied = source.left  # Bytes that calls may still copy.

  def find_class(self, module: str, name: str) -> _Name:
    module = _PYTHON_2_NAMES.get(module, module)
    return self._name(f"{module}.{name}")

  def _name(self, full: str) -> _Name:
    if _CODE.fullmatch(full):
      about = ""
      if full.startswith("__torch__"):
        about = " (a TorchScript archive: save model.state_dict() instead)"
      raise errors.UsageError(
        f"{self._path} calls {full}, which is not known to be data{about}; "
        "expected tensors, containers, numbers and text, so nothing was "
        "loaded. If you trust the file, save only its state_dict with "
        "torch.save, and import that"
      )
    return _Name(full)

  def persistent_load(self, pid: Any) -> Storage:
    kind, storage, key, _, count, *view = pid
    if kind != "storage" or not isinstance(storage, _Name):
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

  def _call(self, function: Any, arguments: Sequence[Any]) -> Any:
    name = function.full if isinstance(function, _Name) else "an object"
    if name == "builtins.getattr":  # A class in a class, or a method.
      owner, attribute = arguments
      if isinstance(owner, _Name):
        return self._name(f"{owner.full}.{attribute}")
    if name == "_codecs.encode":  # Bytes, in pickles that Python 2 can read.
      return self._copy(arguments[0].encode("latin1"))
    if name == "collections.OrderedDict":
      pairs = arguments[0] if arguments else ()
      return collections.OrderedDict(map(_pair, self._copy(pairs)))
    if name in ("torch._tensor._rebuild_from_type", _REBUILD_FROM_TYPE):
      return self._call(arguments[0], arguments[2])  # It has attributes.
    if name in _BUILDERS:
      return _BUILDERS[name](*arguments)
    return Placeholder(name)

  def _copy(self, value: Sequence[Any]) -> Sequence[Any]:
    self._copied -= len(value)
    if self._copied < 0:
      raise ValueError("it copies one value again and again")
    return value

  def _reduce(self):
    arguments = self.stack.pop()
    self.stack[-1] = self._call(self.stack[-1], arguments)

  def _newobj_ex(self):
    self.stack.pop()  # Named arguments.
    self._reduce()

  def _instantiate(self, function, arguments):
    self.append(self._call(function, arguments))

  def _build(self):
    state, value = self.stack.pop(), self.stack[-1]
    if isinstance(value, Array) and len(state) == 5:
      _, shape, dtype, fortran, data = state
      value.__init__(dtype, shape, data, fortran=fortran)
    elif isinstance(value, _Dtype):
      value.big_endian = state[1] == ">"

  def _set_items(self, target, items):
    for key, value in zip(items[::2], items[1::2], strict=True):
      target[_key(key)] = value

  def _setitem(self):
    value, key = self.stack.pop(), self.stack.pop()
    self._set_items(self.stack[-1], [key, value])

  def _setitems(self):
    items = self.pop_mark()
    self._set_items(self.stack[-1], items)

  def _dict(self):
    items, made = self.pop_mark(), {}
    self._set_items(made, items)
    self.append(made)

  def _appends(self):
    for item in self.pop_mark():
      self.stack[-1].append(item)

  def _obj(self):
    function, *arguments = self.pop_mark()
    self._instantiate(function, arguments)

  def _inst(self):
    module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
    self._instantiate(self.find_class(module, name), self.pop_mark())

  def _bytearray8(self):
    [count] = struct.unpack("<Q", self.read(8))
    self.append(self.read(count))

  def _frame(self):
    self.read(8)  # The length is only of use to who reads ahead.

  def _extension(self):
    raise pickle.UnpicklingError("it needs the registry of another program")

  dispatch.update(
    {
      opcode[0]: function
      for opcode, function in (
        (pickle.REDUCE, _reduce),
        (pickle.NEWOBJ, _reduce),
        (pickle.NEWOBJ_EX, _newobj_ex),
        (pickle.OBJ, _obj),
        (pickle.INST, _inst),
        (pickle.BUILD, _build),
        (pickle.DICT, _dict),
        (pickle.SETITEM, _setitem),
        (pickle.SETITEMS, _setitems),
        (pickle.APPENDS, _appends),
        # Sets would hash their items; nothing reads them.
        (pickle.EMPTY_SET, pickle._Unpickler.load_empty_list),
        (pickle.ADDITEMS, _appends),
        (pickle.FROZENSET, pickle._Unpickler.load_list),
        (pickle.BYTEARRAY8, _bytearray8),
        (pickle.FRAME, _frame),
        (pickle.EXT1, _extension),
        (pickle.EXT2, _extension),
        (pickle.EXT4, _extension),
      )
    }
  )


def _key(key: Any) -> Any:
  """A key that can be hashed: Python crashes on tuples nested very deeply."""
  is_plain = type(key) in _PLAIN_KEYS or (
    type(key) is tuple and all(type(part) in _PLAIN_KEYS for part in key)
  )
  return key if is_plain else Placeholder(type(key).__name__)


def _pair(pair: Any) -> tuple[Any, Any]:
  key, value = pair
  return _key(key), value


def _integers(numbers: Any) -> tuple[int, ...]:
  most = stored_arrays.MAX_RANK
  if len(numbers) > most or not all(type(n) is int for n in numbers):
    raise ValueError(
      f"a shape of {len(numbers)} sides; expected at most {most} integers"
    )
  return tuple(numbers)


def _tensor(storage, offset, shape, strides, *others) -> Any:
  if not isinstance(storage, Storage):
    raise errors.UsageError(
      f"a tensor in {getattr(storage, 'name', type(storage).__name__)}, "
      "expected a storage; the file is damaged, or of pickle.dump: write it "
      "with torch.save"
    )
  metadata = others[2] if len(others) > 2 else None
  if storage.dtype is None or metadata:  # Complex, quantized, negated, ...
    return Placeholder("torch.Tensor")
  return Tensor(storage, offset, _integers(shape), _integers(strides))


def _first(value, *unused) -> Any:
  return value


_REBUILD_FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
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
