"""What PyTorch pickles, read without PyTorch and without running anything.

A pickle is a program: it names functions, and loading calls them. Here the
names stand for our own functions, which build tensors and nothing else; data
carriers of known libraries become empty objects; any other name is refused. No
module is imported.
"""

import collections
import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from tf_ssl import errors

# Class of a storage -> NumPy's name of what it holds.
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

# What trainers put beside the weights: settings, dates, paths, counters. Their
# names make empty objects here, of no class of theirs.
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
  """The values that tensors lie in.

  Attributes:
    key: its name in the file.
    dtype: NumPy's name of their type, or "bfloat16".
    count: number of values.
    offset: index of the first value in the storage `key`.
  """

  key: str
  dtype: str
  count: int
  offset: int = 0


class Tensor(NamedTuple):
  """A view of a storage; offset and strides count values."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def load(
  file: BinaryIO, path: str, storages: dict[str, str] | None = None
) -> Any:
  """Reads one pickle.

  Args:
    file: stands at its beginning; afterwards behind it.
    path: for messages.
    storages: takes the key and the type of each storage that is named.

  Returns:
    Dictionaries, lists, numbers, strings, and `Tensor` for each tensor.

  Raises:
    UsageError: it names a function or class that is not known to be data, or
      is damaged.
  """
  try:
    return _Unpickler(file, path, {} if storages is None else storages).load()
  except errors.UsageError:
    raise
  except Exception as error:  # damage shows as nearly any exception
    raise errors.UsageError(
      f"{path} cannot be read as a PyTorch file ("
      f"{type(error).__name__}: {error}); it is damaged, or of another format"
    ) from error


class _Unpickler(pickle.Unpickler):
  """Knows names by the tables above, and imports nothing."""

  def __init__(self, file: BinaryIO, path: str, storages: dict[str, str]):
    super().__init__(file, encoding="latin1")  # Python 2 wrote some of them
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
      f"{self._path} asks for {full}, which is not known to be data"
      f"{about}; a checkpoint may hold tensors, containers, numbers and text, "
      "so nothing of it was loaded. If you trust the file, save only its "
      "state_dict with torch.save, and import that"
    )

  def persistent_load(self, pid: Any) -> Storage:
    kind, storage, key, _, count, *view = pid
    if kind != "storage" or not hasattr(storage, "dtype"):
      raise errors.UsageError(
        f"{self._path} holds {kind!r}, expected tensors; save model.state_dict"
        "() instead of the model"
      )
    offset = 0
    if view and view[0] is not None:  # files of before 1.6 share storages so
      _, offset, count = view[0]
    if not all(type(n) is int and n >= 0 for n in (count, offset)):
      raise errors.UsageError(
        f"{self._path}: a storage of {count} values from {offset} on; the file "
        "is damaged"
      )
    self._storages[str(key)] = storage.dtype
    return Storage(str(key), storage.dtype, count, offset)


def _tensor(storage, offset, shape, strides, *unused) -> Tensor:
  if not isinstance(storage, Storage):
    raise errors.UsageError(
      f"a tensor lies in {type(storage).__name__}, expected a storage; the file"
      " is damaged"
    )
  return Tensor(storage, offset, tuple(shape), tuple(strides))


def _function(function: Callable) -> Callable:
  """A callable that a pickle can call but not change."""

  class Function:
    __slots__ = ()

    def __call__(self, *arguments):
      return function(*arguments)

  return Function()


def _inert(full_name: str, **attributes) -> type:
  """A class whose objects keep nothing; one for each use in a pickle.

  Its own for each, since a pickle may set attributes of what it names.
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
