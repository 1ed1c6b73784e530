"""Encoders out of other projects' weights, and back into their formats."""

import json
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.export import (
  foreign_resnet,
  onnx_file,
  saved_model,
  tensorflow_layouts,
  torch_layouts,
  torchvision_names,
  weight_files,
)
from tf_ssl.ops import workdir

_KINDS = (
  "MoCo, VISSL, torchvision, lightly, solo-learn (PyTorch), SimCLR (TensorFlow "
  "2), or a SavedModel of tf_ssl"
)


def read_encoder(path: str) -> tuple[resnet.ResNet, dict[str, object]]:
  """Builds the encoder of a file of weights; nothing of the file is run.

  Args:
    path: a file of `weight_files.FORMATS`, or a SavedModel of ours.

  Returns:
    The encoder, and what provenance.json says about it under "weights": file,
    sha256, kind, ignored (reason -> names), assumed, and
    differences_from_torchvision.

  Raises:
    UsageError: the file cannot be read, is of no known kind, or has names left
      over or missing.
  """
  weights = weight_files.read(path)
  found = tensorflow_layouts.recognize(weights)
  if found is None:
    found = torch_layouts.recognize(weights)
  if found is None:
    raise errors.UsageError(
      f"weights {path} are of no known kind; expected {_KINDS}; found "
      f"{len(weights)} arrays: {torchvision_names.listed(weights)}"
    )
  if found.left:
    raise errors.UsageError(
      f"weights {path}, read as {found.kind}: left over: "
      f"{torchvision_names.listed(found.left)}; expected a ResNet, and nothing "
      "beside it but heads, a momentum encoder, a queue and training state"
    )
  difference = _recorded_difference(path) or found.difference
  encoder = torchvision_names.build(
    found.weights, path=path, difference=difference
  )
  return encoder, {
    "file": os.path.basename(os.path.normpath(path)),
    "sha256": weight_files.sha256(path),
    "kind": found.kind,
    "ignored": found.ignored,
    "assumed": list(found.assumed),
    "differences_from_torchvision": difference.described(),
  }


def write_encoder(
  encoder: tf.keras.Model, path: str, *, overwrite: bool = False
) -> None:
  """Writes an encoder's weights in the format that the suffix names.

  Args:
    encoder: built; a `resnet.ResNet` unless for .onnx.
    path: .pth or .pt (torchvision's state_dict; needs PyTorch), .npz (the same
      names), or .onnx (the network itself; needs onnx and tf2onnx).
    overwrite: replace what stands at `path`.

  Raises:
    UsageError: unknown suffix, a package that is missing, something stands at
      `path` or it cannot be written, or a network that torchvision's names
      cannot describe.
  """
  suffix = os.path.splitext(path)[1].lower()
  if suffix not in _WRITERS:
    raise errors.UsageError(
      f"output {path}: unknown suffix {suffix!r}; expected one of "
      f"{', '.join(_WRITERS)}"
    )
  if suffix != ".onnx":
    _check_torchvisions(encoder)
  with workdir.writable(path, "the output"):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with workdir.replacing_file(path, overwrite=overwrite) as temporary:
      _WRITERS[suffix](encoder, os.fspath(temporary))


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
      "this encoder is not torchvision's ResNet "
      f"({encoder.difference.described()}): with its weights, torchvision "
      "would give other features; write .onnx instead"
    )


def _write_torch(encoder: resnet.ResNet, path: str) -> None:
  try:
    import torch
  except ImportError:
    raise errors.UsageError(
      "writing .pth needs PyTorch: pip install torch, or write .npz, which has "
      "the same names and shapes"
    ) from None
  state = torchvision_names.state_dict(encoder)
  torch.save({name: torch.from_numpy(w) for name, w in state.items()}, path)


def _write_npz(encoder: resnet.ResNet, path: str) -> None:
  with open(path, "wb") as file:
    np.savez(file, **torchvision_names.state_dict(encoder))


_WRITERS: dict[str, Callable[[tf.keras.Model, str], None]] = {
  ".pth": _write_torch,
  ".pt": _write_torch,
  ".npz": _write_npz,
  ".onnx": onnx_file.write,
}


def _recorded_difference(path: str) -> foreign_resnet.Difference | None:
  """What a SavedModel of ours says about weights that were imported once."""
  record = os.path.join(path, saved_model.PROVENANCE_FILE)
  if not os.path.isfile(record):
    return None
  try:
    with open(record, encoding="utf-8") as file:
      weights = json.load(file).get("weights", {})
    return foreign_resnet.Difference(
      **weights.get("differences_from_torchvision", {})
    )
  except (ValueError, TypeError, AttributeError) as error:
    raise errors.UsageError(
      f"{record} is damaged ({error}); export or import the model again"
    ) from error
