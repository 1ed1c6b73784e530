"""An encoder as an ONNX file, converted by tf2onnx."""

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import pixels

_OPSET = 17  # of ONNX 1.12, 2022


def write(encoder: tf.keras.Model, path: str) -> None:
  """Writes the network in inference, preprocessing inside.

  The file takes `images` [B, 3, H, W] float32, RGB, 0..255, of any number and
  size, and gives `features` [B, D].

  Args:
    encoder: built; normalized images [B, H, W, 3] -> [B, D].
    path: of the file.

  Raises:
    UsageError: the packages onnx and tf2onnx are not installed.
  """
  try:
    import onnx
    import tf2onnx
  except ImportError:
    raise errors.UsageError(
      "writing .onnx needs the packages onnx and tf2onnx: pip install "
      "tf_ssl[onnx]"
    ) from None

  def features(images):
    images = tf.transpose(images, [0, 2, 3, 1])
    found = encoder(pixels.normalize(images), training=False)
    return {"features": tf.cast(found, tf.float32)}

  signature = [tf.TensorSpec([None, 3, None, None], tf.float32, "images")]
  model, _ = tf2onnx.convert.from_function(
    tf.function(features, input_signature=signature),
    input_signature=signature,
    opset=_OPSET,
  )
  for values, names in (
    (model.graph.input, ["B", None, "H", "W"]),
    (model.graph.output, ["B", None]),
  ):
    dimensions = values[0].type.tensor_type.shape.dim
    for dimension, name in zip(dimensions, names, strict=True):
      if name is not None:  # tf2onnx numbers them
        dimension.dim_param = name
  onnx.helper.set_model_props(
    model,
    {
      "Image.BitmapPixelFormat": "Rgb8",
      "Image.NominalPixelRange": "NominalRange_0_255",
    },
  )
  onnx.checker.check_model(model)
  onnx.save(model, path)
