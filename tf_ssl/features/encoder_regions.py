"""What regions of a frame look like to a trained encoder.

The features that region tracks can be followed by, once there is an encoder:
its map of the whole frame, of which each region is a part.
"""

import collections

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import reader

# Points a side that a cell of a region is averaged over: RoIAlign takes 4 in a
# cell (He et al. 2017, section 3).
_SAMPLES = 2
_EPSILON = 1e-6
_CACHE_BYTES = 2**28  # of maps: minutes of video at 240 px


class EncoderFeatures:
  """Features of regions, RoI-aligned on a map of an exported encoder.

  A frame is encoded once: its map is kept as long as there is room, found again
  by the array itself (so a frame must not be changed in place), and the oldest
  go first.

  Maps behind a ReLU have a large mean in common, so that every region would be
  like every other. Each channel is therefore brought to mean 0 and standard
  deviation 1 over the places of its frame.

  The cosine c between two regions is then about 0 for different things, while a
  tracker's floor (`video.tracker.Settings.floor`) was chosen for histograms,
  which are alike in any case. `common` puts a constant beside the features:
  regions then have the similarity common + (1 - common) · c.
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
      path: of a SavedModel with the signature `endpoints` (float32 images) or
        `endpoints_uint8`, [B, H, W, 3], 0..255, of any size, as
        `export.saved_model` writes them.
      endpoint: the map to use, such as C4 or C5.
      grid: a region is described by grid x grid cells.
      common: least similarity of regions that have nothing in common, 0..1.
      cache_bytes: the most that maps may take.

    Raises:
      UsageError: there is no such SavedModel, it has no such signature, or that
        has no such map; or `grid` or `common` is out of range.
    """
    if grid < 1 or not 0.0 <= common < 1.0:
      raise errors.UsageError(
        f"grid={grid}, common={common}: expected a grid of at least 1, and"
        " common from 0 to below 1; change them"
      )
    self._encode = _signature(path, endpoint)
    self._endpoint = endpoint
    self._grid = grid
    self._common = common
    self._cache_bytes = cache_bytes
    self._maps = collections.OrderedDict()  # id of a frame -> (frame, map)
    self._bytes = 0

  def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Describes regions of one frame.

    Args:
      image: [H, W, 3] uint8.
      boxes: [R, 4] pixels: xmin, ymin, xmax, ymax; of each the part inside of
        the frame is described.

    Returns:
      [R, F] float32 of unit length, F = grid² · channels + 1 (without the last
      where `common` is 0); zeros for a box that is wholly outside.
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
    if kept is not None:  # It holds the frame, so that no other has its id.
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
  """What tells the features of one encoder from those of another.

  Not its path: another encoder may lie there later, and the same one elsewhere.

  Args:
    path: of the SavedModel.
    endpoint: the map that is used.
  """
  return f"{endpoint} of encoder {reader.path_digest(path)[:16]}"


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

  A box is divided into grid x grid cells, a cell is the mean of 2 x 2 points,
  each interpolated between the four places around it. Beyond the center of an
  outermost place its values go on unchanged.

  Args:
    features: [h, w, C], evenly spread over the image.
    boxes: [R, 4], xmin, ymin, xmax, ymax as shares of the image's width and
      height, 0..1.
    grid: cells a side.

  Returns:
    [R, grid, grid, C].
  """
  height, width, channels = tf.unstack(tf.shape(features))
  # A place more on each side, so that points at the border lie between places.
  padded = tf.pad(features, [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")[None]
  sides = tf.cast(tf.stack([width, height, width, height]), tf.float32)
  points = grid * _SAMPLES
  corners = boxes * sides + 0.5  # of places of the padded map
  # The outermost points are half a step inside of the box; crop_and_resize
  # wants them, as shares of the way from the first place to the last.
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
  """[h, w, C], each channel with mean 0 and deviation 1, or 0 throughout."""
  mean, variance = tf.nn.moments(features, [0, 1])
  return (features - mean) * tf.math.rsqrt(variance + _EPSILON)


def _size(image: np.ndarray, features: tf.Tensor) -> int:
  return image.nbytes + 4 * int(tf.size(features))


def _signature(path: str, endpoint: str):
  """The signature that gives the maps, uint8 where there is one."""
  if not tf.saved_model.contains_saved_model(path):
    raise errors.UsageError(
      f"encoder {path!r}: no SavedModel there; expected a folder with"
      " saved_model.pb, such as a run's saved_model/; change --encoder"
    )
  # The signatures belong to the loaded object: without it their variables go.
  loaded = tf.saved_model.load(path)
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
      f"encoder {path!r} has the maps {', '.join(maps)}, no {endpoint!r};"
      " change `endpoint`"
    )
  signature.owner = loaded
  return signature
