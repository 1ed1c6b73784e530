"""Converts between the variables of our ResNet and torchvision's names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.export import foreign_resnet, stored_arrays
from tf_ssl.ops import names as escapes

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
  difference = difference or foreign_resnet.Difference()
  problem = misfit(weights, difference)
  if problem is not None:
    raise errors.UsageError(f"weights {path}{problem}")
  encoder = _build_untrained(_architecture(weights), difference)
  for name, variable in variables(encoder).items():
    variable.assign(_checked(weights[name].read(), name, path))
  return encoder


def misfit(
  weights: Mapping[str, stored_arrays.StoredArray],
  difference: foreign_resnet.Difference,
) -> str | None:
  """Why arrays are not the weights of a ResNet; None if they are.

  Args:
    weights: arrays by torchvision's names, as in `build`.
    difference: difference of the network from torchvision's.

  Returns:
    The end of a sentence that starts with "weights PATH".
  """
  found = _architecture(weights)
  if found is None:
    stem = weights.get("conv1.weight")
    return (
      f": blocks {list(_blocks(weights))} in the four stages, and a first "
      "convolution conv1.weight of shape "
      f"{list(stem.shape) if stem else []}; expected a "
      "ResNet with at least one block in each and [channels, 3, 7, 7] or "
      f"[channels, 3, 3, 3]. Found: {listed(weights)}"
    )
  expected = dict(_shapes(found, difference))
  missing = [name for name in expected if name not in weights]
  unknown = [name for name in weights if name not in expected]
  if missing or unknown:
    lists = [("missing", missing), ("unknown", unknown)]
    return (
      " are not a ResNet's: "
      + "; ".join(f"{kind}: {listed(names)}" for kind, names in lists if names)
      + ". Expected torchvision's ResNet of basic or bottleneck blocks"
    )
  wrong = [
    f"{name} {list(weights[name].shape)} instead of {list(shape)}"
    for name, shape in expected.items()
    if tuple(weights[name].shape) != shape
  ]
  if wrong:
    return (
      f" are not a ResNet's of one width: {listed(wrong)}. "
      "ResNeXt and Wide ResNet are not supported"
    )
  return None


def listed(names: Iterable[str]) -> str:
  """The first names and the number of the others, in one line."""
  names = list(map(escapes.escaped, names))
  more = len(names) - _SHOWN
  return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


class _Architecture(NamedTuple):
  """What names and shapes say of a ResNet.

  Attributes:
    blocks: number of blocks in each stage.
    bottleneck: whether the blocks have three convolutions.
    channels: channels of the stem.
    stem: name of the stem.
  """

  blocks: tuple[int, ...]
  bottleneck: bool
  channels: int
  stem: str


def _architecture(weights) -> _Architecture | None:
  stem, blocks = weights.get("conv1.weight"), _blocks(weights)
  stems = {(3, 7, 7): "imagenet", (3, 3, 3): "small"}
  shape = stem.shape if stem else ()
  if not shape or shape[0] < 1 or shape[1:] not in stems or not all(blocks):
    return None
  bottleneck = any(re.match(r"layer\d\.\d+\.conv3\.", name) for name in weights)
  return _Architecture(blocks, bottleneck, shape[0], stems[shape[1:]])


def _blocks(weights) -> tuple[int, ...]:
  blocks = [0, 0, 0, 0]
  for name in weights:
    place = re.match(r"layer([1-4])\.(\d{1,3})\.", name)
    if place:
      stage = int(place[1]) - 1
      blocks[stage] = max(blocks[stage], int(place[2]) + 1)
  return tuple(blocks)


def _stack(found: _Architecture) -> Callable:
  return resnet.bottleneck_stack if found.bottleneck else resnet.basic_stack


def _shapes(
  found: _Architecture, difference: foreign_resnet.Difference
) -> Iterator[tuple[str, tuple[int, ...]]]:
  """Names and shapes of the arrays, without building the network."""
  side = 7 if found.stem == "imagenet" else 3
  yield "conv1.weight", (found.channels, 3, side, side)
  yield from _norm_shapes("bn1", found.channels)
  before = found.channels
  for stage, count in enumerate(found.blocks):
    for number in range(count):
      prefix = f"layer{stage + 1}.{number}."
      strides = 2 if stage and not number else 1
      entry = before
      layers = _stack(found)(found.channels * 2**stage, strides)
      for i, (width, side, _) in enumerate(layers, 1):
        yield f"{prefix}conv{i}.weight", (width, before, side, side)
        yield from _norm_shapes(f"{prefix}bn{i}", width)
        before = width
      projects = difference.always_project and not number
      if projects or strides > 1 or entry != before:
        yield f"{prefix}downsample.0.weight", (before, entry, 1, 1)
        yield from _norm_shapes(f"{prefix}downsample.1", before)


def _norm_shapes(prefix, width) -> Iterator[tuple[str, tuple[int, ...]]]:
  for last in ("weight", "bias", "running_mean", "running_var"):
    yield f"{prefix}.{last}", (width,)


def _build_untrained(
  found: _Architecture, difference: foreign_resnet.Difference
) -> resnet.ResNet:
  settings = {
    "stack": _stack(found),
    "blocks": found.blocks,
    "width": found.channels / resnet.STAGE_WIDTHS[0],
    "stem": found.stem,
    "batch_norm": batch_norm.plain,
  }
  if difference.described():
    encoder = foreign_resnet.ForeignResNet(difference=difference, **settings)
  else:
    encoder = resnet.ResNet(**settings)
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


def _checked(array: np.ndarray, name: str, path: str) -> np.ndarray:
  array = array.astype(np.float32)
  if not np.isfinite(array).all():
    raise errors.UsageError(
      f"weights {path}: {name} has values that are not finite; use an earlier "
      "checkpoint of that training"
    )
  if name.endswith("running_var") and (array < 0).any():
    raise errors.UsageError(
      f"weights {path}: {name} has negative variances; the file is damaged"
    )
  return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
