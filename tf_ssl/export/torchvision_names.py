"""Converts between the variables of our ResNet and torchvision's names."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.export import foreign_resnet, stored_arrays

_SHOWN = 12  # Names in a message.


def variables(encoder: resnet.ResNet) -> dict[str, tf.Variable]:
  """Variables of a built encoder by torchvision's names, in its order."""
  named = {"conv1.weight": encoder.stem_conv.kernel}
  named.update(_norm("bn1", encoder.stem_norm))
  for stage, blocks in enumerate(encoder.stages, 1):
    for number, block in enumerate(blocks):
      prefix = f"layer{stage}.{number}."
      for i, (convolution, norm) in enumerate(
        zip(block.convolutions, block.norms, strict=True), 1
      ):
        named[f"{prefix}conv{i}.weight"] = convolution.kernel
        named.update(_norm(f"{prefix}bn{i}", norm))
      if block.shortcut is not None:
        named[f"{prefix}downsample.0.weight"] = block.shortcut.kernel
        named.update(_norm(f"{prefix}downsample.1", block.shortcut_norm))
  return named


def state_dict(encoder: resnet.ResNet) -> dict[str, np.ndarray]:
  """Weights in torchvision's form: kernels are [out, in, height, width]."""
  return {
    name: _to_torch(variable.numpy())
    for name, variable in variables(encoder).items()
  }


def build(
  weights: Mapping[str, stored_arrays.StoredArray],
  *,
  path: str,
  difference: foreign_resnet.Difference | None = None,
) -> resnet.ResNet:
  """Builds the ResNet that names and shapes describe, with its weights.

  Args:
    weights: arrays by torchvision's names, without a classifier. Kernels are
      [out, in, height, width].
    path: path of the file, for errors.
    difference: difference of the network from torchvision's; None for none.

  Returns:
    Encoder; with a difference a `foreign_resnet.ForeignResNet`.

  Raises:
    UsageError: names are unknown or missing, or arrays have wrong shapes; the
      message lists them.
  """
  encoder = _build_untrained(weights, path, difference)
  ours = variables(encoder)
  missing = [name for name in ours if name not in weights]
  unknown = [name for name in weights if name not in ours]
  if missing or unknown:
    lists = [("missing", missing), ("unknown", unknown)]
    raise errors.UsageError(
      f"weights {path} are not a ResNet's: "
      + "; ".join(f"{kind}: {listed(names)}" for kind, names in lists if names)
      + ". Expected torchvision's ResNet of basic or bottleneck blocks"
    )
  wrong = [
    f"{name} {list(weights[name].shape)} instead of {expected}"
    for name, variable in ours.items()
    if list(weights[name].shape) != (expected := _torch_shape(variable))
  ]
  if wrong:
    raise errors.UsageError(
      f"weights {path} are not a ResNet's of one width: {listed(wrong)}. "
      "ResNeXt and Wide ResNet are not supported"
    )
  for name, variable in ours.items():
    variable.assign(_checked(weights[name].read(), name, path))
  return encoder


def listed(names: Iterable[str]) -> str:
  """The first names and the number of the others, in one line."""
  names = list(names)
  more = len(names) - _SHOWN
  return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _build_untrained(weights, path, difference) -> resnet.ResNet:
  blocks = [0, 0, 0, 0]
  for name in weights:
    place = re.match(r"layer([1-4])\.(\d{1,3})\.", name)
    if place:
      stage = int(place[1]) - 1
      blocks[stage] = max(blocks[stage], int(place[2]) + 1)
  stem = weights.get(
    "conv1.weight", stored_arrays.StoredArray((), lambda: None)
  )
  stems = {(3, 7, 7): "imagenet", (3, 3, 3): "small"}
  if len(stem.shape) != 4 or stem.shape[1:] not in stems or not all(blocks):
    raise errors.UsageError(
      f"weights {path}: blocks {blocks} in the four stages, and a first "
      f"convolution conv1.weight of shape {list(stem.shape)}; expected a "
      "ResNet with at least one block in each and [channels, 3, 7, 7] or "
      f"[channels, 3, 3, 3]. Found: {listed(weights)}"
    )
  bottleneck = any(re.match(r"layer\d\.\d+\.conv3\.", name) for name in weights)
  settings = {
    "stack": resnet.bottleneck_stack if bottleneck else resnet.basic_stack,
    "blocks": tuple(blocks),
    "width": stem.shape[0] / resnet.STAGE_WIDTHS[0],
    "stem": stems[stem.shape[1:]],
    "batch_norm": batch_norm.plain,
  }
  if difference is None or not difference.described():
    encoder = resnet.ResNet(**settings)
  else:
    encoder = foreign_resnet.ForeignResNet(difference=difference, **settings)
  encoder(tf.zeros([1, 32, 32, 3]))
  return encoder


def _norm(prefix: str, layer: tf.keras.layers.Layer) -> dict[str, tf.Variable]:
  return {
    f"{prefix}.weight": layer.gamma,
    f"{prefix}.bias": layer.beta,
    f"{prefix}.running_mean": layer.moving_mean,
    f"{prefix}.running_var": layer.moving_variance,
  }


def _to_torch(array: np.ndarray) -> np.ndarray:
  if array.ndim != 4:
    return array
  return np.ascontiguousarray(array.transpose(3, 2, 0, 1))


def _torch_shape(variable: tf.Variable) -> list[int]:
  shape = variable.shape.as_list()
  return [shape[axis] for axis in (3, 2, 0, 1)] if len(shape) == 4 else shape


def _checked(array: np.ndarray, name: str, path: str) -> np.ndarray:
  array = array.astype(np.float32)
  if not np.isfinite(array).all():
    raise errors.UsageError(
      f"weights {path}: {name} has values that are not finite; use an earlier "
      "checkpoint of that training"
    )
  return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
