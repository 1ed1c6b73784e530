"""Features of regions of a frame, RoI-aligned on the map of an encoder.

Once an encoder is trained, region tracks can be found with its features instead
of color histograms.
"""

import collections
import functools
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import reader
from tf_ssl.ops import workdir

# Sampling points per side of a cell: RoIAlign averages 4 per cell (He et al.
# 2017, section 3).
_SAMPLES = 2
_EPSILON = 1e-6
_CACHE_BYTES = 2**28  # Maps of minutes of video at 240 px.


class EncoderFeatures:
  """Features of regions, RoI-aligned on a map of an exported encoder.

  Each frame is encoded once: the least recently used maps are dropped when the
  cache is full. The key of the cache is the array itself, so a frame must not
  be changed in place.

  Maps after a ReLU share a large mean, which makes all regions similar. Each
  channel is therefore standardized to mean 0 and standard deviation 1 over its
  frame.

  The cosine c between regions of different objects is then about 0, but a
  tracker's threshold (`tracker.Settings.floor`) was chosen for histograms,
  which are always similar. `common` appends a constant to the features, so that
  the similarity of two regions is common + (1 - common) · c.
  """

  def __init__(
    self,
    path: str,
    *,
    endpoint: str = "C4",
    grid: int = 3,
    common: float = 0.5,
    cache_bytes: int = _CACHE_BYTES,
  ):
    """Loads the encoder.

    Args:
      path: path of a SavedModel that `export.saved_model` wrote, with the
        signature `endpoints` (float32 images) or `endpoints_uint8`, images
        [B, H, W, 3], 0..255, of any size.
      endpoint: name of the map, such as C4 or C5.
      grid: number of cells per side of a region.
      common: similarity of unrelated regions, in [0, 1).
      cache_bytes: maximal size of the cached maps in bytes.

    Raises:
      UsageError: missing SavedModel, signature or map; or `grid` or `common` is
        out of range.
    """
    errors.require(
      grid >= 1 and 0.0 <= common < 1.0,
      f"grid={grid}, common={common}: expected grid >= 1 and 0 <= common < 1;"
      " change them",
    )
    self._encode = _signature(path, endpoint)
    self._endpoint = endpoint
    self._grid = grid
    self._common = common
    self._cache_bytes = cache_bytes
    self._maps = collections.OrderedDict()  # id of a frame -> (frame, map)
    self._bytes = 0

  def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Computes the features of regions of one frame.

    Args:
      image: frame, [H, W, 3] uint8.
      boxes: [R, 4] in px, xmin ymin xmax ymax; clipped to the frame.

    Returns:
      [R, F] float32 of unit length, F = grid² · channels + 1 (without the + 1
      if `common` is 0); zeros for a box outside the frame.
    """
    standardized = self._map(image)  # [h, w, C]
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    height, width = image.shape[:2]
    sides = np.float32([width, height, width, height])
    inside = np.clip(boxes, 0, sides)
    cells = roi_align(standardized, inside / sides, self._grid).numpy()
    features = cells.reshape(len(boxes), int(np.prod(cells.shape[1:])))
    length = np.linalg.norm(features, axis=1, keepdims=True)
    features = features / np.maximum(length, _EPSILON)
    if self._common:
      features = np.concatenate(
        [
          features * np.sqrt(1 - self._common),
          np.full([len(boxes), 1], np.sqrt(self._common)),
        ],
        1,
      )
    outside = (inside[:, 2:] <= inside[:, :2]).any(1)
    return np.where(outside[:, None], 0, features).astype(np.float32)

  def _map(self, image: np.ndarray) -> tf.Tensor:
    kept = self._maps.get(id(image))
    if kept is not None:  # The cache holds the frame, so its id is unique.
      self._maps.move_to_end(id(image))
      return kept[1]
    dtype = self._encode.structured_input_signature[1]["images"].dtype
    found = self._encode(images=tf.cast(image[None], dtype))
    standardized = _standardized(tf.cast(found[self._endpoint][0], tf.float32))
    self._maps[id(image)] = (image, standardized)
    self._bytes += _size(image, standardized)
    while self._bytes > self._cache_bytes and len(self._maps) > 1:
      self._bytes -= _size(*self._maps.popitem(last=False)[1])
    return standardized


def name(path: str, endpoint: str) -> str:
  """A name of these features that depends on the encoder, not on its path.

  Args:
    path: path of the SavedModel.
    endpoint: name of the map.
  """
  return f"{endpoint} of encoder {reader.path_digest(path)[:16]}"


def open_encoder(
  path: str, endpoint: str
) -> tuple[str, Callable[[], EncoderFeatures]]:
  """The name of these features, and a picklable function that makes them.

  Args:
    path: path of the SavedModel.
    endpoint: name of the map.

  Raises:
    UsageError: missing SavedModel, signature or map.
  """
  path = os.path.abspath(path)
  make = functools.partial(EncoderFeatures, path, endpoint=endpoint)
  make()  # Fails in this process if the encoder cannot be used.
  return name(path, endpoint), make


@tf.function(
  input_signature=[
    tf.TensorSpec([None, None, None]),
    tf.TensorSpec([None, 4]),
    tf.TensorSpec([], tf.int32),
  ]
)
def roi_align(
  features: tf.Tensor, boxes: tf.Tensor, grid: int | tf.Tensor
) -> tf.Tensor:
  """RoIAlign (He et al. 2017, section 3) on one map.

  A box has grid x grid cells; a cell is the mean of 2 x 2 points, each with
  bilinear interpolation. The map is extended at its border by its outermost
  values.

  Args:
    features: map of the image, [h, w, C].
    boxes: [R, 4], xmin ymin xmax ymax, fraction of the image, 0..1.
    grid: number of cells per side.

  Returns:
    [R, grid, grid, C].
  """
  height, width, channels = tf.unstack(tf.shape(features))
  # One more pixel per side: points at the border have four neighbors.
  padded = tf.pad(features, [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")[None]
  sides = tf.cast(tf.stack([width, height, width, height]), tf.float32)
  points = grid * _SAMPLES
  corners = boxes * sides + 0.5  # In pixels of the padded map.
  # The outermost points are half a step inside the box. crop_and_resize takes
  # them as fractions of the distance between the first and the last pixel.
  half = tf.tile((corners[:, 2:] - corners[:, :2]), [1, 2])
  half *= tf.constant([0.5, 0.5, -0.5, -0.5]) / tf.cast(points, tf.float32)
  ends = (corners + half) / (sides + 1.0)
  found = tf.image.crop_and_resize(
    padded,
    tf.gather(ends, [1, 0, 3, 2], axis=1),
    tf.zeros([tf.shape(boxes)[0]], tf.int32),
    tf.stack([points, points]),
  )  # [R, points, points, C]
  split = [-1, grid, _SAMPLES, grid, _SAMPLES, channels]
  return tf.reduce_mean(tf.reshape(found, split), [2, 4])


def _standardized(features: tf.Tensor) -> tf.Tensor:
  """[h, w, C], each channel with mean 0 and deviation 1; 0 if constant."""
  mean, variance = tf.nn.moments(features, [0, 1])
  return (features - mean) * tf.math.rsqrt(variance + _EPSILON)


def _size(image: np.ndarray, features: tf.Tensor) -> int:
  return image.nbytes + 4 * int(tf.size(features))


def _signature(path: str, endpoint: str):
  """The signature that computes the maps, preferably from uint8."""
  if not tf.saved_model.contains_saved_model(path):
    raise errors.UsageError(
      f"encoder {path!r} is not a SavedModel; expected a folder with"
      " saved_model.pb, such as a run's saved_model/; change --encoder"
    )
  # The loaded object owns the variables and must outlive the signature.
  with workdir.without_wildcards(path) as readable:
    loaded = tf.saved_model.load(readable)
  names = sorted(loaded.signatures)
  wanted = [name for name in ("endpoints_uint8", "endpoints") if name in names]
  if not wanted:
    raise errors.UsageError(
      f"encoder {path!r} has the signatures {', '.join(names) or 'none'};"
      " expected `endpoints`: images -> maps such as C4 (tools.export_encoder"
      " writes it); export it again, or change --encoder"
    )
  signature = loaded.signatures[wanted[0]]
  maps = sorted(signature.structured_outputs)
  if endpoint not in maps:
    raise errors.UsageError(
      f"encoder {path!r} has the maps {', '.join(maps)}, but no {endpoint!r};"
      " change `endpoint`"
    )
  signature.owner = loaded
  return signature
