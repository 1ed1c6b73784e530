"""Exports the features of a file of Keras 3 as a SavedModel.

A program that imports nothing of tf_ssl, because a process has one Keras, and
tf_ssl needs Keras 2: python keras3_export.py FILE OUTPUT LAYER

It prints the layer and the reason for it as JSON. `keras_config` must have
checked the file. LAYER is "" to choose as `keras_models.choose_layer` does.
"""

import json
import os
import sys

_POOLING = ("GlobalAveragePooling2D", "GlobalMaxPooling2D")
_CLASSIFIER = (
  "Activation",
  "Dense",
  "Dropout",
  "Flatten",
  "Reshape",
  "Softmax",
)


def main():
  """Reads the file in `sys.argv[1:]` and writes the folder after it."""
  path, output, layer = sys.argv[1:]
  os.environ["KERAS_BACKEND"] = "tensorflow"
  import keras

  model = keras.saving.load_model(path, compile=False)
  tensor, name, chosen = choose(model, layer)
  features = keras.Model(model.inputs, tensor)
  features.export(output, format="tf_saved_model", verbose=False)
  print(json.dumps({"layer": name, "chosen": chosen}))


def choose(model, layer):
  """The tensor of the features, its name, and the reason for it."""
  if not getattr(model, "inputs", None):
    raise ValueError("the model is a subclass and not a graph of layers")
  if layer and layer != "output":
    names = [each.name for each in model.layers]
    if layer not in names:
      raise ValueError(
        f"it has no layer {layer!r}; expected one of {', '.join(names[-12:])}"
        f" (the last of {len(names)}), or output"
      )
    return model.get_layer(layer).output, layer, "by `layer`"
  if len(model.outputs) != 1:
    raise ValueError(
      f"it has {len(model.outputs)} outputs; set `layer` to one of "
      f"{', '.join(model.output_names)}"
    )
  if not layer:
    found = before_classifier(model)
    if found is not None:
      return found
  chosen = "by `layer`" if layer else "the model ends without a classifier"
  return model.outputs[0], "output", chosen


def before_classifier(model):
  """The features; None if the output is not that of a classifier."""
  dense = None
  tensor = model.outputs[0]
  while True:
    history = getattr(tensor, "_keras_history", None)
    if history is None:
      return dense
    layer = history.operation
    kind = type(layer).__name__
    if kind in _POOLING:
      return tensor, layer.name, "the last global pooling"
    # MobileNet's classifier is a convolution on a 1x1 map.
    is_point = kind == "Conv2D" and list(tensor.shape[1:3]) == [1, 1]
    if kind not in _CLASSIFIER and not is_point:
      return dense
    # Another use of the same layer is another node.
    inputs = layer._inbound_nodes[history.node_index].input_tensors
    if len(inputs) != 1:
      return dense
    if kind == "Dense" and dense is None:
      dense = inputs[0], f"input of {layer.name}", "before the last Dense layer"
    tensor = inputs[0]


if __name__ == "__main__":
  main()
