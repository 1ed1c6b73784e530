"""Recognizes a ResNet in the weights of another project by its names.

PyTorch: any file that has torchvision's names under a prefix, complete and of
fitting shapes, next to anything else, such as those of MoCo, VISSL, lightly,
solo-learn, DINO, Barlow Twins, OpenSelfSup and torch.compile. TensorFlow:
google-research/simclr, and SavedModels of this project.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.export import (
  foreign_resnet,
  stored_arrays,
  tensorflow_names,
  torchvision_names,
)

Arrays = Mapping[str, stored_arrays.StoredArray]

# google-research/simclr, tf2/resnet.py: pixels in 0..1 (data_util.py), the
# max-pool pads as SAME, and each group of blocks starts with a projection.
_SIMCLR = foreign_resnet.Difference(
  unit_range=True, same_max_pool=True, always_project=True
)
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
  r"(?:(?:module|_orig_mod)\.)*(?:model\.)?(?:_orig_mod\.)*"
)
# Prefixes that are preferred, with the name of the project. The order matters.
# Of lightly's `backbone` and `student_backbone`, lightly evaluates the former.
_PREFERRED = (
  (
    "VISSL",
    r"(?:classy_state_dict\.base_model\.model\.)?(?:trunk\.)?(?:base_model\.)?"
    r"_feature_blocks\.",
  ),
  ("MoCo", r"encoder_q\.(?:net\.)?"),
  ("backbone", r"(?:backbone|encoder|base_encoder)\.(?:net\.)?"),
  ("backbone", r"student_backbone\.(?:net\.)?"),
)
_PLAIN = r"(?:net\.)?"
# Words of other prefixes: of the averaged encoder, which is preferred, and of
# the trained one, which comes last.
_AVERAGED = {"teacher", "ema", "momentum", "key", "k", "target", "averaged"}
_TRAINED = {"student", "query", "q", "online"}
_STEM = re.compile(r"(.*?)(conv1|0)\.weight")
_MAX_CANDIDATES = 64
# Modules that are on the way from the image to the feature.
_BODY = re.compile(r"(?:conv\d*|(?:bn|norm|layer)\d+|stem\w*|downsample)\.")
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
    unknown: names in the encoder that torchvision's network lacks.
    prefix: prefix of the encoder's names in the file.
    others: prefixes of other complete encoders in the file.
    difference: difference of the network from torchvision's.
    assumed: sentences about facts that the file does not contain.
  """

  kind: str
  weights: dict[str, stored_arrays.StoredArray]
  ignored: dict[str, list[str]]
  unknown: list[str]
  prefix: str = ""
  others: tuple[str, ...] = ()
  difference: foreign_resnet.Difference = foreign_resnet.Difference()
  assumed: tuple[str, ...] = ()


def recognize(
  weights: Arrays,
  *,
  prefix: str | None = None,
  stem_padding: int | None = None,
) -> Recognized | None:
  """Finds a ResNet among named arrays; None if there is none.

  Args:
    weights: arrays by the names in a file, from `weight_files.read`.
    prefix: prefix of the encoder's names, or a part of it that no other encoder
      has, such as "teacher"; None chooses. Of several complete encoders, that
      of a known project is taken, then an averaged one (teacher, momentum, key,
      target, ema).
    stem_padding: padding of a 3x3 stem, px; None takes the project's, or 1.

  Raises:
    UsageError: there is no ResNet under `prefix`, or `stem_padding` is given
      and the stem is not of 3x3.
  """
  if prefix is None:
    found = _recognize_tensorflow(weights)
    if found is not None:
      errors.require(
        stem_padding is None,
        f"stem_padding={stem_padding}: {found.kind} has its own; omit it",
      )
      return found
  return _recognize_torch(weights, prefix, stem_padding)


def _recognize_tensorflow(
  weights: Arrays,
) -> Recognized | None:
  for kind, rename, difference in (
    ("SimCLR (TensorFlow 2)", tensorflow_names.of_simclr, _SIMCLR),
    (
      "tf_ssl SavedModel",
      tensorflow_names.of_saved_model,
      foreign_resnet.Difference(),
    ),
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
        named[new] = tensorflow_names.as_torch(array)
    if "conv1.weight" in named:
      return Recognized(kind, named, ignored, unknown, difference=difference)
  return None


class _Candidate(NamedTuple):
  """Arrays that may be a ResNet.

  Attributes:
    prefix: prefix of their names in the file.
    arrays: arrays by torchvision's names, without heads and counts.
    beside: reason by name of the arrays under the prefix that are not used.
    is_numbered: whether the file has the numbers of an nn.Sequential.
    difference: difference of the network from torchvision's.
    assumed: sentences about facts that the file does not contain.
  """

  prefix: str
  arrays: dict[str, stored_arrays.StoredArray]
  beside: dict[str, str]
  is_numbered: bool
  difference: foreign_resnet.Difference
  assumed: tuple[str, ...]

  def is_complete(self) -> bool:
    return torchvision_names.misfit(self.arrays, self.difference) is None


def _recognize_torch(
  weights: Arrays, prefix: str | None, stem_padding: int | None
) -> Recognized | None:
  candidates = list(_candidates(weights))
  if prefix is not None:
    chosen = _under(candidates, prefix)
  else:
    chosen = _chosen(candidates)
    if chosen is None:
      return None
  kind = _kind(chosen, weights)
  ignored = {}
  for name in weights:
    bare = name.removeprefix(chosen.prefix)
    if not name.startswith(chosen.prefix):
      reason = _known(name) or "no part of the encoder"
    elif bare in chosen.beside:
      reason = chosen.beside[bare]
    else:
      continue
    ignored.setdefault(reason, []).append(name)
  difference, assumed = _stem(chosen, kind, stem_padding)
  return Recognized(
    kind,
    chosen.arrays,
    ignored,
    unknown=[],
    prefix=chosen.prefix,
    others=tuple(
      c.prefix for c in candidates if c is not chosen and c.is_complete()
    ),
    difference=difference,
    assumed=(*chosen.assumed, *assumed),
  )


def _stem(
  chosen: _Candidate, kind: str, padding: int | None
) -> tuple[foreign_resnet.Difference, list[str]]:
  """The difference with the padding of the stem, and what is assumed."""
  if chosen.arrays["conv1.weight"].shape[-1] != 3:
    errors.require(
      padding is None,
      f"stem_padding={padding}: the stem is not of 3x3; omit it",
    )
    return chosen.difference, []
  if padding is None:
    # solo-learn, solo/methods/base.py: the CIFAR stem pads by two pixels.
    padding = 2 if kind == "solo-learn" else 1
  errors.require(
    padding in foreign_resnet.STEM_PADDINGS,
    f"stem_padding={padding}: expected 1, 2 or 3 px",
  )
  return dataclasses.replace(chosen.difference, stem_padding=padding), [
    f"the 3x3 stem has stride 1, {padding} px of padding (stem_padding changes "
    "it), and no max-pool"
  ]


def _candidates(weights: Arrays) -> Iterator[_Candidate]:
  """Every place that may have a ResNet, in the order of the file."""
  stems = {}
  for name, array in weights.items():
    match = _STEM.fullmatch(name)
    # At most 4 channels: the others are of layers inside the network.
    if match and len(array.shape) == 4 and array.shape[1] <= 4:
      stems.setdefault(match[1], match[2])
  for prefix in list(stems)[:_MAX_CANDIDATES]:
    found = _candidate(weights, prefix, is_numbered=stems[prefix] == "0")
    if any(name.startswith("layer") for name in found.arrays):
      yield found


def _candidate(weights, prefix: str, *, is_numbered: bool) -> _Candidate:
  inner = {
    name.removeprefix(prefix): array
    for name, array in weights.items()
    if name.startswith(prefix)
  }
  theirs = {name: name for name in inner}
  difference = foreign_resnet.Difference()
  if is_numbered:
    theirs, stem_relu = _with_names(inner)
    difference = foreign_resnet.Difference(stem_relu=stem_relu)
  arrays, beside = {}, {}
  for name, array in inner.items():
    new = theirs[name].replace(".shortcut.", ".downsample.")
    reason = _known(new)
    if reason is None and not _BODY.match(new):
      reason = "beside the encoder"
    if reason is None:
      arrays[new] = array
    else:
      beside[name] = reason
  arrays, assumed = _without_splits(arrays)
  return _Candidate(prefix, arrays, beside, is_numbered, difference, assumed)


def _chosen(candidates: list[_Candidate]) -> _Candidate | None:
  for _, pattern in _PREFERRED:
    preferred = re.compile(_WRAPPERS + pattern)
    for candidate in candidates:
      if preferred.fullmatch(candidate.prefix):
        return candidate  # Even if incomplete: another one would be a surprise.
  # An incomplete ResNet is an error that lists its names.
  found = [c for c in candidates if c.is_complete()] or candidates
  plain = re.compile(_WRAPPERS + _PLAIN)
  for candidate in found:
    if plain.fullmatch(candidate.prefix) and _is_main(candidate, found):
      return candidate
  return min(found, key=lambda c: _rank(c.prefix), default=None)


def _under(candidates: list[_Candidate], prefix: str) -> _Candidate:
  """The candidate of a prefix, or the only one with `prefix` in its own."""
  prefix = prefix.rstrip(".")
  found = [c for c in candidates if c.prefix.rstrip(".") == prefix] or [
    c for c in candidates if f".{prefix}." in f".{c.prefix}"
  ]
  if len(found) != 1:
    raise errors.UsageError(
      f"{len(found)} ResNets under the prefix {prefix!r}; expected one of "
      f"{', '.join(repr(c.prefix) for c in candidates) or 'none'}; change or "
      "omit `prefix`"
    )
  return found[0]


def _is_main(candidate: _Candidate, others: list[_Candidate]) -> bool:
  """Whether each other encoder is one that its project keeps beside it."""
  return all(
    other is candidate or _known(f"{other.prefix}conv1.weight")
    for other in others
  )


def _rank(prefix: str) -> int:
  words = set(re.split(r"[._]", prefix))
  return 1 - bool(words & _AVERAGED) + bool(words & _TRAINED)


def _kind(chosen: _Candidate, weights: Arrays) -> str:
  kinds = (*_PREFERRED, ("torchvision", _PLAIN), ("PyTorch", ".*"))
  kind = next(
    kind
    for kind, pattern in kinds
    if re.fullmatch(_WRAPPERS + pattern, chosen.prefix)
  )
  if kind != "backbone":
    return kind
  if chosen.is_numbered:
    return "lightly"
  parts = {part for name in weights for part in name.split(".")}
  is_lightning = chosen.prefix in ("state_dict.backbone.", "backbone.")
  if is_lightning and {"classifier", "momentum_projector"} & parts:
    return "solo-learn"
  lightlys = {"projection_head", "online_classifier", "student_head"}
  return "lightly" if lightlys & parts else kind


def _known(name: str) -> str | None:
  bare = re.match(_WRAPPERS, name).end()
  for reason, pattern in _TORCH_UNUSED.items():
    if re.match(pattern, name) or re.match(pattern, name[bare:]):
      return reason
  return None


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


def _with_names(inner: Arrays) -> tuple[dict[str, str], bool]:
  """Names the numbered children of a ResNet in an nn.Sequential.

  Returns:
    torchvision's name by name, and whether a ReLU is between the normalization
    of the stem and the first stage. lightly's own ResNet applies its ReLU in
    `forward`, so that a Sequential of its children has none.
  """
  numbers = sorted(
    {
      int(name.split(".")[0])
      for name in inner
      if re.match(r"\d{1,3}\.\d+\.conv1\.", name)
    }
  )
  children = {"0": "conv1", "1": "bn1"}
  children.update(
    {str(number): f"layer{i}" for i, number in enumerate(numbers, 1)}
  )
  named = {}
  for name in inner:
    first, _, rest = name.partition(".")
    named[name] = f"{children.get(first, first)}.{rest}"
  return named, not numbers or numbers[0] > 2
