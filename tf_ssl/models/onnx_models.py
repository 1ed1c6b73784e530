"""ONNX files, run by ONNX Runtime (the optional extra `onnx`)."""

from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.models import onnx_graph, reader

# The metadata of ONNX for images -> our names.
_RANGES = {
  "NominalRange_0_255": "0..255",
  "Normalized_0_1": "0..1",
  "Normalized_1_1": "-1..1",
}
_RANGE_KEY = "Image.NominalPixelRange"
_ORDER_KEY = "Image.BitmapPixelFormat"
_TYPES = {
  "tensor(float)": np.float32,
  "tensor(float16)": np.float16,
  "tensor(double)": np.float64,
  "tensor(uint8)": np.uint8,
}
_PROBE_SIZE = 224  # px; where the file does not say


def read(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads an ONNX file.

  Args:
    path: the file.
    layer: name of a tensor of the graph; None chooses as for Keras models, see
      `onnx_graph.choose`. Needs the package `onnx`, unless it is an output.

  Raises:
    UsageError: ONNX Runtime is not installed, the file is damaged, takes no
      images, or has no such tensor.
  """
  try:
    import onnxruntime
  except ImportError:
    raise errors.UsageError(
      f"model {path} needs ONNX Runtime; install it: pip install tf_ssl[onnx]"
    ) from None
  model, tensor, chosen = onnx_graph.choose(path, layer)
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3  # errors
  try:
    session = onnxruntime.InferenceSession(
      model, options, providers=onnxruntime.get_available_providers()
    )
  except Exception as error:  # its errors share no class of their own
    raise errors.UsageError(
      f"{path} cannot be loaded by ONNX Runtime {onnxruntime.__version__}: "
      f"{' '.join(str(error).split())[:300]}"
    ) from error
  outputs = [output.name for output in session.get_outputs()]
  if tensor is None and len(outputs) == 1:
    tensor = outputs[0]
  if tensor not in outputs:
    raise errors.UsageError(
      f"{path} has no output {tensor or 'that stands out'!r}; expected one of "
      f"{', '.join(outputs)} (with the package onnx installed, any tensor); "
      "change `layer`"
    )
  [image] = _image_inputs(session, path)
  dtype = _TYPES[image.type]
  first = _channels_first(session, image, dtype, path)
  batch, *sides = _axes(image.shape, first)

  def run(images: np.ndarray) -> np.ndarray:
    return session.run([tensor], {image.name: _laid(images, first, dtype)})[0]

  return reader.Reader(
    kind="ONNX file",
    run=run,
    layer=tensor,
    layer_chosen=chosen,
    digest=reader.path_digest(path),
    image_size=reader.fixed_size(*sides),
    batch_size=batch if isinstance(batch, int) and batch > 0 else None,
    channels_first=first,
    is_numpy=True,
    **_preprocessing(session, dtype),
  )


def _image_inputs(session: Any, path: str) -> list:
  """The one input, checked."""
  inputs = session.get_inputs()
  told = [f"{i.name} {i.type} {i.shape}" for i in inputs]
  if (
    len(inputs) != 1
    or len(inputs[0].shape) != 4
    or inputs[0].type not in _TYPES
  ):
    raise errors.UsageError(
      f"{path} takes {'; '.join(told)}; expected one input, images of rank 4"
    )
  return inputs


def _channels_first(session: Any, image: Any, dtype: type, path: str) -> bool:
  """Whether images are [B, 3, H, W], by the shape, else by trying."""
  if (image.shape[1] == 3) != (image.shape[3] == 3):
    return image.shape[1] == 3
  for first in (True, False):
    batch, *sides = _axes(image.shape, first)
    sizes = [s if isinstance(s, int) else _PROBE_SIZE for s in [batch, *sides]]
    sizes[0] = batch if isinstance(batch, int) else 1
    try:
      session.run(
        None, {image.name: _laid(np.zeros([*sizes, 3]), first, dtype)}
      )
    except Exception:  # its errors share no class of their own
      continue
    return first
  raise errors.UsageError(
    f"{path} takes {image.shape} and runs neither on [B, 3, H, W] nor on "
    "[B, H, W, 3]; expected images of three channels"
  )


def _axes(shape: list, channels_first: bool) -> list:
  """Batch, height and width of an input's shape."""
  return [shape[axis] for axis in ((0, 2, 3) if channels_first else (0, 1, 2))]


def _laid(images: np.ndarray, channels_first: bool, dtype: type) -> np.ndarray:
  """[B, H, W, 3] -> as the input wants it."""
  if channels_first:
    images = images.transpose(0, 3, 1, 2)
  if dtype == np.uint8:
    images = np.rint(images)
  return np.ascontiguousarray(images, dtype)


def _preprocessing(session: Any, dtype: type) -> dict:
  """What the file says about its pixels: fields of `Reader`."""
  if dtype == np.uint8:
    return {
      "preprocessing": "0..255",
      "preprocessing_chosen": "its images are uint8",
    }
  metadata = session.get_modelmeta().custom_metadata_map
  stated = _RANGES.get(metadata.get(_RANGE_KEY, ""))
  if stated is None or metadata.get(_ORDER_KEY, "Rgb8") != "Rgb8":
    return {}
  return {
    "preprocessing": stated,
    "preprocessing_chosen": f"{_RANGE_KEY} in the file",
  }
