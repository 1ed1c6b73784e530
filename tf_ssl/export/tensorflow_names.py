"""Names of a ResNet's variables in TensorFlow, as torchvision's names."""

import re

from tf_ssl.export import stored_arrays

_NORM = {
  "gamma": "weight",
  "beta": "bias",
  "moving_mean": "running_mean",
  "moving_variance": "running_var",
}
# Layers of one convolution in each list of a SimCLR block: convolution, batch
# norm, and in bottlenecks DropBlock, which has no weights.
_SIMCLR_LAYERS = {"conv_relu_dropblock_layers": 3, "conv2d_bn_layers": 2}


def of_simclr(name: str) -> str | None:
  """Torchvision's name of a variable of google-research/simclr, or None."""
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


def of_saved_model(name: str) -> str | None:
  """Torchvision's name for variables/backbone/stage3_block0/norm1/gamma."""
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


def as_torch(array: stored_arrays.StoredArray) -> stored_arrays.StoredArray:
  """The array with the axes of a kernel in PyTorch's order."""
  if len(array.shape) != 4:
    return array
  height, width, inputs, outputs = array.shape
  return stored_arrays.StoredArray(
    (outputs, inputs, height, width),
    lambda: array.read().transpose(3, 2, 0, 1),
  )
