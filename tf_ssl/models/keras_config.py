"""Checks that building a Keras configuration runs none of its code.

Keras' safe mode refuses Lambda layers in `.keras` files only, and allows a
configuration to name any function of any installed module. Here the
configuration is parsed as JSON first and may contain only what is listed below.
"""

import re
from collections.abc import Iterator

import tensorflow as tf

from tf_ssl import errors

# Modules whose classes only compute. Others in keras, such as
# keras.utils.get_file or keras.models.load_model, read and write files.
_MODULES = re.compile(
  r"(tf_)?keras(\.src)?(\.(layers|initializers|regularizers|constraints"
  r"|mixed_precision|engine)(\.\w+)*)?"
)
# Classes of other modules that keras.applications use.
_CLASSES = re.compile(
  r"(tf_)?keras\.src\.applications\.(convnext\.(LayerScale|StochasticDepth)"
  r"|inception_resnet_v2\.CustomScaleLayer)"
  r"|tensorflow\.python\.ops\.init_ops_v2\.[A-Z]\w+"
  # Of Keras 3. Its ops that take functions are in ops.core.
  r"|keras\.src\.models\.(functional\.Functional|sequential\.Sequential)"
  r"|keras\.src\.ops\.(numpy|nn|math|image)\.[A-Z]\w+"
)
_FUNCTIONS = ("activations", "initializers", "regularizers", "constraints")
_OPS = re.compile(
  r"(math|nn|linalg|image|signal|__operators__)\.\w+"
  r"|abs|add|add_n|argmax|broadcast_to|cast|clip_by_value|concat"
  r"|convert_to_tensor|divide|einsum|exp|expand_dims|fill|gather|identity"
  r"|matmul|maximum|minimum|multiply|negative|norm|one_hot|ones_like|pad|pow"
  r"|range|reduce_(max|mean|min|prod|sum)|repeat|reshape|reverse|roll|round"
  r"|shape|sigmoid|slice|split|sqrt|square|squeeze|stack|stop_gradient"
  r"|subtract|tanh|tensordot|tile|transpose|unstack|where|zeros_like"
)
_MAY_RUN = (
  "export the model as a SavedModel (model.export(...)), which stores its "
  "computation as a graph, and give that"
)


def check(config: object, path: str) -> None:
  """Refuses a configuration that could run code or access files.

  Args:
    config: JSON value in any of Keras' formats.
    path: path of the model, the start of an error.

  Raises:
    UsageError: it has a Lambda layer, a class or function from a module other
      than Keras' layers, or a TensorFlow function that may do more than
      compute.
  """
  for node in dicts(config):
    reason = _refused(node)
    if reason:
      raise errors.UsageError(f"{path} {reason}; {_MAY_RUN}")


def dicts(value: object) -> Iterator[dict]:
  """Yields all dicts of a JSON value, outer ones before those inside."""
  waiting = [value]
  while waiting:
    value = waiting.pop()
    if isinstance(value, dict):
      yield value
      waiting.extend(value.values())
    elif isinstance(value, list):
      waiting.extend(value)


def _refused(node: dict) -> str | None:
  """The reason to refuse one dict of a configuration, or None."""
  name = node.get("class_name")
  bare = str(name).rpartition(">")[2]
  coded = [k for k, v in node.items() if k.endswith("_type") and v == "lambda"]
  if bare in ("Lambda", "__lambda__") or coded:
    return "has a Lambda layer, which is Python code that loading would run"
  if bare in (
    "TFOpLambda",
    "ClassMethod",
    "InstanceMethod",
    "TensorFlowOpLayer",
  ):
    inner = node.get("config")
    inner = inner if isinstance(inner, dict) else {}
    op = str(inner.get("function"))
    if bare != "TFOpLambda" or not _OPS.fullmatch(op):
      return f"calls TensorFlow's {bare} {op}, which may do more than compute"
  if name is None or node.get("module") is None:
    return None  # A name that Keras looks up in its registry.
  module = str(node["module"])
  if name == "function":
    function = node.get("config")
    if module == "builtins" or _MODULES.fullmatch(module):
      known = [
        getattr(getattr(tf.keras, part), str(function), None)
        for part in _FUNCTIONS
      ]
      if any(known):
        return None
    return f"names the function {function} of {module}"
  if _CLASSES.fullmatch(f"{module}.{name}"):
    return None
  if not _MODULES.fullmatch(module) or not str(name).isidentifier():
    return f"names {name} of {module}, which is not part of Keras"
  return None
