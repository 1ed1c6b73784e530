"""Reads weights from any file format as named arrays, executing nothing."""

import collections
import functools
import glob
import hashlib
import os
from collections.abc import Callable

import numpy as np
import safetensors
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
# Names of lists of variables in TensorFlow, Keras and exporters.
_LISTS = (
  "variables",
  "trainable_variables",
  "non_trainable_variables",
  "trainable_variables_list",
)
# AttributeError and TypeError are raised for types that NumPy lacks.
_SAFETENSORS_ERRORS = (
  safetensors.SafetensorError,
  OSError,
  AttributeError,
  TypeError,
)

Weights = dict[str, stored_arrays.StoredArray]


def read(path: str) -> Weights:
  """Lists the arrays of a file by name, without reading their values.

  Args:
    path: file or folder in one of `FORMATS`, recognized by its content.

  Returns:
    Arrays by name. The names in a TensorFlow checkpoint are paths of objects,
    such as "model/conv/kernel"; the name of a variable that is only in a list
    is the path of the list and the variable's own name.

  Raises:
    UsageError: the file is missing, damaged, of an unknown format, or a pickle
      that calls functions.
  """
  prefix = _checkpoint_prefix(path)
  if prefix is not None:
    return _tensorflow_checkpoint(prefix)
  if not os.path.isfile(path):
    problem = "no checkpoint in it" if os.path.isdir(path) else "no such file"
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
    f"weights {path} have an unknown format; expected {FORMATS}"
  )


def sha256(path: str) -> str:
  """SHA-256 of a file, or of all files of a TensorFlow checkpoint, in hex."""
  prefix = _checkpoint_prefix(path)
  files = [path] if prefix is None else checkpoint_files(prefix)
  digest = hashlib.sha256()
  for name in files:
    with open(name, "rb") as file:
      while chunk := file.read(1 << 20):
        digest.update(chunk)
  return digest.hexdigest()


def checkpoint_files(prefix: str) -> list[str]:
  """Files of a TensorFlow checkpoint: the index, then the data."""
  return [
    f"{prefix}.index",
    *sorted(glob.glob(f"{glob.escape(prefix)}.data-*")),
  ]


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
  """Descriptive names of variables whose keys are numbers in a list.

  The name is the path to the variable that does not pass through a list of
  variables, which google-research/simclr's SavedModels need. Without such a
  path it is the path of the list and the variable's own name.

  Returns:
    Names by key of the checkpoint.
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
  """Shortest path to each node, by number, that avoids lists of variables."""
  places, waiting = {0: ""}, collections.deque([0])
  while waiting:
    number = waiting.popleft()
    if number >= len(graph.nodes):
      continue  # The graph is damaged.
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
  except Exception as error:  # Of zipfile, of the header's parser, ...
    raise _damaged(path, error) from error


def _safetensors(path: str) -> Weights:
  try:
    # It checks all sizes against the file before it allocates anything.
    file = safetensors.safe_open(path, framework="numpy")
    shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
  except _SAFETENSORS_ERRORS as error:
    raise _damaged(path, error) from error

  def read_one(name: str) -> np.ndarray:
    try:
      # NumPy knows bfloat16 from ml_dtypes, which TensorFlow imports.
      array = file.get_tensor(name)
    except _SAFETENSORS_ERRORS as error:
      raise _damaged(path, f"{name}: {error}") from error
    is_bfloat16 = array.dtype.name == stored_arrays.BFLOAT16
    return array.astype(np.float32) if is_bfloat16 else array

  return {
    name: stored_arrays.StoredArray(
      tuple(shape), functools.partial(read_one, name)
    )
    for name, shape in shapes.items()
  }


def _damaged(path: str, error: object) -> errors.UsageError:
  return errors.UsageError(
    f"weights {path} cannot be read ({error}): they are damaged or in another "
    f"format; expected {FORMATS}"
  )
