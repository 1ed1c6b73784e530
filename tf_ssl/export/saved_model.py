"""Exports an encoder as a SavedModel that runs without this project.

After `loaded = tf.saved_model.load(path)`:

  loaded.features(images)    [B, H, W, 3] -> [B, D]
  loaded.embedding(images)   [B, H, W, 3] -> [B, E], unit length
  loaded.endpoints(images)   [B, H, W, 3] -> {"C2": [B, H/4, W/4, C], ... "C5"}
  loaded(images, training)   [B, H, W, 3] -> [B, D], differentiable
  loaded.endpoints(images, training), for float32 images

With training=True batch norm uses and updates batch statistics. Images are
uint8 or float32, 0..255, of any number and size; preprocessing is included. It
is a reusable SavedModel: `tensorflow_hub.KerasLayer(path, trainable=True)`
fine-tunes it. The three functions are also signatures. A signature takes one
dtype: float32 in `features`, `embedding` and `endpoints`, uint8 in
`features_uint8`, `embedding_uint8` and `endpoints_uint8`.
"""

import json
import os
from collections.abc import Callable, Mapping

import tensorflow as tf
from absl import logging

from tf_ssl.encoders import batch_norm
from tf_ssl.export import model_card
from tf_ssl.ops import pixels, workdir

MODEL_FILE = "saved_model.pb"
PROVENANCE_FILE = model_card.PROVENANCE_FILE
_PARTS = frozenset(
  [
    MODEL_FILE,
    PROVENANCE_FILE,
    model_card.CARD_FILE,
    "assets",
    "fingerprint.pb",
    "variables",
  ]
)
_FLOAT_IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32, "images")
_UINT8_IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")


class ExportedEncoder(tf.Module):
  """Traced functions of an encoder and its projection head.

  Its attributes are functions and variables, not Keras layers, so that the file
  is small and loads without the code of the layers. Preprocessing is included.

  Attributes:
    variables: all variables of the encoder, for `tensorflow_hub.KerasLayer`.
    trainable_variables: variables that fine-tuning through `__call__` changes.
    regularization_losses: empty list; the user chooses the weight decay.
    projection_head_variables: variables of the projection head.
  """

  # tf.Module has read-only properties of these names, but only attributes are
  # saved.
  variables = ()
  trainable_variables = ()

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: Callable[..., tf.Tensor] | None,
  ):
    """Traces all functions; the variables are shared with the arguments.

    Args:
      encoder: model with `encoder(images, training)`, normalized [B, H, W, 3]
        -> [B, D], and `encoder.endpoints(images, training)` -> dict of maps.
      projection_head: Keras layer with `projection_head(features, training)`,
        [B, D] -> [B, E]; None to export no `embedding`.
    """
    super().__init__(name="exported_encoder")

    # Closures, because attributes of self are saved.
    @tf.function
    def call(images, training):
      # Inside, because saving traces the function again.
      with batch_norm.working_plainly(encoder):
        features = encoder(pixels.normalize(images), training=training)
      return tf.cast(features, tf.float32)

    @tf.function
    def maps(images, training):
      with batch_norm.working_plainly(encoder):
        endpoints = encoder.endpoints(pixels.normalize(images), training)
      return {name: tf.cast(m, tf.float32) for name, m in endpoints.items()}

    @tf.function
    def embedding(images):
      embedding = projection_head(self.features(images), training=False)
      return tf.math.l2_normalize(tf.cast(embedding, tf.float32), axis=1)

    # Traced for float32 only: the public functions cast the images. It halves
    # the time to save a large encoder.
    self._call = call
    self._maps = maps
    if projection_head is not None:
      self.embedding = embedding
    for training in (True, False):
      for images in (_FLOAT_IMAGES, _UINT8_IMAGES):
        self.__call__.get_concrete_function(images, training)
    self.endpoints.get_concrete_function(_FLOAT_IMAGES, True)
    self.variables = list(encoder.variables)
    self.trainable_variables = list(encoder.trainable_variables)
    self.projection_head_variables = (
      [] if projection_head is None else list(projection_head.variables)
    )
    self.regularization_losses = []

  @tf.function
  def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Features [B, D] of images [B, H, W, 3], 0..255."""
    return self._call(tf.cast(images, tf.float32), training)

  @tf.function
  def features(self, images: tf.Tensor) -> tf.Tensor:
    """Features [B, D] of images [B, H, W, 3], 0..255, in inference."""
    return self._call(tf.cast(images, tf.float32), False)

  @tf.function
  def endpoints(
    self, images: tf.Tensor, training: bool = False
  ) -> dict[str, tf.Tensor]:
    """Feature maps after each stage; in training, of float32 images only."""
    return self._maps(tf.cast(images, tf.float32), training)

  def signatures(self) -> dict[str, Callable]:
    """Concrete functions to save as signatures, by name."""
    named = {"features": self.features, "endpoints": self.endpoints}
    if hasattr(self, "embedding"):
      named["embedding"] = self.embedding
    signatures = {}
    for name, function in named.items():
      for suffix, images in (("", _FLOAT_IMAGES), ("_uint8", _UINT8_IMAGES)):
        function.get_concrete_function(images)
        signature = tf.function(_as_dict(function, name))
        signatures[name + suffix] = signature.get_concrete_function(images)
    return signatures


def export_encoder(
  encoder: tf.keras.Model,
  projection_head: Callable[..., tf.Tensor] | None,
  output_dir: str,
  *,
  provenance: Mapping[str, object],
  license: str | None = None,
  overwrite: bool = False,
  argument: str = "the output",
) -> str:
  """Writes an encoder as a SavedModel atomically.

  Args:
    encoder: encoder for `ExportedEncoder`.
    projection_head: projection head for `ExportedEncoder`, or None.
    output_dir: path of the SavedModel.
    provenance: JSON values about the origin of the weights, such as the result
      of `export.provenance.provenance`. They are saved in provenance.json,
      together with preprocessing, shapes and signatures, and summed up in
      README.md, see `model_card.card`.
    license: identifier of the license of the weights, for README.md.
    overwrite: whether to replace a file or folder at `output_dir`.
    argument: name of the argument that chose `output_dir`, for errors.

  Returns:
    output_dir.

  Raises:
    UsageError: `output_dir` exists and `overwrite` is False, it cannot be
      written, or `license` is no identifier.
  """
  model_card.check_license(license)
  with workdir.replacing_folder(
    output_dir, overwrite=overwrite, argument=argument
  ) as partial:
    exported = ExportedEncoder(encoder, projection_head)
    signatures = exported.signatures()
    with workdir.without_wildcards(partial) as writable:
      tf.saved_model.save(
        exported,
        writable,
        signatures=signatures,
        options=tf.saved_model.SaveOptions(save_debug_info=False),
      )
    path = os.path.join(partial, PROVENANCE_FILE)
    content = {**provenance, **_interface(signatures)}
    with open(path, "w", encoding="utf-8") as file:
      json.dump(content, file, indent=2)
      file.write("\n")
    try:
      text = model_card.card(content, license=license)
    except Exception as error:  # Never loses the weights of a long run.
      logging.warning("no %s is written: %r", model_card.CARD_FILE, error)
    else:
      workdir.write_text(os.path.join(partial, model_card.CARD_FILE), text)
  return output_dir


def is_whole(path: str) -> bool:
  """Whether a folder has the files of an exported encoder, none of them empty.

  Args:
    path: path of the folder; it may be missing.
  """
  files = (MODEL_FILE, "variables/variables.index", PROVENANCE_FILE)
  try:
    return all(os.path.getsize(os.path.join(path, name)) for name in files)
  except OSError:
    return False


def has_nothing_else(path: str) -> bool:
  """Whether a folder holds only files that an export writes, or none.

  Args:
    path: path of an existing folder.
  """
  return set(os.listdir(path)) <= _PARTS


def _as_dict(function: Callable, name: str) -> Callable:
  def signature(images):
    result = function(images)
    return result if isinstance(result, dict) else {name: result}

  return signature


def _interface(signatures: Mapping[str, Callable]) -> dict[str, object]:
  """Entries of provenance.json that describe how to call the model."""
  outputs = {}
  for name, function in signatures.items():
    outputs[name] = {
      "images": function.structured_input_signature[0][0].dtype.name,
      "outputs": {
        output: spec.shape.as_list()
        for output, spec in function.structured_outputs.items()
      },
    }
  return {
    "preprocessing": {
      "images": "RGB, NHWC, 0..255, uint8 or float32; any height and width",
      "mean": list(pixels.IMAGENET_MEAN),
      "standard_deviation": list(pixels.IMAGENET_STD),
      "applied": "inside the SavedModel",
    },
    "signatures": outputs,
    "tensorflow": tf.__version__,
  }
