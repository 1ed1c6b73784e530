"""Which tensor of an ONNX graph holds the features."""

from tf_ssl import errors

_POOLING = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean")
# Operations that may stand between the features and the scores of classes.
_CLASSIFIER = (
  "Add",
  "Cast",
  "Dropout",
  "Flatten",
  "Gemm",
  "Identity",
  "LogSoftmax",
  "MatMul",
  "Relu",
  "Reshape",
  "Softmax",
  "Squeeze",
)
_DENSE = ("Gemm", "MatMul")


def choose(path: str, layer: str | None) -> tuple[str | bytes, str | None, str]:
  """Finds the features of a model that may end in a classifier.

  Going back from the output through operations that a classifier is made of,
  the first global pooling is read; without one, what the last dense layer is
  given; without that, the output.

  Args:
    path: the ONNX file.
    layer: name of a tensor, "output", or None to choose.

  Returns:
    The model with the tensor among its outputs, as a path or as bytes; the
    tensor's name, None for the only output; why that one.

  Raises:
    UsageError: damaged file, or no such tensor.
  """
  try:
    import onnx
  except ImportError:
    if layer not in (None, "output"):
      return path, layer, "by `layer`"
    return path, None, "the output; to look inside, pip install onnx"
  try:
    graph = onnx.load(path, load_external_data=False).graph
  except Exception as error:  # protobuf's, onnx's own and the disk's
    raise errors.UsageError(
      f"{path} cannot be read as an ONNX file: "
      f"{' '.join(str(error).split())[:300]}"
    ) from error
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
  if tensor not in names:
    raise errors.UsageError(
      f"{path} has no tensor {tensor!r}; expected one of "
      f"{', '.join(names[-12:])} (the last of {len(names)}); change `layer`"
    )
  model = onnx.load(path)  # with the weights that lie beside it
  model.graph.output.append(onnx.ValueInfoProto(name=tensor))
  try:
    return model.SerializeToString(), tensor, chosen
  except ValueError as error:
    raise errors.UsageError(
      f"{path} is too large (2 GiB) to add the output {tensor}; set `layer` to "
      "output, or export the model with that tensor as an output"
    ) from error


def _before_classifier(graph) -> tuple[str, str] | None:
  """The features' name and why, by walking back; None without classifier."""
  makers = {name: node for node in graph.node for name in node.output}
  constants = {tensor.name for tensor in graph.initializer}
  constants |= {
    name
    for node in graph.node
    if node.op_type == "Constant"
    for name in node.output
  }
  tensor, dense = graph.output[0].name, None
  while tensor in makers:
    node = makers[tensor]
    if node.op_type in _POOLING:
      return tensor, "the last global pooling"
    given = [name for name in node.input if name and name not in constants]
    if node.op_type not in _CLASSIFIER or len(given) != 1:
      break
    if node.op_type in _DENSE and dense is None:
      dense = given[0], "before the last dense layer"
    tensor = given[0]
  return dense
