"""Refuses SavedModels whose graph has operations that write files or run code.

TensorFlow runs parts of a graph while it loads it. `SaveV2` is not refused: all
SavedModels have it, in functions that nothing here calls.
"""

from collections.abc import Iterator

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tf_ssl import errors

_REFUSED = (
  "CreateSummaryDbWriter",
  "CreateSummaryFileWriter",
  "EagerPyFunc",
  "PyFunc",
  "PyFuncStateless",
  "WriteFile",
)
_PRINTING = "PrintV2"
_TO_FILE = b"file:"


def check(file: str, path: str) -> None:
  """Reads the graph of a SavedModel and runs nothing of it.

  Args:
    file: path of its saved_model.pb.
    path: path of the SavedModel, for the error.

  Raises:
    UsageError: the graph has such operations.
    Exception: the file cannot be read; protobuf raises many types.
  """
  saved_model = saved_model_pb2.SavedModel()
  with open(file, "rb") as stream:
    saved_model.ParseFromString(stream.read())
  found = sorted({node.op for node in _nodes(saved_model) if _is_refused(node)})
  errors.require(
    not found,
    f"{path} has the operations {', '.join(found)}, which write files or run "
    "Python code; export the model without them",
  )


def _nodes(
  saved_model: saved_model_pb2.SavedModel,
) -> Iterator[node_def_pb2.NodeDef]:
  for meta_graph in saved_model.meta_graphs:
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
      yield from function.node_def


def _is_refused(node: node_def_pb2.NodeDef) -> bool:
  if node.op == _PRINTING:
    return node.attr["output_stream"].s.startswith(_TO_FILE)
  return node.op in _REFUSED
