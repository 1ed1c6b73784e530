"""Reads PyTorch's pickles without PyTorch and without executing them.

A pickle is a program: it names functions, and loading it calls them. Here the
names of PyTorch's functions refer to functions of this module, which only build
tensors. Data classes of known libraries become empty objects, and any other
name is refused. No module is imported.
"""

import collections
import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from tf_ssl import errors

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

# Packages of settings, dates, paths and counters that trainers save with the
# weights. Their names become empty objects of no class of theirs.
_INERT_PACKAGES = (
  "argparse",
  "classy_vision",
  "datetime",
  "lightly",
  "lightning",
  "lightning_fabric",
  "numpy",
  "omegaconf",
  "pathlib",
  "pytorch_lightning",
  "solo",
  "typing",
  "vissl",
)
_INERT = {
  *(
    f"builtins.{name}"
    for name in (
      "bool bytearray bytes complex dict float frozenset int list object "
      "range set slice str tuple"
    ).split()
  ),
  "_codecs.encode",
  "collections.Counter",
  "collections.defaultdict",
  "collections.deque",
  "copyreg._reconstructor",
  "enum.Enum",
  "torch.Size",
  "torch.device",
  *(
    f"torch.{name}"
    for name in (
      "bfloat16 bool float16 float32 float64 int16 int32 int64 int8 strided "
      "uint8"
    ).split()
  ),
  "torch.serialization._get_layout",
  "torch.torch_version.TorchVersion",
  "torch._utils._rebuild_parameter_with_state",
}
# torch.save writes pickles that Python 2 can read.
_PYTHON_2_NAMES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_TENSORS = (
  "torch._utils._rebuild_tensor",
  "torch._utils._rebuild_tensor_v2",
)


class Storage(NamedTuple):
  """Values of one or more tensors.

  Attributes:
    key: name of the storage in the file.
    dtype: NumPy's name of the type of the values, or "bfloat16".
    count: number of values.
    offset: index of the first value in the storage `key`.
  """

  key: str
  dtype: str
  count: int
  offset: int = 0


class Tensor(NamedTuple):
  """A view of a storage, with offset and strides in values."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


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
    Dictionaries, lists, numbers, strings, and `Tensor` for each tensor.

  Raises:
    UsageError: the pickle names a function or class that is not known to be
      data, or it is damaged.
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


class _Unpickler(pickle.Unpickler):
  """Resolves names by the tables above, without imports."""

  def __init__(self, file: BinaryIO, path: str, storages: dict[str, str]):
    super().__init__(file, encoding="latin1")  # Some were written by Python 2.
    self._path = path
    self._storages = storages

  def find_class(self, module: str, name: str) -> Callable:
    module = _PYTHON_2_NAMES.get(module, module)
    full = f"{module}.{name}"
    if module in ("torch", "torch.cuda") and name in _STORAGES:
      return _inert(full, dtype=_STORAGES[name])
    if full in _TENSORS:
      return _function(_tensor)
    if full in ("torch._utils._rebuild_parameter", "torch.nn.Parameter"):
      return _function(lambda tensor, *unused: tensor)
    if full == "collections.OrderedDict":
      return collections.OrderedDict
    if full in _INERT or module.partition(".")[0] in _INERT_PACKAGES:
      return _inert(full)
    about = ""
    if module.startswith("__torch__"):
      about = " (a TorchScript archive: save model.state_dict() instead)"
    raise errors.UsageError(
      f"{self._path} calls {full}, which is not known to be data{about}; "
      "expected tensors, containers, numbers and text, so nothing was loaded. "
      "If you trust the file, save only its state_dict with torch.save, and "
      "import that"
    )

  def persistent_load(self, pid: Any) -> Storage:
    kind, storage, key, _, count, *view = pid
    if kind != "storage" or not hasattr(storage, "dtype"):
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
    self._storages[str(key)] = storage.dtype
    return Storage(str(key), storage.dtype, count, offset)


def _tensor(storage, offset, shape, strides, *unused) -> Tensor:
  if not isinstance(storage, Storage):
    raise errors.UsageError(
      f"a tensor in {type(storage).__name__}, expected a storage; the file is"
      " damaged"
    )
  return Tensor(storage, offset, tuple(shape), tuple(strides))


def _function(function: Callable) -> Callable:
  """Wraps a function so that a pickle can call but not change it."""

  class Function:
    __slots__ = ()

    def __call__(self, *arguments):
      return function(*arguments)

  return Function()


def _inert(full_name: str, **attributes) -> type:
  """Creates a class whose objects store nothing.

  Each use in a pickle gets a new class, because a pickle can set attributes of
  the class.
  """

  def ignore(self, *arguments, **named):
    del self, arguments, named

  members = dict.fromkeys(
    ("__init__", "__setstate__", "__setitem__", "append", "extend", "add"),
    ignore,
  )
  return type(
    full_name,
    (),
    {
      **members,
      "__new__": lambda cls, *arguments, **named: object.__new__(cls),
      "__hash__": lambda self: id(self),
      **attributes,
    },
  )
