"""What a loader finds out about a file: how to run it, and what that rests on.

Each kind of file has a module that returns a `Reader`; `image_model` turns it
into the one object that evaluation uses.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Network(NamedTuple):
  """What training needs of a model.

  Attributes:
    features: (images, training) -> [B, D], as `Reader.run` but for `training`:
      whether batch norm uses and updates the statistics of the batch.
    endpoints: (images, training) -> the maps after its stages, at least one of
      "C2", "C3", "C4", "C5", [B, h, w, C] each; None where it offers none.
    variables: all that make the features.
    trainable_variables: those that gradients may move.
    note: a sentence on what cannot be trained as usual; empty if nothing.
  """

  features: Callable[[tf.Tensor, bool], tf.Tensor]
  endpoints: Callable[[tf.Tensor, bool], Mapping[str, tf.Tensor]] | None
  variables: Sequence[tf.Variable]
  trainable_variables: Sequence[tf.Variable]
  note: str = ""


class Reader(NamedTuple):
  """A model as its file describes it.

  Attributes:
    kind: in words, such as "Keras file".
    run: [B, H, W, 3] float32, preprocessed, -> the layer's output, of any rank.
      A function of tensors that can be traced, unless `is_numpy`.
    layer: name of what is read.
    layer_chosen: why that.
    preprocessing: its name in `preprocessing.BY_NAME`, or any other where
      `preprocess` is given; None where the file does not say.
    preprocessing_chosen: why that.
    preprocess: the function, where it is none of `preprocessing.BY_NAME`.
    image_size: height and width that the model takes; None for any.
    batch_size: number of images that it takes at once; None for any.
    channels_first: whether its maps are [B, C, h, w].
    is_numpy: whether `run` takes and returns NumPy arrays.
    digest: hash of the weights and of what is computed with them.
    network: makes what training needs; None where its weights cannot be
      trained.
  """

  kind: str
  run: Callable
  layer: str
  layer_chosen: str
  digest: str
  preprocessing: str | None = None
  preprocessing_chosen: str = ""
  preprocess: Callable[[tf.Tensor], tf.Tensor] | None = None
  image_size: tuple[int, int] | None = None
  batch_size: int | None = None
  channels_first: bool = False
  is_numpy: bool = False
  network: Callable[[], Network] | None = None


def fixed_size(height: object, width: object) -> tuple[int, int] | None:
  """The sides of an input, None unless both are numbers."""
  if isinstance(height, int) and isinstance(width, int):
    return height, width
  return None


def path_digest(path: str) -> str:
  """SHA-256 of a file, or of all files of a folder with their names."""
  if os.path.isfile(path):
    with open(path, "rb") as file:
      return hashlib.file_digest(file, "sha256").hexdigest()
  sha256 = hashlib.sha256()
  for folder, folders, files in os.walk(path):
    folders.sort()
    for name in sorted(files):
      inner = os.path.join(folder, name)
      sha256.update(f"{os.path.relpath(inner, path)}\0".encode())
      sha256.update(f"{path_digest(inner)}\n".encode())
  return sha256.hexdigest()


def weights_digest(what: str, weights: list[np.ndarray]) -> str:
  """SHA-256 of a description and of arrays."""
  sha256 = hashlib.sha256(what.encode())
  for array in weights:
    sha256.update(f"{array.dtype}{array.shape}".encode())
    sha256.update(np.ascontiguousarray(array).data)
  return sha256.hexdigest()
