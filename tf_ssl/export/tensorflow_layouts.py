"""TensorFlow checkpoints: google-research/simclr's, and our SavedModels."""

import re
from collections.abc import Mapping

from tf_ssl.export import foreign_resnet, recognized, stored_arrays

_NORM = {
  "gamma": "weight",
  "beta": "bias",
  "moving_mean": "running_mean",
  "moving_variance": "running_var",
}
# google-research/simclr, tf2/resnet.py: pixels in 0..1 (data_util.py), the
# max-pool pads as SAME, and each group of blocks starts with a projection.
_SIMCLR = foreign_resnet.Difference(
  unit_range=True, same_max_pool=True, always_project=True
)
# Layers of one convolution in each list of a SimCLR block: convolution, batch
# norm, and in bottlenecks DropBlock, which has no weights.
_SIMCLR_LAYERS = {"conv_relu_dropblock_layers": 3, "conv2d_bn_layers": 2}
_KNOWN = {
  "training state": (
    r".*/\.OPTIMIZER_SLOT/|optimizer/|global_step|save_counter|"
    r"_CHECKPOINTABLE_OBJECT_GRAPH"
  ),
  "head": (
    r"(?:model/)?(?:_projection_head|supervised_head)/|"
    r"projection_head_variables/"
  ),
}


def recognize(
  weights: Mapping[str, stored_arrays.StoredArray],
) -> recognized.Recognized | None:
  """Finds a ResNet among the variables of a checkpoint; None if there is none.

  Args:
    weights: by the paths of a TensorFlow checkpoint.
  """
  for kind, rename, difference in (
    ("SimCLR (TensorFlow 2)", _simclr_name, _SIMCLR),
    ("tf_ssl SavedModel", _own_name, foreign_resnet.Difference()),
  ):
    named, ignored, left = {}, {}, []
    for name, array in weights.items():
      reason = next((r for r, p in _KNOWN.items() if re.match(p, name)), None)
      new = None if reason else rename(name)
      if reason:
        ignored.setdefault(reason, []).append(name)
      elif new is None or new in named:
        left.append(name)
      else:
        named[new] = _as_torch(array)
    if "conv1.weight" in named:
      return recognized.Recognized(kind, named, ignored, left, difference)
  return None


def _simclr_name(name: str) -> str | None:
  name = re.sub(r"^(model/)?(resnet_model/)?", "", name)
  stem = re.fullmatch(
    r"initial_conv_relu_max_pool/(?:0/conv2d/(kernel)|2/bn/(\w+))", name
  )
  if stem:
    return "conv1.weight" if stem[1] else _norm_name("bn1", stem[2])
  block = re.fullmatch(
    r"block_groups/(\d)/layers/(\d+)/(\w+)/(\d)/(conv2d/kernel|bn/\w+)", name
  )
  if not block:
    return None
  prefix = f"layer{int(block[1]) + 1}.{block[2]}."
  place, last = int(block[4]), block[5].split("/")[1]
  if block[3] in ("projection_layers", "shortcut_layers"):
    convolution, norm = "downsample.0", "downsample.1"
  elif block[3] in _SIMCLR_LAYERS:
    number, place = divmod(place, _SIMCLR_LAYERS[block[3]])
    convolution, norm = f"conv{number + 1}", f"bn{number + 1}"
  else:
    return None
  if last == "kernel":
    return f"{prefix}{convolution}.weight" if place == 0 else None
  return _norm_name(f"{prefix}{norm}", last) if place == 1 else None


def _own_name(name: str) -> str | None:
  """Of names such as variables/backbone/stage3_block0/norm1/gamma."""
  parts = name.split("/")
  if parts[0] != "variables" or len(parts) < 3:
    return None
  layer, last = parts[-2:]
  if layer == "stem_conv":
    return "conv1.weight"
  if layer == "stem_norm":
    return _norm_name("bn1", last)
  block = re.fullmatch(r"stage([2-5])_block(\d+)", parts[-3])
  if not block:
    return None
  prefix = f"layer{int(block[1]) - 1}.{block[2]}."
  if layer == "shortcut":
    return f"{prefix}downsample.0.weight"
  if layer == "shortcut_norm":
    return _norm_name(f"{prefix}downsample.1", last)
  inside = re.fullmatch(r"(conv|norm)(\d)", layer)
  if not inside:
    return None
  if inside[1] == "conv":
    return f"{prefix}conv{inside[2]}.weight"
  return _norm_name(f"{prefix}bn{inside[2]}", last)


def _norm_name(prefix: str, ours: str) -> str | None:
  return f"{prefix}.{_NORM[ours]}" if ours in _NORM else None


def _as_torch(array: stored_arrays.StoredArray) -> stored_arrays.StoredArray:
  if len(array.shape) != 4:
    return array
  height, width, inputs, outputs = array.shape
  return stored_arrays.StoredArray(
    (outputs, inputs, height, width),
    lambda: array.read().transpose(3, 2, 0, 1),
  )
