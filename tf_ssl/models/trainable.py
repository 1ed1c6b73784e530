"""A model of any kind as a network whose weights can be trained."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import image_model, load
from tf_ssl.models import preprocessing as preprocessing_lib
from tf_ssl.models import reader as reader_lib

_PROBE_SIZE = 64  # px; of the image that reveals widths and strides
_KINDS = (
  "a run of tf_ssl or one of its checkpoints, a SavedModel that tf_ssl "
  "exported or that has variables, trainable_variables and a call with "
  "`training`, a .keras or .h5 file, keras.applications:NAME, or random:NAME"
)
# Initial values by the last part of Keras' variable names.
_ONES = ("gamma", "moving_variance")
_ZEROS = ("beta", "bias", "moving_mean")


class TrainableEncoder:
  """A network: images -> features or maps, with variables to train.

  All functions run eagerly and inside `tf.function`, and are differentiable.

  Attributes:
    name: name of the model, for reports.
    description: an `image_model.Description`, with the kind and the digest of
      the file that the weights came from.
    variables: all variables that features and maps depend on.
    trainable_variables: variables that receive gradients.
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
      name: name of the model, for reports and errors.
      reader: the model as its file describes it.
      path: path of the file, for reports.
      preprocessing: name in `preprocessing.BY_NAME`; None for what the file
        specifies.

    Raises:
      UsageError: the model cannot be trained, requires a fixed batch size, or
        has no known preprocessing.
    """
    if reader.network is None or reader.batch_size is not None:
      why = f"is a {reader.kind} without weights that can be trained"
      if reader.batch_size is not None:
        why = f"takes exactly {reader.batch_size} images at once"
      raise errors.UsageError(
        f"model {name!r} ({path}) {why}; expected {_KINDS}"
      )
    self.name = name
    with reader_lib.reading(f"model {name!r} ({path}) cannot be trained"):
      self._network = reader.network()
    self._preparation = preprocessing_lib.prepare_for(
      reader, name=name, path=path, preprocessing=preprocessing
    )
    self.variables: Sequence[tf.Variable] = list(self._network.variables)
    self.trainable_variables: Sequence[tf.Variable] = list(
      self._network.trainable_variables
    )
    two = np.repeat(self._probe_image(), 2, axis=0)
    with reader_lib.reading(f"model {name!r} ({path}) fails on two images"):
      features, note = self._vectors(two, False)
    errors.require(
      features.shape[0] == 2,
      f"model {name!r} ({path}) gives {tuple(features.shape)} for two images; "
      "expected [2, D]; training needs a model that takes any number",
    )
    self.description = image_model.describe(
      name,
      reader,
      path,
      self._preparation,
      features.shape[1],
      "; ".join(filter(None, [note, self._network.note])),
    )

  def features(self, images: tf.Tensor, training: bool) -> tf.Tensor:
    """Computes the features of images.

    Args:
      images: [B, H, W, 3] RGB, float32, 0..255; of any size: they are resized
        if the model requires one size.
      training: whether batch norm uses and updates the statistics of the batch.

    Returns:
      [B, D] float32.
    """
    return self._vectors(images, training)[0]

  def endpoints(
    self, images: tf.Tensor, training: bool
  ) -> dict[str, tf.Tensor]:
    """Computes the maps after each stage.

    Args:
      images: [B, H, W, 3] RGB, float32, 0..255, as for `features`.
      training: whether batch norm uses and updates the statistics of the batch.
        If the maps were exported for inference only, batch norm keeps its
        statistics, and `description.note` records it.

    Returns:
      Maps [B, h, w, C] float32 by name, those of "C2", "C3", "C4" and "C5" that
      the model has (see `strides`).

    Raises:
      UsageError: the model has no maps.
    """
    if self._network.endpoints is None:
      raise errors.UsageError(
        f"model {self.name!r} ({self.description.path}): this "
        f"{self.description.kind} has features but no maps C2 to C5; "
        "expected a model of tf_ssl, or a Keras model that is a graph of layers"
      )
    maps = self._network.endpoints(self._preparation(images), training)
    return {name: tf.cast(maps[name], tf.float32) for name in sorted(maps)}

  @property
  def strides(self) -> Mapping[str, int]:
    """Strides of the maps in px of the image; UsageError without maps."""
    return {name: stride for name, (stride, _) in self._maps.items()}

  @property
  def channels(self) -> Mapping[str, int]:
    """Number of channels of each map; UsageError without maps."""
    return {name: channels for name, (_, channels) in self._maps.items()}

  def check_drawable(self) -> None:
    """Raises the UsageError of `draw_weights`, and changes no weight."""
    _kinds(self.variables, self.name)

  def draw_weights(self, seed: int) -> None:
    """Initializes all weights, for training from scratch.

    Args:
      seed: seed of the weights.

    Raises:
      UsageError: a variable has an unknown kind, see `draw_weights`.
    """
    draw_weights(self.variables, seed, name=self.name)

  @contextlib.contextmanager
  def restored(self) -> Iterator[None]:
    """Restores all weights when the body ends."""
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
    with reader_lib.reading(f"model {self.name!r} fails on an image"):
      endpoints = self.endpoints(image, False)
    return {
      name: (-(-image.shape[1] // maps.shape[1]), maps.shape[3])
      for name, maps in endpoints.items()
    }


def load_trainable(
  spec: str,
  *,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
  preprocessing: str | None = None,
) -> TrainableEncoder:
  """Loads a model for training without running Python code from its file.

  Args:
    spec: "NAME=PATH" or "PATH", as in `load.load_model`.
    restore_run: restores the encoder of a run, as in `load.load_model`.
    preprocessing: name in `preprocessing.BY_NAME`; None for what the file
      specifies.

  Returns:
    The network, with its own copy of the variables.

  Raises:
    UsageError: an error of `load.load_model`, or a model that cannot be trained
      (ONNX, pixels, a SavedModel exported for inference only).
  """
  name, path = load.split(spec)
  found = load.read(path, restore_run=restore_run)
  return TrainableEncoder(name, found, path=path, preprocessing=preprocessing)


def draw_weights(
  variables: Sequence[tf.Variable], seed: int, *, name: str
) -> None:
  """Initializes the variables of a network.

  Uses the initialization of torchvision's ResNet and of this project: kernels
  are normal with variance 2 / fan-out; batch norm has scale 1, offset 0, moving
  mean 0 and moving variance 1; biases are 0. Keras' name of a variable reveals
  its kind.

  Args:
    variables: all variables of the network; changed in place.
    seed: seed of the kernels.
    name: name of the model, for errors.

  Raises:
    UsageError: a variable of an unknown kind.
  """
  kinds = _kinds(variables, name)
  seeds = np.random.SeedSequence(seed).generate_state(len(variables))
  for variable, kind, number in zip(variables, kinds, seeds, strict=True):
    if kind.endswith("kernel"):
      initializer = tf.keras.initializers.VarianceScaling(
        2.0,
        mode="fan_out",
        distribution="untruncated_normal",
        seed=int(number >> 1),
      )
      variable.assign(initializer(variable.shape, variable.dtype))
    else:
      value = 1.0 if kind in _ONES else 0.0
      variable.assign(tf.fill(variable.shape, tf.cast(value, variable.dtype)))


def _kinds(variables: Sequence[tf.Variable], name: str) -> list[str]:
  """Last part of the name of each variable; UsageError for unknown ones."""
  kinds = [
    variable.name.rsplit("/", 1)[-1].partition(":")[0] for variable in variables
  ]
  unknown = [
    variable.name
    for variable, kind in zip(variables, kinds, strict=True)
    if kind not in (*_ONES, *_ZEROS)
    and not (kind.endswith("kernel") and variable.shape.rank >= 2)
  ]
  errors.require(
    not unknown,
    f"model {name!r}: the initialization of {', '.join(unknown[:5])} is not "
    "known, so the network cannot be trained from scratch; leave out that "
    "comparison, or give a file of the untrained network as a model",
  )
  return kinds
