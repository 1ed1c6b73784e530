"""A trained encoder as a SavedModel that needs nothing of ours to run.

What the file offers, after `loaded = tf.saved_model.load(path)`:

  loaded.features(images)    [B, H, W, 3] -> [B, D]
  loaded.embedding(images)   [B, H, W, 3] -> [B, E], unit length
  loaded.endpoints(images)   [B, H, W, 3] -> {"C2": [B, H/4, W/4, C], ... "C5"}
  loaded(images, training)   [B, H, W, 3] -> [B, D], differentiable; with
                             training=True batch norm uses and updates its
                             statistics; so does
  loaded.endpoints(images, training), for float32 images

Images are uint8 or float32, 0..255, of any number and size; the preprocessing
is inside. It is a reusable SavedModel: `tensorflow_hub.KerasLayer(path,
trainable=True)` fine-tunes it. The same three functions are signatures. A
signature has one dtype by the format's definition: `features`, `embedding` and
`endpoints` take float32; `features_uint8`, `embedding_uint8` and
`endpoints_uint8` take uint8.
"""

import json
import os
from collections.abc import Callable, Mapping

import tensorflow as tf

from tf_ssl.encoders import batch_norm
from tf_ssl.ops import pixels, workdir

MODEL_FILE = "saved_model.pb"
PROVENANCE_FILE = "provenance.json"
_FLOAT_IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32, "images")
_UINT8_IMAGES = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")


class ExportedEncoder(tf.Module):
  """An encoder and its projection head, traced, with preprocessing inside.

  Only functions and variables hang on this object, no Keras layer: that keeps
  the file small and loadable without the code that made the layers.

  Attributes:
    variables: all of the encoder's, as `tensorflow_hub.KerasLayer` wants them.
    trainable_variables: those that fine-tuning through `__call__` moves.
    regularization_losses: none; weight decay is the fine-tuner's choice.
    projection_head_variables: used by `embedding` only.
    features, embedding, endpoints: see the module's docstring.
  """

  # tf.Module has read-only properties of these names; a reusable SavedModel
  # needs them as attributes, or they are not in the file.
  variables = ()
  trainable_variables = ()

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: Callable[..., tf.Tensor] | None,
  ):
    """Traces everything; the variables are shared with what is given.

    Args:
      encoder: `encoder(images, training)`, normalized [B, H, W, 3] -> [B, D],
        and `encoder.endpoints(images, training)` -> dict of maps.
      projection_head: `projection_head(features, training)` [B, D] -> [B, E], a
        Keras layer; None leaves `embedding` out.
    """
    super().__init__(name="exported_encoder")

    # Closures, not attributes: what hangs on self is written to the file.
    @tf.function
    def call(images, training):
      # also when saving traces it anew
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

    # Each is traced for float32 alone; the public functions cast and call them,
    # or saving a large encoder would take twice as long.
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
    """Features [B, D] of images [B, H, W, 3], 0..255; see the module."""
    return self._call(tf.cast(images, tf.float32), training)

  @tf.function
  def features(self, images: tf.Tensor) -> tf.Tensor:
    """The same as `__call__` in inference."""
    return self._call(tf.cast(images, tf.float32), False)

  @tf.function
  def endpoints(
    self, images: tf.Tensor, training: bool = False
  ) -> dict[str, tf.Tensor]:
    """The maps after each stage; in training, of float32 images only."""
    return self._maps(tf.cast(images, tf.float32), training)

  def signatures(self) -> dict[str, Callable]:
    """Traces the concrete functions to save, by name; each returns a dict."""
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
  overwrite: bool = False,
) -> str:
  """Writes the encoder as a SavedModel, all of it or nothing.

  Args:
    encoder: see `ExportedEncoder`.
    projection_head: see `ExportedEncoder`.
    output_dir: where the SavedModel will stand.
    provenance: where the weights came from, made by
      `export.provenance.provenance`; JSON values. Goes, with preprocessing,
      shapes and signatures added, into `provenance.json` inside.
    overwrite: replace what stands at `output_dir`.

  Returns:
    output_dir.

  Raises:
    UsageError: something stands at `output_dir` and `overwrite` is False, or it
      cannot be written (permission, full disk).
  """
  with workdir.replacing_folder(output_dir, overwrite=overwrite) as partial:
    exported = ExportedEncoder(encoder, projection_head)
    signatures = exported.signatures()
    tf.saved_model.save(
      exported,
      partial,
      signatures=signatures,
      options=tf.saved_model.SaveOptions(save_debug_info=False),
    )
    path = os.path.join(partial, PROVENANCE_FILE)
    with open(path, "w", encoding="utf-8") as file:
      json.dump({**provenance, **_interface(signatures)}, file, indent=2)
      file.write("\n")
  return output_dir


def _as_dict(function: Callable, name: str) -> Callable:
  def signature(images):
    result = function(images)
    return result if isinstance(result, dict) else {name: result}

  return signature


def _interface(signatures: Mapping[str, Callable]) -> dict[str, object]:
  """What a reader of provenance.json needs in order to call the model."""
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
