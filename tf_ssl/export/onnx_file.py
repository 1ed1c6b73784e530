"""An encoder as an ONNX file, written node by node.

tf2onnx would need another protobuf than TensorFlow 2.15, and turns PyTorch's
padding into separate nodes; a ResNet is eight kinds of nodes.
"""

import numpy as np

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.export import foreign_resnet, torchvision_names
from tf_ssl.ops import pixels

_OPSET = 17
_IR_VERSION = 8  # of onnx 1.12, the first with opset 17


def write(
  encoder: resnet.ResNet, difference: foreign_resnet.Difference, path: str
) -> None:
  """Writes the network in inference, preprocessing inside.

  The file takes `images` [B, 3, H, W] float32, RGB, 0..255, of any number and
  size, and gives `features` [B, D].

  Args:
    encoder: a built ResNet.
    difference: its difference from torchvision's network.
    path: of the file.

  Raises:
    UsageError: the package onnx is not installed.
  """
  try:
    import onnx
  except ImportError:
    raise errors.UsageError(
      "writing .onnx needs the package onnx: pip install tf_ssl[onnx]"
    ) from None
  graph = _Graph(onnx, torchvision_names.state_dict(encoder))
  _stem(graph, encoder, difference)
  for stage, blocks in enumerate(encoder.stages, 1):
    for number, block in enumerate(blocks):
      _residual(graph, block, f"layer{stage}.{number}.")
  graph.add("ReduceMean", axes=[2, 3], keepdims=0, output="features")
  value = onnx.helper.make_tensor_value_info
  floats = onnx.TensorProto.FLOAT
  model = onnx.helper.make_model(
    onnx.helper.make_graph(
      graph.nodes,
      "encoder",
      [value("images", floats, ["B", 3, "H", "W"])],
      [value("features", floats, ["B", encoder.feature_size])],
      graph.constants,
    ),
    opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
    ir_version=_IR_VERSION,
    producer_name="tf_ssl",
  )
  onnx.helper.set_model_props(
    model,
    {
      "Image.BitmapPixelFormat": "Rgb8",
      "Image.NominalPixelRange": "NominalRange_0_255",
    },
  )
  onnx.checker.check_model(model)
  onnx.save(model, path)


class _Graph:
  """Nodes in turn; each is given the last one's output, unless told."""

  def __init__(self, onnx, weights):
    self._onnx = onnx
    self._weights = weights
    self.nodes = []
    self.constants = []
    self.last = "images"

  def add(self, kind, *others, given=None, output=None, **attributes):
    """Adds a node; returns the name of its output."""
    output = output or f"{kind.lower()}_{len(self.nodes)}"
    self.nodes.append(
      self._onnx.helper.make_node(
        kind, [given or self.last, *others], [output], **attributes
      )
    )
    self.last = output
    return output

  def constant(self, name, array):
    """Adds an array, and returns its name."""
    array = np.asarray(array, np.float32)
    self.constants.append(self._onnx.numpy_helper.from_array(array, name))
    return name

  def convolution(self, layer, norm, *, stride, given=None, padding=None):
    """Adds the layers that torchvision calls `layer` and `norm`."""
    kernel = self._weights[f"{layer}.weight"]
    padding = kernel.shape[2] // 2 if padding is None else padding
    self.add(
      "Conv",
      self.constant(f"{layer}.weight", kernel),
      given=given,
      strides=[stride] * 2,
      pads=[padding] * 4,
    )
    names = [f"{norm}.{n}" for n in _NORM]
    return self.add(
      "BatchNormalization",
      *(self.constant(name, self._weights[name]) for name in names),
      epsilon=batch_norm.EPSILON,
    )


_NORM = ("weight", "bias", "running_mean", "running_var")


def _stem(graph, encoder, difference) -> None:
  mean, deviation = pixels.IMAGENET_MEAN, pixels.IMAGENET_STD
  if difference.unit_range:
    mean, deviation = [0.0] * 3, [255.0] * 3
  for kind, name, values in (
    ("Sub", "mean", mean),
    ("Div", "standard_deviation", deviation),
  ):
    graph.add(kind, graph.constant(name, np.reshape(values, [1, 3, 1, 1])))
  is_small = encoder.stem == "small"
  graph.convolution(
    "conv1",
    "bn1",
    stride=1 if is_small else 2,
    padding=difference.stem_padding if is_small else None,
  )
  if difference.stem_relu:
    graph.add("Relu")
  if not is_small:
    same = {"auto_pad": "SAME_UPPER"}
    padding = same if difference.same_max_pool else {"pads": [1] * 4}
    graph.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], **padding)


def _residual(graph, block, prefix) -> None:
  entry = graph.last
  shortcut = entry
  if block.shortcut is not None:
    shortcut = graph.convolution(
      f"{prefix}downsample.0",
      f"{prefix}downsample.1",
      stride=block.shortcut.strides[0],
    )
  last = len(block.convolutions)
  for i, layer in enumerate(block.convolutions, 1):
    graph.convolution(
      f"{prefix}conv{i}",
      f"{prefix}bn{i}",
      stride=layer.strides[0],
      given=entry if i == 1 else None,
    )
    if i < last:
      graph.add("Relu")
  graph.add("Add", shortcut)
  graph.add("Relu")
