"""Imports encoders from other projects' weights and exports them again."""

import io
import json
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.export import (
  foreign_resnet,
  layouts,
  saved_model,
  torchvision_names,
  weight_files,
)
from tf_ssl.ops import pixels, workdir

_KINDS = (
  "a ResNet with torchvision's names under any prefix (PyTorch), SimCLR "
  "(TensorFlow 2), or a SavedModel of tf_ssl"
)
_OPSET = 17  # Of ONNX 1.12, 2022.


def read_encoder(
  path: str, *, prefix: str | None = None, stem_padding: int | None = None
) -> tuple[resnet.ResNet, dict[str, object]]:
  """Builds the encoder whose weights a file has; executes nothing of the file.

  Args:
    path: file or folder in one of `weight_files.FORMATS`, or a SavedModel of
      this project.
    prefix: prefix of the encoder's names, such as "teacher.backbone"; None
      chooses as `layouts.recognize`.
    stem_padding: padding of a 3x3 stem, px; None takes the project's, or 1.

  Returns:
    The encoder, and the entry "weights" for provenance.json: file, sha256,
    kind, prefix, other_prefixes (of other complete encoders), ignored (names by
    reason), assumed, and differences_from_torchvision.

  Raises:
    UsageError: the file cannot be read, its kind is unknown, the encoder has
      unknown or missing names, or nothing is under `prefix`.
  """
  weights = weight_files.read(path)
  try:
    found = layouts.recognize(weights, prefix=prefix, stem_padding=stem_padding)
  except errors.UsageError as error:
    raise errors.UsageError(f"weights {path}: {error}") from error
  if found is None:
    raise errors.UsageError(
      f"weights {path} are of an unknown kind; expected {_KINDS}; found "
      f"{len(weights)} arrays: {torchvision_names.listed(weights)}"
    )
  if found.unknown:
    raise errors.UsageError(
      f"weights {path}, read as {found.kind}, have unknown names: "
      f"{torchvision_names.listed(found.unknown)}; expected only a ResNet, "
      "heads and training state"
    )
  weight_files.check_size(found.weights, path)
  difference = _recorded_difference(path) or found.difference
  encoder = torchvision_names.build(
    found.weights, path=path, difference=difference
  )
  return encoder, {
    "file": os.path.basename(os.path.normpath(path)),
    "sha256": weight_files.sha256(path),
    "kind": found.kind,
    "prefix": found.prefix,
    "other_prefixes": list(found.others),
    "ignored": found.ignored,
    "assumed": list(found.assumed),
    "differences_from_torchvision": difference.described(),
  }


def write_encoder(
  encoder: tf.keras.Model, path: str, *, overwrite: bool = False
) -> None:
  """Writes an encoder's weights in the format of the file's suffix.

  Args:
    encoder: built encoder; a `resnet.ResNet` unless the format is .onnx.
    path: path of the file. The suffix is .pth or .pt (torchvision's state_dict;
      needs PyTorch), .npz (torchvision's names), or .onnx (the network; needs
      onnx and tf2onnx).
    overwrite: whether to replace a file at `path`.

  Raises:
    UsageError: the suffix is unknown, a package is missing, `path` exists or
      cannot be written, or torchvision's names cannot describe the network.
  """
  suffix = os.path.splitext(path)[1].lower()
  errors.require(
    suffix in _WRITERS,
    f"output {path}: unknown suffix {suffix!r}; expected one of"
    f" {', '.join(_WRITERS)}",
  )
  if suffix != ".onnx":
    _check_torchvisions(encoder)
  with workdir.writable(path, "the output"):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with workdir.replacing_file(path, overwrite=overwrite) as temporary:
      # The libraries hide the error of a full disk behind others.
      temporary.write_bytes(_WRITERS[suffix](encoder))


def _check_torchvisions(encoder: tf.keras.Model) -> None:
  """Raises UsageError unless torchvision's network gives the same features."""
  if not isinstance(encoder, resnet.ResNet):
    raise errors.UsageError(
      f"an encoder of type {type(encoder).__name__}; only ResNets have names "
      "in torchvision; write .onnx instead, or export a SavedModel "
      "(tools.export_encoder)"
    )
  if isinstance(encoder, foreign_resnet.ForeignResNet):
    raise errors.UsageError(
      "this encoder differs from torchvision's ResNet "
      f"({encoder.difference.described()}): torchvision would compute other "
      "features from its weights; write .onnx instead"
    )


def _torch_file(encoder: resnet.ResNet) -> bytes:
  try:
    import torch
  except ImportError:
    raise errors.UsageError(
      "writing .pth needs PyTorch: pip install torch, or write .npz, which has "
      "the same names and shapes"
    ) from None
  state, file = torchvision_names.state_dict(encoder), io.BytesIO()
  torch.save({name: torch.from_numpy(w) for name, w in state.items()}, file)
  return file.getvalue()


def _npz_file(encoder: resnet.ResNet) -> bytes:
  file = io.BytesIO()
  np.savez(file, **torchvision_names.state_dict(encoder))
  return file.getvalue()


def _onnx_file(encoder: tf.keras.Model) -> bytes:
  """The network for inference, preprocessing included.

  The model computes `features` [B, D] from `images` [B, 3, H, W] float32, RGB,
  0..255, of any number and size.
  """
  try:
    import onnx
    import tf2onnx
  except ImportError:
    raise errors.UsageError(
      "writing .onnx needs the packages onnx and tf2onnx: pip install "
      "tf_ssl[onnx]"
    ) from None

  def features(images):
    images = tf.transpose(images, [0, 2, 3, 1])
    found = encoder(pixels.normalize(images), training=False)
    return {"features": tf.cast(found, tf.float32)}

  signature = [tf.TensorSpec([None, 3, None, None], tf.float32, "images")]
  model, _ = tf2onnx.convert.from_function(
    tf.function(features, input_signature=signature),
    input_signature=signature,
    opset=_OPSET,
  )
  for values, names in (
    (model.graph.input, ["B", None, "H", "W"]),
    (model.graph.output, ["B", None]),
  ):
    dimensions = values[0].type.tensor_type.shape.dim
    for dimension, name in zip(dimensions, names, strict=True):
      if name is not None:  # tf2onnx numbers them.
        dimension.dim_param = name
  onnx.helper.set_model_props(
    model,
    {
      "Image.BitmapPixelFormat": "Rgb8",
      "Image.NominalPixelRange": "NominalRange_0_255",
    },
  )
  onnx.checker.check_model(model)
  return model.SerializeToString()


_WRITERS: dict[str, Callable[[tf.keras.Model], bytes]] = {
  ".pth": _torch_file,
  ".pt": _torch_file,
  ".npz": _npz_file,
  ".onnx": _onnx_file,
}


def _recorded_difference(path: str) -> foreign_resnet.Difference | None:
  """Difference in the provenance of a SavedModel with imported weights."""
  record = os.path.join(path, saved_model.PROVENANCE_FILE)
  if not os.path.isfile(record):
    return None
  try:
    with open(record, encoding="utf-8") as file:
      weights = json.load(file).get("weights", {})
    return foreign_resnet.Difference.from_described(
      weights.get("differences_from_torchvision", {})
    )
  except Exception as error:  # Damage raises nearly any type.
    raise errors.UsageError(
      f"{record} is damaged ({error}); export or import the model again"
    ) from error
