"""PyTorch checkpoints of self-supervised projects, recognized by their names.

MoCo v1 and v2, VISSL, torchvision, lightly, solo-learn. They hold torchvision's
ResNet under some prefix, and beside it what training needed.
"""

import re
from collections.abc import Mapping

from tf_ssl.export import foreign_resnet, recognized, stored_arrays

# What torch.save and wrappers of models put before a name.
_WRAPPERS = (
  r"(?:(?:state_dict|model_state_dict|model|network|\w+_parameters)\.)*"
  r"(?:module\.)*(?:model\.)?"
)
# In this order: all but the last have a prefix that names them. Where lightly
# has both `backbone` and `student_backbone`, it evaluates the former.
_LAYOUTS = (
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

# Why it is left out -> how its name starts, after the wrappers.
_KNOWN = {
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


def recognize(
  weights: Mapping[str, stored_arrays.StoredArray],
) -> recognized.Recognized | None:
  """Finds a ResNet among named arrays; None where there is none.

  Args:
    weights: by the names of a PyTorch file.
  """
  found = _prefix(weights)
  if found is None:
    return None
  kind, prefix = found
  inner, ignored, left = {}, {}, []
  for name, array in weights.items():
    is_inner = name.startswith(prefix)
    reason = _known(name.removeprefix(prefix) if is_inner else name)
    if reason is not None:
      ignored.setdefault(reason, []).append(name)
    elif is_inner:
      inner[name.removeprefix(prefix)] = array
    else:
      left.append(name)
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
    # solo-learn, solo/methods/base.py: its CIFAR stem pads by two pixels
    padding = 2 if kind == "solo-learn" else 1
    difference = foreign_resnet.Difference(
      stem_padding=padding, stem_relu=difference.stem_relu
    )
    assumed += (
      f"the 3x3 stem has stride 1, {padding} px of padding, and no max-pool",
    )
  return recognized.Recognized(kind, inner, ignored, left, difference, assumed)


def _prefix(weights) -> tuple[str, str] | None:
  for kind, pattern in _LAYOUTS:
    stem = re.compile(f"({_WRAPPERS}{pattern}){_STEM}")
    for name, array in weights.items():
      match = stem.fullmatch(name)
      if match and len(array.shape) == 4:
        return kind, match[1]
  return None


def _known(name: str) -> str | None:
  bare = re.match(_WRAPPERS, name).end()
  for reason, pattern in _KNOWN.items():
    if re.match(pattern, name) or re.match(pattern, name[bare:]):
      return reason
  return None


def _project(weights) -> str:
  """Which project calls its encoder `backbone` or `encoder`, by its heads."""
  parts = {part for name in weights for part in name.split(".")}
  if {"projector", "classifier", "momentum_projector"} & parts:
    return "solo-learn"
  lightlys = {"projection_head", "online_classifier", "student_head"}
  return "lightly" if lightlys & parts else "backbone"


def _without_splits(
  inner: Mapping[str, stored_arrays.StoredArray],
) -> tuple[dict[str, stored_arrays.StoredArray], tuple[str, ...]]:
  """Merges the statistics of batch norm in splits, as lightly has it.

  lightly/models/batchnorm.py keeps those of all splits, one after another, and
  works with their means in inference.

  Returns:
    The arrays, and what was assumed.
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
  """Names for a numbered nn.Sequential of a ResNet's children.

  Returns:
    The arrays, and whether a ReLU stands between the stem's normalization and
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
