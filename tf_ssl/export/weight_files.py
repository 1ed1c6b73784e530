"""Reads weights from any file format as named arrays, executing nothing."""

import collections
import contextlib
import functools
import glob
import hashlib
import io
import math
import os
import zipfile
from collections.abc import Iterator

import numpy as np
import safetensors
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tf_ssl import errors
from tf_ssl.export import stored_arrays, tensor_bundle, torch_files
from tf_ssl.ops import workdir

FORMATS = (
  "a PyTorch file (.pth, .pt, .tar, .ckpt, .torch), a .pkl with NumPy arrays, "
  ".npz, .safetensors, or a TensorFlow checkpoint (its prefix, its .index file "
  "or its folder)"
)
# Usual suffixes of such files; `read` does not need them.
SUFFIXES = (
  ".bin .ckpt .npz .pkl .pt .pth .safetensors .tar .torch .index".split()
)
# Starts of files that users give instead of weights.
_STARTS = (
  (b"\x1f\x8b", "are compressed by gzip: unpack them"),
  (b"\x89HDF", "are in HDF5"),
  (b"<", "are a page of the web, perhaps of an error: download them again"),
  (b"version https://git-lfs", "are a pointer of Git LFS: run git lfs pull"),
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
# Arrays that are read may have 16 times the bytes of their file, and 256 MiB.
# Weights are hardly compressible; the rest is for small files and zeros.
_MAX_EXPANSION = 16
_MAX_SMALL_BYTES = 256 << 20
_MAX_NAME = 1000
_MAX_NPY_HEADER = 1 << 16
_NPZ_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

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
  with _boundary(path):
    found = _read(path)
    longest = max(map(len, found), default=0)
    if longest > _MAX_NAME:
      raise ValueError(f"an array has a name of {longest} characters")
  return {
    name: stored_arrays.StoredArray(
      array.shape, functools.partial(_read_array, array, name, path)
    )
    for name, array in found.items()
  }


def _read(path: str) -> Weights:
  prefix = _checkpoint_prefix(path)
  if prefix is not None:
    return _tensorflow_checkpoint(prefix)
  if not os.path.isfile(path):
    problem = "not a file" if os.path.lexists(path) else "no such file"
    if os.path.isdir(path):
      problem = "no checkpoint in it"
    raise errors.UsageError(f"weights {path}: {problem}; expected {FORMATS}")
  if torch_files.is_torch_file(path):
    return torch_files.read(path)
  if torch_files.is_pickle(path):
    return torch_files.read_pickle(path)
  with open(path, "rb") as file:
    start = file.read(512)
  if start.startswith(b"PK"):
    return _npz(path)
  if start[8:9] == b"{":
    return _safetensors(path)
  raise errors.UsageError(f"weights {path} {_kind(start)}; expected {FORMATS}")


def _kind(start: bytes) -> str:
  """What a file without weights is, by its first 512 bytes."""
  if not start:
    return "are empty: copy or download them again"
  if start[257:262] == b"ustar":
    return "are a tar archive: unpack it, and give a file in it"
  return next(
    (text for first, text in _STARTS if start.lstrip().startswith(first)),
    "have an unknown format",
  )


def _read_array(
  array: stored_arrays.StoredArray, name: str, path: str
) -> np.ndarray:
  check_size({name: array}, path)
  with _boundary(path):
    if len(array.shape) > stored_arrays.MAX_RANK:
      raise ValueError(f"{name} has {len(array.shape)} axes")
    values = np.asarray(array.read())
    # NumPy knows bfloat16 from ml_dtypes, which TensorFlow imports.
    if values.dtype.name == stored_arrays.BFLOAT16:
      values = values.astype(np.float32)
    if values.shape != array.shape or values.dtype.kind not in "biuf":
      raise ValueError(
        f"{name}: {values.dtype} {list(values.shape)}, expected numbers of "
        f"shape {list(array.shape)}"
      )
    return values


@contextlib.contextmanager
def _boundary(path: str) -> Iterator[None]:
  """Turns any error of a reader into the UsageError of the file."""
  try:
    yield
  except errors.UsageError:
    raise
  except Exception as error:  # Damage raises nearly any type.
    reason = str(error).strip().splitlines() or [type(error).__name__]
    raise errors.UsageError(
      f"weights {path} cannot be read ({reason[0]}): they are damaged or in "
      f"another format; expected {FORMATS}"
    ) from error


def check_size(weights: Weights, path: str) -> None:
  """Refuses arrays that are far larger than their file, before they are read.

  Args:
    weights: arrays of the file that are to be read.
    path: path of the file.

  Raises:
    UsageError: as float32, they have more than 256 MiB and 16 times the bytes
      of the file, so that the file is damaged or made to fill the memory.
  """
  needed = 4 * sum(math.prod(array.shape) for array in weights.values())
  with _boundary(path):
    size = sum(map(os.path.getsize, _files(path)))
  limit = _MAX_SMALL_BYTES + _MAX_EXPANSION * size
  errors.require(
    needed <= limit,
    f"weights {path}: arrays of {needed} bytes in a file of {size}; expected "
    f"at most {limit}. The file is damaged, or made to fill the memory",
  )


def sha256(path: str) -> str:
  """SHA-256 of a file, or of all files of a TensorFlow checkpoint, in hex."""
  digest = hashlib.sha256()
  for name in _files(path):
    with open(name, "rb") as file:
      while chunk := file.read(1 << 20):
        digest.update(chunk)
  return digest.hexdigest()


def _files(path: str) -> list[str]:
  prefix = _checkpoint_prefix(path)
  return [path] if prefix is None else checkpoint_files(prefix)


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
    with workdir.without_wildcards(path) as readable:
      found = tf.train.latest_checkpoint(readable)
    if found is None or not found.startswith(os.path.join(readable, "")):
      return found
    return os.path.join(path, os.path.relpath(found, readable))
  prefix = path.removesuffix(".index")
  return prefix if os.path.isfile(f"{prefix}.index") else None


def _tensorflow_checkpoint(prefix: str) -> Weights:
  entries = tensor_bundle.entries(prefix)

  def read_one(name: str) -> np.ndarray:
    if name != _GRAPH and not tensor_bundle.is_number(entries[name].dtype):
      raise ValueError(f"{name} has values of {entries[name].dtype.name}")
    # Opened for each array, because the readable path is a temporary one.
    with workdir.without_wildcards(prefix) as readable:
      return tf.train.load_checkpoint(readable).get_tensor(name)

  names = _variable_names(read_one(_GRAPH)) if _GRAPH in entries else {}
  return {
    names.get(name, name.removesuffix(_VARIABLE)): stored_arrays.StoredArray(
      entry.shape, functools.partial(read_one, name)
    )
    for name, entry in sorted(entries.items())
  }


def _variable_names(serialized: bytes) -> dict[str, str]:
  """Descriptive names of variables whose keys are numbers in a list.

  The name is the path to the variable that does not pass through a list of
  variables, which google-research/simclr's SavedModels need. Without such a
  path it is the path of the list and the variable's own name.

  Returns:
    Names by key of the checkpoint.
  """
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  try:
    graph.ParseFromString(serialized)
  except Exception:  # The graph is damaged; the keys are names, too.
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
  # It stays open for the arrays.
  archive = zipfile.ZipFile(path)

  def read_one(name: str) -> np.ndarray:
    with archive.open(name) as file:
      return np.lib.format.read_array(file, allow_pickle=False)

  found = {
    name.removesuffix(".npy"): stored_arrays.StoredArray(
      _npy_shape(archive, name), functools.partial(read_one, name)
    )
    for name in archive.namelist()
    if name.endswith(".npy")
  }
  if not found:
    raise ValueError("a zip archive without arrays")
  return found


def _npy_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
  if archive.getinfo(name).compress_type not in _NPZ_COMPRESSIONS:
    raise ValueError(f"{name} has a compression that NumPy does not write")
  with archive.open(name) as member:
    file = io.BytesIO(member.read(_MAX_NPY_HEADER))
  version = np.lib.format.read_magic(file)
  read_header = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }[version]
  shape, _, dtype = read_header(file)
  if dtype.hasobject:
    raise ValueError(f"{name} has Python objects, which are never loaded")
  # Negative sides would be accepted by NumPy.
  if any(side < 0 for side in shape):
    raise ValueError(f"{name} has the shape {shape}")
  return shape


def _safetensors(path: str) -> Weights:
  # It checks all sizes against the file before it allocates anything.
  file = safetensors.safe_open(path, framework="numpy")

  return {
    name: stored_arrays.StoredArray(
      tuple(file.get_slice(name).get_shape()),
      functools.partial(file.get_tensor, name),
    )
    for name in file.keys()
  }
