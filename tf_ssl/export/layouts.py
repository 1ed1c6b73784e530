"""Recognizes a ResNet in the weights of another project by its names.

PyTorch: MoCo v1 and v2, VISSL, torchvision, lightly, solo-learn. They have
torchvision's ResNet under a prefix, next to the state of training. TensorFlow:
google-research/simclr, and SavedModels of this project.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from tf_ssl.export import foreign_resnet, stored_arrays

Arrays = Mapping[str, stored_arrays.StoredArray]

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
_TENSORFLOW_UNUSED = {
  "training state": (
    r".*/\.OPTIMIZER_SLOT/|optimizer/|global_step|save_counter|"
    r"_CHECKPOINTABLE_OBJECT_GRAPH"
  ),
  "head": (
    r"(?:model/)?(?:_projection_head|supervised_head)/|"
    r"projection_head_variables/"
  ),
}

# Prefixes that torch.save and wrappers of models add to a name.
_WRAPPERS = (
  r"(?:(?:state_dict|model_state_dict|model|network|\w+_parameters)\.)*"
  r"(?:module\.)*(?:model\.)?"
)
# The order matters: the last has no prefix of its own. If lightly has both
# `backbone` and `student_backbone`, it evaluates the former.
_TORCH_LAYOUTS = (
  (
    "VISSL",
    r"(?:classy_state_dict\.base_model\.model\.)?(?:trunk\.)?(?:base_model\.)?"
    r"_feature_blocks\.",
  ),
  ("MoCo", r"encoder_q\.(?:net\.)?"),
  ("backbone", r"(?:backbone|encoder|base_encoder)\.(?:net\.)?"),
  ("backbone", r"student_backbone\.(?:net\.)?"),
  ("torchvision", r"(?:net\.)?"),
)
_STEM = r"(conv1|0)\.weight"

# Names that are not used, by reason: patterns of a name without wrappers.
_TORCH_UNUSED = {
  "counts of batches": r".*\bnum_batches_tracked$",
  "momentum encoder": (
    r"(?:encoder_k|key_\w+|momentum_\w+|\w+_momentum|teacher\w*|target_\w+|"
    r"\w+_ema)\."
  ),
  "another encoder": r"(?:query|student)_\w+\.",
  "queue or memory bank": (
    r"(?:\w+\.)*(?:queue\w*|\w*_bank\w*|local_memory_\w+)\b"
  ),
  "head": (
    r"(?:fc|linear|classifiers?|online_classifier|projector|projection_head|"
    r"predictor|prediction_head|prototypes|heads?|"
    r"classy_state_dict\.base_model\.model\.heads)\."
  ),
  "training state": (
    r"(?:\w*optimizer\w*|\w*scheduler\w*|callbacks|loops|scaler|amp|meters|"
    r"losse?s?|criterion|"
    r"classy_state_dict\.(?!base_model\.model\.))\b"
  ),
}


class Recognized(NamedTuple):
  """Weights of an encoder under torchvision's names.

  Attributes:
    kind: name of the project or layout, for provenance.json.
    weights: arrays by torchvision's names, without a classifier; kernels are
      [out, in, height, width].
    ignored: names in the file that are not used, by the reason.
    unknown: names in the file that have no known meaning.
    difference: difference of the network from torchvision's.
    assumed: sentences about facts that the file does not contain.
  """

  kind: str
  weights: dict[str, stored_arrays.StoredArray]
  ignored: dict[str, list[str]]
  unknown: list[str]
  difference: foreign_resnet.Difference = foreign_resnet.Difference()
  assumed: tuple[str, ...] = ()


def recognize(weights: Arrays) -> Recognized | None:
  """Finds a ResNet among named arrays; None if there is none.

  Args:
    weights: arrays by the names in a file, from `weight_files.read`.
  """
  return _recognize_tensorflow(weights) or _recognize_torch(weights)


def _recognize_tensorflow(
  weights: Arrays,
) -> Recognized | None:
  for kind, rename, difference in (
    ("SimCLR (TensorFlow 2)", _simclr_name, _SIMCLR),
    ("tf_ssl SavedModel", _own_name, foreign_resnet.Difference()),
  ):
    named, ignored, unknown = {}, {}, []
    for name, array in weights.items():
      reason = next(
        (r for r, p in _TENSORFLOW_UNUSED.items() if re.match(p, name)), None
      )
      new = None if reason else rename(name)
      if reason:
        ignored.setdefault(reason, []).append(name)
      elif new is None or new in named:
        unknown.append(name)
      else:
        named[new] = _as_torch(array)
    if "conv1.weight" in named:
      return Recognized(kind, named, ignored, unknown, difference)
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


def _as_torch(array: stored_arrays.StoredArray) -> stored_arrays.StoredArray:
  if len(array.shape) != 4:
    return array
  height, width, inputs, outputs = array.shape
  return stored_arrays.StoredArray(
    (outputs, inputs, height, width),
    lambda: array.read().transpose(3, 2, 0, 1),
  )


def _recognize_torch(
  weights: Arrays,
) -> Recognized | None:
  found = _prefix(weights)
  if found is None:
    return None
  kind, prefix = found
  inner, ignored, unknown = {}, {}, []
  for name, array in weights.items():
    is_inner = name.startswith(prefix)
    reason = _known(name.removeprefix(prefix) if is_inner else name)
    if reason is not None:
      ignored.setdefault(reason, []).append(name)
    elif is_inner:
      inner[name.removeprefix(prefix)] = array
    else:
      unknown.append(name)
  difference = foreign_resnet.Difference()
  if "conv1.weight" not in inner:
    kind = "lightly" if kind == "backbone" else kind
    inner, stem_relu = _with_names(inner)
    difference = foreign_resnet.Difference(stem_relu=stem_relu)
  elif kind == "backbone":
    kind = _project(weights)
  inner = {
    name.replace(".shortcut.", ".downsample."): array
    for name, array in inner.items()
  }
  inner, assumed = _without_splits(inner)
  if inner["conv1.weight"].shape[2:] == (3, 3):
    # solo-learn, solo/methods/base.py: the CIFAR stem pads by two pixels.
    padding = 2 if kind == "solo-learn" else 1
    difference = foreign_resnet.Difference(
      stem_padding=padding, stem_relu=difference.stem_relu
    )
    assumed += (
      f"the 3x3 stem has stride 1, {padding} px of padding, and no max-pool",
    )
  return Recognized(kind, inner, ignored, unknown, difference, assumed)


def _prefix(weights) -> tuple[str, str] | None:
  for kind, pattern in _TORCH_LAYOUTS:
    stem = re.compile(f"({_WRAPPERS}{pattern}){_STEM}")
    for name, array in weights.items():
      match = stem.fullmatch(name)
      if match and len(array.shape) == 4:
        return kind, match[1]
  return None


def _known(name: str) -> str | None:
  bare = re.match(_WRAPPERS, name).end()
  for reason, pattern in _TORCH_UNUSED.items():
    if re.match(pattern, name) or re.match(pattern, name[bare:]):
      return reason
  return None


def _project(weights) -> str:
  """Project of an encoder named `backbone` or `encoder`, from its heads."""
  parts = {part for name in weights for part in name.split(".")}
  if {"projector", "classifier", "momentum_projector"} & parts:
    return "solo-learn"
  lightlys = {"projection_head", "online_classifier", "student_head"}
  return "lightly" if lightlys & parts else "backbone"


def _without_splits(
  inner: Arrays,
) -> tuple[dict[str, stored_arrays.StoredArray], tuple[str, ...]]:
  """Averages the statistics of lightly's split batch norm.

  lightly/models/batchnorm.py stores those of all splits one after another and
  uses their means in inference.

  Returns:
    The arrays, and sentences about assumptions.
  """
  merged, splits = dict(inner), set()
  for name, array in inner.items():
    layer, _, last = name.rpartition(".")
    scale = inner.get(f"{layer}.weight")
    if last not in ("running_mean", "running_var") or scale is None:
      continue
    if len(array.shape) != 1 or len(scale.shape) != 1 or not scale.shape[0]:
      continue
    count, rest = divmod(array.shape[0], scale.shape[0])
    if count > 1 and not rest:
      splits.add(count)
      merged[name] = stored_arrays.StoredArray(
        scale.shape,
        lambda array=array, count=count: (
          array.read().reshape(count, -1).mean(axis=0)
        ),
      )
  return merged, tuple(
    f"batch norm was in {count} splits, whose statistics are averaged"
    for count in sorted(splits)
  )


def _with_names(inner) -> tuple[dict[str, stored_arrays.StoredArray], bool]:
  """Names the numbered children of a ResNet in an nn.Sequential.

  Returns:
    The arrays, and whether a ReLU is between the normalization of the stem and
    the first stage. lightly's own ResNet applies its ReLU in `forward`, so that
    a Sequential of its children has none.
  """
  numbers = sorted(
    {
      int(name.split(".")[0])
      for name in inner
      if re.match(r"\d+\.\d+\.conv1\.", name)
    }
  )
  children = {"0": "conv1", "1": "bn1"}
  children.update(
    {str(number): f"layer{i}" for i, number in enumerate(numbers, 1)}
  )
  named = {}
  for name, array in inner.items():
    first, _, rest = name.partition(".")
    named[f"{children.get(first, first)}.{rest}"] = array
  return named, not numbers or numbers[0] > 2
