"""A model of any kind as a network whose weights can be trained."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import image_model, load, preparation, random_weights
from tf_ssl.models import reader as reader_lib

_PROBE_SIZE = 64  # px; of what tells widths and strides
_KINDS = (
  "a run of tf_ssl or one of its checkpoints, a SavedModel that it exported or "
  "that has variables, trainable_variables and a call with `training`, a "
  ".keras or .h5 file, keras.applications:NAME, or random:NAME"
)


class TrainableEncoder:
  """A network: images in, features or maps out, variables to train.

  Everything can be called eagerly and inside `tf.function`, and is
  differentiable.

  Attributes:
    name: for reports.
    description: as that of `image_model.ImageModel`: kind and digest of the
      file that the weights came from, among others.
    variables: all that make the features and the maps.
    trainable_variables: those that gradients may move.
  """

  def __init__(
    self,
    name: str,
    reader: reader_lib.Reader,
    *,
    path: str = "",
    preprocessing: str | None = None,
  ):
    """Prepares the model and runs it once.

    Args:
      name: for reports and errors.
      reader: the model as its file describes it.
      path: for reports.
      preprocessing: over what the file says.

    Raises:
      UsageError: it cannot be trained, or not on any number of images, or
        nothing says how its pixels are preprocessed.
    """
    if reader.network is None or reader.batch_size is not None:
      why = f"is a {reader.kind} without weights that can be trained"
      if reader.batch_size is not None:
        why = f"takes exactly {reader.batch_size} images at once"
      raise errors.UsageError(
        f"model {name!r} ({path}) {why}; expected {_KINDS}"
      )
    self.name = name
    self._network = reader.network()
    self._preparation = preparation.of_reader(
      reader, name=name, path=path, preprocessing=preprocessing
    )
    self.variables: Sequence[tf.Variable] = list(self._network.variables)
    self.trainable_variables: Sequence[tf.Variable] = list(
      self._network.trainable_variables
    )
    size = self._preparation.size
    features, note = self._vectors(self._probe_image(), False)
    self.description = image_model.Description(
      name=name,
      kind=reader.kind,
      path=path,
      layer=reader.layer,
      layer_chosen=reader.layer_chosen,
      preprocessing=self._preparation.preprocessing,
      preprocessing_chosen=self._preparation.chosen,
      image_size=None if size is None else list(size),
      batch_size=None,
      width=features.shape[1],
      note="; ".join(filter(None, [note, self._network.note])),
      digest=reader.digest,
    )

  def features(self, images: tf.Tensor, training: bool) -> tf.Tensor:
    """Features of images.

    Args:
      images: [B, H, W, 3] RGB, float32, 0..255; of any size, unless the model
        was made for one size, to which they are then resized.
      training: whether batch norm uses the statistics of the batch, and moves
        its own by them.

    Returns:
      [B, D] float32.
    """
    return self._vectors(images, training)[0]

  def endpoints(
    self, images: tf.Tensor, training: bool
  ) -> dict[str, tf.Tensor]:
    """The maps after each stage.

    Args:
      images: as for `features`.
      training: likewise; where the model's maps were exported for inference
        only, batch norm keeps its statistics, and `description.note` says so.

    Returns:
      Of "C2", "C3", "C4" and "C5" those that the model has (`strides`), [B, h,
      w, C] float32 each.

    Raises:
      UsageError: it has none.
    """
    if self._network.endpoints is None:
      raise errors.UsageError(
        f"model {self.name!r} ({self.description.path}): this "
        f"{self.description.kind} gives features but no maps C2 to C5; "
        "expected a model of tf_ssl, or a Keras model that is a graph of layers"
      )
    maps = self._network.endpoints(self._preparation(images), training)
    return {name: tf.cast(maps[name], tf.float32) for name in sorted(maps)}

  @property
  def strides(self) -> Mapping[str, int]:
    """From each of the maps to how many pixels of the image a place is.

    Raises:
      UsageError: it has none.
    """
    return {name: stride for name, (stride, _) in self._maps.items()}

  @property
  def channels(self) -> Mapping[str, int]:
    """From each of the maps to how many channels it has.

    Raises:
      UsageError: it has none.
    """
    return {name: channels for name, (_, channels) in self._maps.items()}

  def draw_weights(self, seed: int) -> None:
    """Sets all weights anew: the same network before any training.

    Args:
      seed: of the weights.

    Raises:
      UsageError: it has variables of which no rule says how they start.
    """
    random_weights.draw(self.variables, seed, name=self.name)

  @contextlib.contextmanager
  def restored(self) -> Iterator[None]:
    """Whatever happens to the weights inside, they are as before afterwards."""
    before = [variable.numpy() for variable in self.variables]
    try:
      yield
    finally:
      for variable, value in zip(self.variables, before, strict=True):
        variable.assign(value)

  def _vectors(self, images, training) -> tuple[tf.Tensor, str]:
    output = self._network.features(self._preparation(images), training)
    return image_model.vectors(output, f"model {self.name!r}")

  def _probe_image(self) -> np.ndarray:
    size = self._preparation.size or (_PROBE_SIZE, _PROBE_SIZE)
    return np.full([1, *size, 3], 128, np.float32)

  @functools.cached_property
  def _maps(self) -> dict[str, tuple[int, int]]:
    image = self._probe_image()
    return {
      name: (-(-image.shape[1] // maps.shape[1]), maps.shape[3])
      for name, maps in self.endpoints(image, False).items()
    }


def load_trainable(
  spec: str,
  *,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
  preprocessing: str | None = None,
) -> TrainableEncoder:
  """Loads a model to train it; no Python code of its file is run.

  Args:
    spec: "NAME=PATH" or "PATH", as `load.load_model` takes it.
    restore_run: likewise.
    preprocessing: likewise.

  Returns:
    The network, with variables that nothing else uses.

  Raises:
    UsageError: as `load.load_model`, or a model that cannot be trained (ONNX,
      pixels, a SavedModel exported for inference only).
  """
  name, path = load.split(spec)
  found = load.read(path, restore_run=restore_run)
  return TrainableEncoder(name, found, path=path, preprocessing=preprocessing)
