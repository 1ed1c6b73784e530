"""Reads a pickle as data: no name is looked up, and nothing is called.

A pickle is a program: it names functions, and loading it calls them. Here a
name is only text, and each call becomes a `Placeholder`, or what a subclass
builds. Files that call functions of the system are refused, although nothing
would run, because no trainer writes them.
"""

import collections
import os
import pickle
import re
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

from tf_ssl import errors

# Names that no data has. They are refused by courtesy: every other name is only
# text, too.
_CODE = re.compile(
  r"(?:posix|nt|os|subprocess|sys|shutil|socket|importlib|runpy|pty|ctypes|"
  r"_?pickle|marshal|webbrowser|__torch__)\..*|"
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


class Name(NamedTuple):
  """A name in a pickle, such as "torch.FloatStorage"."""

  full: str


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


class Unpickler(pickle._Unpickler):
  """Builds containers, numbers and text; `call` may build more.

  `load` raises UsageError for a name of the system, and any other exception for
  damage.

  The base class is the slower unpickler, which is written in Python: there the
  numbers of memo entries are keys of a dictionary, while the fast one allocates
  an array up to the largest number, of gigabytes for a file of a hundred bytes.
  """

  dispatch = dict(pickle._Unpickler.dispatch)

  def __init__(self, file: BinaryIO, path: str):
    """Opens a pickle.

    Args:
      file: file whose position is the start of the pickle.
      path: path of the file, for errors.
    """
    source = _Source(file)
    super().__init__(source, encoding="latin1")  # Some are of Python 2.
    self._path = path
    self._copied = source.left  # Bytes that calls may still copy.

  def find_class(self, module: str, name: str) -> Name:
    """The name itself; nothing is imported."""
    module = _PYTHON_2_NAMES.get(module, module)
    return self._name(f"{module}.{name}")

  def _name(self, full: str) -> Name:
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
    return Name(full)

  def call(self, name: str, arguments: Sequence[Any]) -> Any:
    """What stands for the result of a call, by default a `Placeholder`."""
    del arguments
    return Placeholder(name)

  def set_state(self, value: Any, state: Any) -> None:
    """Gives a result of `call` its state, which is dropped by default."""

  def apply(self, function: Any, arguments: Sequence[Any]) -> Any:
    """What stands for the result of a call of a `Name` or another value."""
    name = function.full if isinstance(function, Name) else "an object"
    if name == "builtins.getattr":  # A class in a class, or a method.
      owner, attribute = arguments
      if isinstance(owner, Name):
        return self._name(f"{owner.full}.{attribute}")
    if name == "_codecs.encode":  # Bytes, in pickles that Python 2 can read.
      return self._copy(arguments[0].encode("latin1"))
    if name == "collections.OrderedDict":
      pairs = arguments[0] if arguments else ()
      return collections.OrderedDict(map(_pair, self._copy(pairs)))
    return self.call(name, arguments)

  def _copy(self, value: Sequence[Any]) -> Sequence[Any]:
    self._copied -= len(value)
    if self._copied < 0:
      raise ValueError("it copies one value again and again")
    return value

  def _reduce(self):
    arguments = self.stack.pop()
    self.stack[-1] = self.apply(self.stack[-1], arguments)

  def _newobj_ex(self):
    self.stack.pop()  # Named arguments.
    self._reduce()

  def _instantiate(self, function, arguments):
    self.append(self.apply(function, arguments))

  def _build(self):
    state = self.stack.pop()
    self.set_state(self.stack[-1], state)

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
