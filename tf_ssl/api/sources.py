"""Images and models as Python users have them: arrays, paths, runs."""

import copy
import hashlib
import importlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import open_images, records
from tf_ssl.models import image_model, load
from tf_ssl.ops import workdir

Images = str | os.PathLike | np.ndarray | tuple[np.ndarray, Sequence]
Model = str | os.PathLike | image_model.ImageModel
_FOLDER = "tf_ssl_arrays"  # In the folder for temporary files.


def restore_run(path: str) -> tf.keras.Model:
  """The encoder of a run; see `run_restorer`."""
  return run_restorer().restore_encoder(path)


def run_restorer() -> ModuleType:
  """The module that rebuilds runs from their config, as the tools do.

  It needs gin, which the library itself does not use, and is imported only when
  a run is read. An installation has it in tf_ssl.tools, a checkout in tools.
  """
  for package in ("tf_ssl.tools", "tools"):
    try:
      return importlib.import_module(f"{package}._cli.gin_runs")
    except ModuleNotFoundError as error:
      if error.name is None or not package.startswith(error.name):
        raise
  raise errors.UsageError(
    "runs cannot be read without the command line tools; install tf_ssl, or "
    "give the run's saved_model folder"
  )


def models(
  given: Model | Sequence[Model] | Mapping[str, Model], **options: Any
) -> list[image_model.ImageModel]:
  """Loads models unless they are loaded.

  Args:
    given: one model or several, or {name: model}.
    **options: options of `load.load_model` for those that are paths.

  Raises:
    UsageError: a model cannot be loaded, or two have one name.
  """
  if isinstance(given, (str, os.PathLike, image_model.ImageModel)):
    given = [given]
  if isinstance(given, Mapping):
    given = [
      _named(model, name)
      if isinstance(model, image_model.ImageModel)
      else f"{name}={os.fspath(model)}"
      for name, model in given.items()
    ]
  found = [
    one
    if isinstance(one, image_model.ImageModel)
    else load.load_model(os.fspath(one), restore_run=restore_run, **options)
    for one in given
  ]
  load.check_names([model.name for model in found])
  return found


def _named(model: image_model.ImageModel, name: str) -> image_model.ImageModel:
  """A view of a loaded model under another name."""
  named = copy.copy(model)
  named.name = name
  named.description = model.description._replace(name=name)
  return named


def image_source(images: Images, *, argument: str) -> str:
  """The path of images; arrays are written to a temporary folder.

  The name of the folder is a hash of its content, so that equal arrays have
  equal paths and a call that takes them can resume.

  Args:
    images: source that `open_images` reads, [N, H, W, 3] uint8, or such an
      array and its labels [N], names or numbers of classes.
    argument: name of the argument, for errors.

  Raises:
    UsageError: an array of another shape or type, or another number of labels.
  """
  if isinstance(images, (str, os.PathLike)):
    return os.fspath(images)
  pixels, labels = images if isinstance(images, tuple) else (images, None)
  pixels = check_array(pixels, argument)
  errors.require(
    labels is None or len(labels) == len(pixels),
    f"{argument}: {len(pixels)} images and "
    f"{0 if labels is None else len(labels)} labels; expected one per image",
  )
  sha256 = hashlib.sha256(f"{pixels.shape}".encode())
  sha256.update(np.ascontiguousarray(pixels).data)
  sha256.update("\0".join(map(str, [] if labels is None else labels)).encode())
  base = os.path.join(tempfile.gettempdir(), f"{_FOLDER}_{os.getuid()}")
  folder = os.path.join(base, sha256.hexdigest()[:32])
  if not os.path.isdir(folder):
    with workdir.replacing_folder(folder, overwrite=True) as partial:
      for number, image in enumerate(pixels):
        # Classes are sorted by name; numbers must keep their order.
        label = "" if labels is None else labels[number]
        name = f"{label:08d}" if isinstance(label, np.integer | int) else label
        inner = os.path.join(partial, str(name))
        os.makedirs(inner, exist_ok=True)
        Image.fromarray(image).save(os.path.join(inner, f"{number:08d}.png"))
  return folder


def check_array(images: Any, argument: str) -> np.ndarray:
  """Returns images as an array [N, H, W, 3] uint8, or raises UsageError."""
  array = np.asarray(images)
  errors.require(
    array.dtype == np.uint8
    and array.ndim == 4
    and array.shape[3] == 3
    and array.size,
    f"{argument}: an array {array.dtype} {list(array.shape)}; expected uint8 "
    "[N, H, W, 3], 0..255",
  )
  return array


def labeled_records(
  images: Images | records.ImageRecords, *, argument: str
) -> records.ImageRecords:
  """Labeled images as records; arguments and errors as in `image_source`."""
  if isinstance(images, records.ImageRecords):
    return images
  return open_images.open_images(
    image_source(images, argument=argument), labeled=True, named_by=argument
  )


class OutputFolder:
  """The folder of an output; a temporary one is removed with this object.

  Attributes:
    path: path of the folder.
  """

  def __init__(self, path: str | os.PathLike | None):
    """Takes the user's path; None makes a temporary folder."""
    self._temporary = None
    if path is None:
      self._temporary = tempfile.TemporaryDirectory(prefix="tf_ssl_")
      path = self._temporary.name
    self.path = os.fspath(path)


def collect() -> tuple[list[str], Callable[[str], None]]:
  """A list and the function that appends lines to it, for arguments `say`."""
  lines: list[str] = []
  return lines, lines.append
