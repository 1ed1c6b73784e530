"""The interface between model files and the rest: `Reader` and `Network`.

The module of each file format returns a `Reader`; `image_model` makes features
of it, `trainable` a network to train.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import batch_norms as batch_norms_lib

# Pixels in the smallest batch of a model: 64 images of 1024x1024 px, 768 MiB.
_MAX_PIXELS = 2**26
_LONGEST = 300  # Characters of another library's error.


class Network(NamedTuple):
  """The parts of a model that training needs.

  Attributes:
    features: (images, training) -> [B, D]; takes the images of `Reader.run`.
      `training` selects whether batch norm uses and updates the statistics of
      the batch.
    endpoints: (images, training) -> maps after the stages, at least one of
      "C2", "C3", "C4", "C5", [B, h, w, C] each; None if the model has none.
    variables: all variables that the features depend on.
    trainable_variables: variables that receive gradients.
    note: sentence about parts that cannot be trained as usual, or "".
  """

  features: Callable[[tf.Tensor, bool], tf.Tensor]
  endpoints: Callable[[tf.Tensor, bool], Mapping[str, tf.Tensor]] | None
  variables: Sequence[tf.Variable]
  trainable_variables: Sequence[tf.Variable]
  note: str = ""


class Layers(NamedTuple):
  """The layers of a model that one pass can compute together.

  Attributes:
    names: names of the layers, shallowest first.
    run: names -> function of preprocessed images, as `Reader.run`, that returns
      the outputs of these layers, of any rank, in a list.
  """

  names: Sequence[str]
  run: Callable[[Sequence[str]], Callable]


class Reader(NamedTuple):
  """A model as its file describes it.

  Attributes:
    kind: format for people, such as "Keras file".
    run: preprocessed images [B, H, W, 3] float32 -> output of the layer, of
      any rank. A traceable function of tensors, unless `is_numpy`.
    layer: name of the layer whose output is the features.
    layer_chosen: reason for this layer.
    digest: hash of the weights and of the computation.
    preprocessing: name in `preprocessing.BY_NAME`, or any other name if
      `preprocess` is given; None if the file does not specify it.
    preprocessing_chosen: reason for this preprocessing.
    preprocess: function that preprocesses images, if `preprocessing` is not a
      name in `preprocessing.BY_NAME`.
    preprocessing_is_known: whether the preprocessing is a fact and needs no
      check, as for the encoders of this project.
    preprocessing_check: result of `preprocessing_check.checked`, or "".
    batch_norms: finds the first batch-norm layers if `is_numpy`; None if the
      format cannot.
    class_scores: preprocessed images, as for `run` -> logits or probabilities
      of classes [B, n]; None if the model is no classifier.
    image_size: height and width that the model requires; None for any.
    batch_size: number of images that the model requires; None for any.
    channels_first: whether its maps are [B, C, h, w].
    is_numpy: whether `run` takes and returns NumPy arrays.
    network: builds the network to train; None if the weights are constants.
    layers: the layers that one pass can compute together; None if the format
      cannot.
  """

  kind: str
  run: Callable
  layer: str
  layer_chosen: str
  digest: str
  preprocessing: str | None = None
  preprocessing_chosen: str = ""
  preprocess: Callable[[tf.Tensor], tf.Tensor] | None = None
  preprocessing_is_known: bool = False
  preprocessing_check: str = ""
  batch_norms: Callable[[], batch_norms_lib.BatchNorms | None] | None = None
  class_scores: Callable | None = None
  image_size: tuple[int, int] | None = None
  batch_size: int | None = None
  channels_first: bool = False
  is_numpy: bool = False
  network: Callable[[], Network] | None = None
  layers: Layers | None = None


def block_ends(
  kinds: Sequence[tuple[str, str]], preferred: Sequence[Sequence[str]]
) -> list[str]:
  """Names of the layers that end blocks, shallowest first.

  Args:
    kinds: (name, kind of layer) of each layer, shallowest first.
    preferred: groups of kinds; the first group with 4 layers or more is taken,
      such as sums, then activations.

  Returns:
    The names of the group, and the last layer; all layers if no group has 4.
  """
  for group in preferred:
    found = [name for name, kind in kinds if kind in group]
    if len(found) >= 4:
      last = kinds[-1][0]
      return found if found[-1] == last else [*found, last]
  return [name for name, _ in kinds]


def fixed_size(height: object, width: object) -> tuple[int, int] | None:
  """The height and width of an input; None unless both are integers."""
  if isinstance(height, int) and isinstance(width, int):
    return height, width
  return None


def check_pixels(model: str, batch: int, height: int, width: int) -> None:
  """Refuses images that would fill the memory before the model runs.

  Args:
    model: name of the model, the start of an error.
    batch: number of images that the model takes at once.
    height: height of the images in px.
    width: width of the images in px.

  Raises:
    UsageError: a number is below 1, or there are more than 2**26 pixels.
  """
  errors.require(
    min(batch, height, width) >= 1 and batch * height * width <= _MAX_PIXELS,
    f"{model} takes {batch} images of {width}x{height} px at once; expected at "
    f"least 1 of each and at most {_MAX_PIXELS} pixels",
  )


def check_numbers(path: str, weights: Iterable[tuple[str, np.ndarray]]) -> None:
  """Refuses weights with NaN, which fused operations may turn into zeros.

  Args:
    path: path of the model, the start of the error.
    weights: names and arrays of any shape and type.

  Raises:
    UsageError: a floating-point array contains NaN.
  """
  for name, array in weights:
    # Also of bfloat16, which NumPy does not count as floating.
    bad = int(np.count_nonzero(array != array))
    errors.require(
      not bad,
      f"{path}: {bad} of {array.size} values of the weights {name} are NaN: "
      "the file is damaged, or its training has diverged; give another file",
    )


def path_digest(path: str) -> str:
  """SHA-256 of a file, or of all files of a folder and their names."""
  if os.path.isfile(path):
    with open(path, "rb") as file:
      return hashlib.file_digest(file, "sha256").hexdigest()
  sha256 = hashlib.sha256()
  for folder, folders, files in os.walk(path):
    folders.sort()
    for name in sorted(files):
      inner = os.path.join(folder, name)
      sha256.update(os.fsencode(os.path.relpath(inner, path)) + b"\0")
      sha256.update(f"{path_digest(inner)}\n".encode())
  return sha256.hexdigest()


def weights_digest(description: str, weights: list[np.ndarray]) -> str:
  """SHA-256 of a description and of arrays."""
  sha256 = hashlib.sha256(description.encode("utf-8", "surrogatepass"))
  for array in weights:
    sha256.update(f"{array.dtype}{array.shape}".encode())
    sha256.update(np.ascontiguousarray(array).data)
  return sha256.hexdigest()


@contextlib.contextmanager
def reading(problem: str, advice: str = "") -> Iterator[None]:
  """The boundary between a user's model and the library that reads or runs it.

  Whatever the body raises becomes a UsageError of one line: a damaged file
  makes libraries raise anything. Keep the body to the library's work.

  Args:
    problem: start of the message, such as "a.onnx cannot be read as an ONNX
      file".
    advice: what to change, or what was expected.

  Raises:
    UsageError: the body raised it, or another exception, which is its cause.
  """
  try:
    yield
  except errors.UsageError:
    raise
  except Exception as error:
    advice = f"; {advice}" if advice else ""
    raise errors.UsageError(f"{problem}: {one_line(error)}{advice}") from error


def one_line(error: Exception) -> str:
  """The message of another library's error, shortened to one line."""
  text = " ".join(str(error).split())
  if len(text) > _LONGEST:  # The start says where, the end often why.
    text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
  return text or type(error).__name__  # MemoryError has no message.
