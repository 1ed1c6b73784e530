"""ONNX files, run by ONNX Runtime (the optional extra `onnx`)."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.models import batch_norms, reader

_POOLING = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean")
_DENSE = ("Gemm", "MatMul")
# Operations that may follow the features in a classifier.
_CLASSIFIER = (
  *_DENSE,
  "Add",
  "Cast",
  "Dropout",
  "Flatten",
  "Identity",
  "LogSoftmax",
  "Relu",
  "Reshape",
  "Softmax",
  "Squeeze",
)
# ONNX' metadata for images -> name in `preprocessing.BY_NAME`.
_RANGES = {
  "NominalRange_0_255": "0..255",
  "Normalized_0_1": "0..1",
  "Normalized_1_1": "-1..1",
}
_RANGE_KEY = "Image.NominalPixelRange"
_ORDER_KEY = "Image.BitmapPixelFormat"
_TYPES = {
  "tensor(float)": np.float32,
  "tensor(float16)": np.float16,
  "tensor(double)": np.float64,
  "tensor(uint8)": np.uint8,
}
# Operations that end a block, first those of networks with shortcuts.
_BLOCK_ENDS = (("Add", "Concat"), ("Relu", "Clip", "HardSwish", "LeakyRelu"))
_FLOATS = (1, 10, 11, 16)  # ONNX' float, float16, double and bfloat16
_PROBE_SIZE = 224  # px; used where the file does not specify a size


def read(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads an ONNX file.

  Args:
    path: path of the file.
    layer: name of a tensor of the graph; None chooses, see `choose_tensor`.
      Tensors that are not outputs need the package `onnx`.

  Raises:
    UsageError: ONNX Runtime is not installed, or the file is damaged, does not
      take images, or has no such tensor.
  """
  try:
    import onnxruntime
  except ImportError:
    raise errors.UsageError(
      f"model {path} needs ONNX Runtime; install it: pip install tf_ssl[onnx]"
    ) from None
  model, tensor, chosen = choose_tensor(path, layer)
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 4  # Only crashes: it raises its errors.
  with reader.reading(
    f"ONNX Runtime {onnxruntime.__version__} cannot load {path}"
  ):
    session = onnxruntime.InferenceSession(
      model, options, providers=onnxruntime.get_available_providers()
    )
  outputs = [output.name for output in session.get_outputs()]
  if tensor is None and len(outputs) == 1:
    tensor = outputs[0]
  if tensor not in outputs:
    problem = (
      f"has no output {tensor!r}" if tensor else "has more than one output"
    )
    raise errors.UsageError(
      f"{path} {problem}; expected one of {', '.join(outputs)} (with the "
      "package onnx installed, any tensor); change `layer`"
    )
  image = _image_input(session, path)
  dtype = _TYPES[image.type]
  first = _channels_first(session, image, dtype, path)
  batch, *sides = _axes(image.shape, first)

  def run(images: np.ndarray, output: str = tensor) -> np.ndarray:
    given = {image.name: _as_input(images, first, dtype)}
    return session.run([output], given)[0]

  return reader.Reader(
    kind="ONNX file",
    run=run,
    layer=tensor,
    layer_chosen=chosen,
    digest=reader.path_digest(path),
    image_size=reader.fixed_size(*sides),
    batch_size=batch if isinstance(batch, int) and batch > 0 else None,
    channels_first=first,
    is_numpy=True,
    batch_norms=lambda: _batch_norms(
      path,
      lambda images: {image.name: _as_input(images, first, dtype)},
      batch if isinstance(batch, int) and batch > 0 else None,
    ),
    class_scores=(
      (lambda images: run(images, outputs[0]))
      if _is_classifier(path, outputs[0])
      else None
    ),
    layers=_layers(
      path,
      tensor,
      lambda images: {image.name: _as_input(images, first, dtype)},
    ),
    **_preprocessing(session, dtype),
  )


def _layers(
  path: str,
  last: str,
  as_feeds: Callable[[np.ndarray], dict[str, np.ndarray]],
) -> reader.Layers | None:
  """The ends of the blocks up to the features; None without `onnx`.

  Args:
    path: path of a file that can be read.
    last: name of the tensor with the features.
    as_feeds: preprocessed images [B, H, W, 3] -> inputs of the graph by name.
  """
  try:
    import onnx
  except ImportError:
    return None
  import onnxruntime

  graph = _checked_graph(path)
  constants = {tensor.name for tensor in graph.initializer}
  kinds = [
    (node.output[0], node.op_type)
    for node in _needed_for(graph, [last])
    if node.op_type != "Constant"
    # A bias is added to the result of the layer before it.
    and not (node.op_type == "Add" and constants & {*node.input})
  ]

  def run(names):
    with _reading(path):
      model = onnx.load(path)
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(
      onnx.ValueInfoProto(name=name) for name in names if name not in there
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
      model.SerializeToString(),
      options,
      providers=onnxruntime.get_available_providers(),
    )
    return lambda images: session.run(list(names), as_feeds(images))

  return reader.Layers(reader.block_ends(kinds, _BLOCK_ENDS), run)


def choose_tensor(
  path: str, layer: str | None
) -> tuple[str | bytes, str | None, str]:
  """Finds the features of a model that may end in a classifier.

  Walks back from the output through the operations of a classifier to the last
  global pooling; without one, takes the input of the last dense layer; without
  that, the output.

  Args:
    path: path of the ONNX file.
    layer: name of a tensor, "output", or None to choose.

  Returns:
    The model with the tensor among its outputs, as a path or as bytes; the name
    of the tensor, None for the only output; the reason for it.

  Raises:
    UsageError: damaged file, or no such tensor.
  """
  try:
    import onnx
  except ImportError:
    if layer not in (None, "output"):
      return path, layer, "by `layer`"
    return path, None, "the output; to look inside, pip install onnx"
  graph = _checked_graph(path)
  outputs = [output.name for output in graph.output]
  if layer == "output":
    return path, None, "by `layer`"
  if layer is None:
    found = _before_classifier(graph) if len(outputs) == 1 else None
    if found is None:
      return path, None, "the model ends without a classifier"
    tensor, chosen = found
  else:
    tensor, chosen = layer, "by `layer`"
  if tensor in outputs:
    return path, tensor, chosen
  names = [name for node in graph.node for name in node.output]
  errors.require(
    tensor in names,
    f"{path} has no tensor {tensor!r}; expected one of "
    f"{', '.join(names[-12:])} (the last of {len(names)}); change `layer`",
  )
  with _reading(path):
    model = onnx.load(path)  # With the weights in files next to it.
  model.graph.output.append(onnx.ValueInfoProto(name=tensor))
  try:
    return model.SerializeToString(), tensor, chosen
  except ValueError as error:
    raise errors.UsageError(
      f"{path} is larger than 2 GiB, so that the output {tensor} cannot be "
      "added; set `layer` to output, or export the model with that tensor as "
      "an output"
    ) from error


def _batch_norms(
  path: str,
  as_feeds: Callable[[np.ndarray], dict[str, np.ndarray]],
  batch_size: int | None,
) -> batch_norms.BatchNorms | None:
  """The first batch-norm layers; None without any, or without `onnx`.

  Args:
    path: path of a file that can be read.
    as_feeds: preprocessed images [B, H, W, 3] -> inputs of the graph by name.
    batch_size: number of images that the graph requires; None for any.
  """
  try:
    import onnx
  except ImportError:
    return None
  import onnxruntime

  with _reading(path):
    model = onnx.load(path)
  graph = model.graph
  constants = {tensor.name: tensor for tensor in graph.initializer}
  nodes = [
    node
    for node in graph.node
    if node.op_type == "BatchNormalization"
    and {*node.input[3:5]} <= {*constants}
  ][: batch_norms.NUM_LAYERS]
  if not nodes:
    return None
  remembered = [
    batch_norms.Moments(
      *(
        onnx.numpy_helper.to_array(constants[name]).astype(np.float64)
        for name in node.input[3:5]
      )
    )
    for node in nodes
  ]
  # Only what these layers need runs, and it has no layer to fuse them with.
  needed = _needed_for(graph, [node.input[0] for node in nodes])
  outputs = [f"tf_ssl/{i}" for i in range(len(nodes))]
  needed += [
    onnx.helper.make_node("Identity", [node.input[0]], [output])
    for node, output in zip(nodes, outputs, strict=True)
  ]
  del graph.node[:], graph.output[:]
  graph.node.extend(needed)
  graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 4
  session = onnxruntime.InferenceSession(
    model.SerializeToString(),
    options,
    providers=onnxruntime.get_available_providers(),
  )

  def measure(images: np.ndarray) -> list[batch_norms.Moments]:
    return [
      batch_norms.moments(maps, axis=1)
      for maps in session.run(outputs, as_feeds(images))
    ]

  return batch_norms.BatchNorms(remembered, measure, batch_size)


def _needed_for(graph: Any, tensors: Iterable[str]) -> list[Any]:
  """The nodes that tensors depend on, in the order of the graph."""
  wanted, needed = set(tensors), []
  for node in reversed(graph.node):  # ONNX' graphs are sorted.
    if wanted & {*node.output}:
      wanted |= {*node.input}
      needed.append(node)
  return needed[::-1]


def _checked_graph(path: str) -> Any:
  """The graph of a file, without the weights in other files."""
  import onnx

  with _reading(path):
    graph = onnx.load(path, load_external_data=False).graph
    names = [
      name for node in graph.node for name in (*node.input, *node.output)
    ]
    errors.require(  # A damaged name is not UTF-8, and comes as bytes.
      all(isinstance(name, str) for name in names),
      f"{path} has names of tensors that are no text; the file is damaged",
    )
    for tensor in _tensors(graph):
      _check_location(tensor, path)
    folder = os.path.dirname(path)
    reader.check_numbers(
      path,
      (
        (tensor.name, onnx.numpy_helper.to_array(tensor, folder))
        for tensor in _tensors(graph)
        if tensor.data_type in _FLOATS
      ),
    )
  return graph


def _reading(path: str) -> contextlib.AbstractContextManager[None]:
  return reader.reading(f"{path} cannot be read as an ONNX file")


def _tensors(graph: Any) -> Iterator[Any]:
  """Constants of a graph and of the graphs inside it."""
  yield from graph.initializer
  for each in graph.sparse_initializer:
    yield from (each.values, each.indices)
  for node in graph.node:
    for attribute in node.attribute:
      yield from (attribute.t, *attribute.tensors)
      for inner in (attribute.g, *attribute.graphs):
        yield from _tensors(inner)


def _check_location(tensor: Any, path: str) -> None:
  """Refuses a tensor whose values are in a file outside the model's folder."""
  for entry in tensor.external_data:
    location = entry.value.replace("\\", "/")
    errors.require(
      entry.key != "location"
      or not (os.path.isabs(location) or ".." in location.split("/")),
      f"{path} has the values of {tensor.name!r} in {entry.value!r}; expected "
      "a file in the folder of the model; export the model again",
    )


def _before_classifier(graph) -> tuple[str, str] | None:
  """The features' name and the reason; None without a classifier."""
  makers = {name: node for node in graph.node for name in node.output}
  known = set(makers)
  constants = {tensor.name for tensor in graph.initializer}
  constants |= {
    name
    for node in graph.node
    if node.op_type == "Constant"
    for name in node.output
  }
  tensor, dense = graph.output[0].name, None
  while tensor in makers:
    node = makers.pop(tensor)  # A damaged graph may have a loop.
    if node.op_type in _POOLING:
      return tensor, "the last global pooling"
    given = [name for name in node.input if name and name not in constants]
    if node.op_type not in _CLASSIFIER or len(given) != 1:
      break
    if node.op_type in _DENSE and dense is None:
      dense = given[0], "before the last dense layer"
    tensor = given[0]
  if dense is not None and dense[0] not in known:
    return None  # The layer reads the images.
  return dense


def _is_classifier(path: str, output: str) -> bool:
  """Whether an output is that of a dense layer; False without `onnx`."""
  try:
    import onnx
  except ImportError:
    return False
  with _reading(path):
    graph = onnx.load(path, load_external_data=False).graph
  makers = {name: node for node in graph.node for name in node.output}
  while output in makers:
    node = makers.pop(output)
    if node.op_type in _DENSE:
      return True
    if node.op_type not in _CLASSIFIER:
      return False
    output = next((name for name in node.input if name in makers), "")
  return False


def _image_input(session: Any, path: str) -> Any:
  """The only input; UsageError unless it can be images."""
  inputs = session.get_inputs()
  found = "; ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
  errors.require(
    len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].type in _TYPES,
    f"{path} takes {found}; expected one input, images of rank 4",
  )
  return inputs[0]


def _channels_first(session: Any, image: Any, dtype: type, path: str) -> bool:
  """Whether images are [B, 3, H, W]: by the shape, otherwise by a test run."""
  if (image.shape[1] == 3) != (image.shape[3] == 3):
    return image.shape[1] == 3
  for first in (True, False):
    batch, *sides = _axes(image.shape, first)
    sizes = [s if isinstance(s, int) else _PROBE_SIZE for s in [batch, *sides]]
    sizes[0] = batch if isinstance(batch, int) else 1
    try:
      reader.check_pixels(path, *sizes)
      session.run(
        None, {image.name: _as_input(np.zeros([*sizes, 3]), first, dtype)}
      )
    except Exception:  # ONNX Runtime's errors share no base class.
      continue
    return first
  raise errors.UsageError(
    f"{path} takes {image.shape} and runs neither on [B, 3, H, W] nor on "
    "[B, H, W, 3]; expected images of three channels"
  )


def _axes(shape: list, channels_first: bool) -> list:
  """Batch size, height and width of an input's shape."""
  return [shape[axis] for axis in ((0, 2, 3) if channels_first else (0, 1, 2))]


def _as_input(
  images: np.ndarray, channels_first: bool, dtype: type
) -> np.ndarray:
  """[B, H, W, 3] -> the layout and type of the input."""
  if channels_first:
    images = images.transpose(0, 3, 1, 2)
  if dtype == np.uint8:
    images = np.rint(images)
  return np.ascontiguousarray(images, dtype)


def _preprocessing(session: Any, dtype: type) -> dict:
  """The preprocessing that the file specifies, as fields of `Reader`."""
  if dtype == np.uint8:
    return {
      "preprocessing": "0..255",
      "preprocessing_chosen": "its images are uint8",
      "preprocessing_is_known": True,
    }
  metadata = session.get_modelmeta().custom_metadata_map
  stated = _RANGES.get(metadata.get(_RANGE_KEY, ""))
  if stated is None or metadata.get(_ORDER_KEY, "Rgb8") != "Rgb8":
    return {}
  return {
    "preprocessing": stated,
    "preprocessing_chosen": f"{_RANGE_KEY} in the file",
  }
