"""Weights of any file format, as named arrays; nothing in a file is run."""

import collections
import hashlib
import json
import os
import struct
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tf_ssl import errors
from tf_ssl.export import stored_arrays, torch_files

FORMATS = (
  "a PyTorch file (.pth, .pt, .tar, .ckpt, .torch), .npz, .safetensors, or a "
  "TensorFlow checkpoint (its prefix, its .index file or its folder)"
)
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"
# What TensorFlow, Keras and exporters call lists of variables.
_LISTS = (
  "variables",
  "trainable_variables",
  "non_trainable_variables",
  "trainable_variables_list",
)
_MAX_HEADER = 100 << 20  # bytes; the safetensors library's own limit
_SAFETENSORS = {
  "BF16": "bfloat16",
  "BOOL": "bool",
  "F16": "float16",
  "F32": "float32",
  "F64": "float64",
  "I16": "int16",
  "I32": "int32",
  "I64": "int64",
  "I8": "int8",
  "U8": "uint8",
}

Weights = dict[str, stored_arrays.StoredArray]


def read(path: str) -> Weights:
  """Lists the arrays of a file by their names; values are read when asked for.

  Args:
    path: see `FORMATS`. The content decides, not the suffix. In a TensorFlow
      checkpoint names are paths of objects, such as "model/conv/kernel". A
      variable that lies in a list alone has its own name after the list's path.

  Raises:
    UsageError: not there, of no known format, damaged, or (a pickle) with
      functions inside.
  """
  prefix = _checkpoint_prefix(path)
  if prefix is not None:
    return _tensorflow_checkpoint(prefix)
  if not os.path.isfile(path):
    problem = "no checkpoint in it" if os.path.isdir(path) else "not there"
    raise errors.UsageError(f"weights {path}: {problem}; expected {FORMATS}")
  if torch_files.is_torch_file(path):
    return torch_files.read(path)
  with open(path, "rb") as file:
    start = file.read(9)
  if start.startswith(b"PK"):
    return _npz(path)
  if start[8:9] == b"{":
    return _safetensors(path)
  raise errors.UsageError(
    f"weights {path} are of no known format; expected {FORMATS}"
  )


def sha256(path: str) -> str:
  """Digest of a file, or of a TensorFlow checkpoint's files in turn."""
  prefix = _checkpoint_prefix(path)
  files = [path] if prefix is None else checkpoint_files(prefix)
  digest = hashlib.sha256()
  for name in files:
    with open(name, "rb") as file:
      while chunk := file.read(1 << 20):
        digest.update(chunk)
  return digest.hexdigest()


def checkpoint_files(prefix: str) -> list[str]:
  """The files of a TensorFlow checkpoint: its index, then its data."""
  return [f"{prefix}.index", *sorted(tf.io.gfile.glob(f"{prefix}.data-*"))]


def _checkpoint_prefix(path: str) -> str | None:
  if os.path.isdir(path):
    inside = os.path.join(path, "variables", "variables")
    if os.path.isfile(f"{inside}.index"):
      return inside
    return tf.train.latest_checkpoint(path)
  prefix = path.removesuffix(".index")
  return prefix if os.path.isfile(f"{prefix}.index") else None


def _tensorflow_checkpoint(prefix: str) -> Weights:
  try:
    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise _damaged(prefix, error) from error

  def read_one(name: str) -> Callable[[], np.ndarray]:
    def read_it():
      try:
        return reader.get_tensor(name)
      except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise _damaged(prefix, error) from error

    return read_it

  names = _variable_names(reader) if _GRAPH in shapes else {}
  return {
    names.get(name, name.removesuffix(_VARIABLE)): stored_arrays.StoredArray(
      tuple(shape), read_one(name)
    )
    for name, shape in sorted(shapes.items())
  }


def _variable_names(reader) -> dict[str, str]:
  """For variables that are numbers in a list, better names.

  That is their place in the object that was saved, where lists of variables are
  passed over, as google-research/simclr's SavedModels need it; else the
  variable's own name after the path of the list.
  """
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  try:
    graph.ParseFromString(reader.get_tensor(_GRAPH))
  except (message.DecodeError, tf.errors.OpError, TypeError):
    return {}
  places = _places(graph)
  names = {}
  for number, node in enumerate(graph.nodes):
    for attribute in node.attributes:
      folder, _, last = attribute.checkpoint_key.removesuffix(
        _VARIABLE
      ).rpartition("/")
      if last.isdigit():
        name = places.get(number)
        if name is None and attribute.full_name:
          name = f"{folder}/{attribute.full_name}"
        if name is not None:
          names[attribute.checkpoint_key] = name
  return names if len(set(names.values())) == len(names) else {}


def _places(graph) -> dict[int, str]:
  """Number of each node -> the shortest path to it that is not by a list."""
  places, waiting = {0: ""}, collections.deque([0])
  while waiting:
    number = waiting.popleft()
    if number >= len(graph.nodes):
      continue  # a damaged graph
    for child in graph.nodes[number].children:
      if child.node_id not in places and child.local_name not in _LISTS:
        path = f"{places[number]}/{child.local_name}".lstrip("/")
        places[child.node_id] = path
        waiting.append(child.node_id)
  return {
    number: path
    for number, path in places.items()
    if not path.rpartition("/")[2].isdigit()
  }


def _npz(path: str) -> Weights:
  try:
    with np.load(path, allow_pickle=False) as archive:
      return {
        name: stored_arrays.in_memory(archive[name]) for name in archive.files
      }
  except Exception as error:  # of zipfile, of the parser of headers, ...
    raise _damaged(path, error) from error


def _safetensors(path: str) -> Weights:
  """The format: length of the header, header in JSON, values."""
  with open(path, "rb") as file:
    [length] = struct.unpack("<Q", file.read(8))
    header = file.read(length) if length <= _MAX_HEADER else b""
  try:
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    return {
      name: _safetensor(path, 8 + length, **entry)
      for name, entry in entries.items()
    }
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise _damaged(path, error) from error


def _safetensor(
  path: str, values: int, *, dtype: str, shape: list, data_offsets: list
) -> stored_arrays.StoredArray:
  name = _SAFETENSORS[dtype]
  begin, end = data_offsets
  if not all(type(n) is int for n in (begin, end)) or not 0 <= begin <= end:
    raise ValueError(f"values from {begin} to {end}")
  strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]

  def read_it() -> np.ndarray:
    with open(path, "rb") as file:
      file.seek(values + begin)
      data = file.read(end - begin)
    if len(data) != end - begin:
      raise _damaged(path, "it is cut short")
    return stored_arrays.strided(
      data, name, offset=0, shape=shape, strides=strides
    )

  return stored_arrays.StoredArray(tuple(shape), read_it)


def _damaged(path: str, error: object) -> errors.UsageError:
  return errors.UsageError(
    f"weights {path} cannot be read ({error}); they are damaged, or of another "
    f"format than {FORMATS}"
  )
