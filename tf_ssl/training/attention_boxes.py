"""Boxes of an encoder's own attention, renewed while it trains.

After ContrastiveCrop (Peng et al., CVPR 2022): the last map of the encoder,
summed over channels, tells where it looks.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor
from tf_ssl.ops import progress
from tf_ssl.training.distributed import cluster as cluster_lib
from tf_ssl.training.distributed import distribution


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionBoxes:
  """One box of each image, by the query encoder in inference mode.

  Attributes:
    threshold: share of the largest attention above which a pixel is in the box;
      0.1 as in the paper.
    renewals: number of renewals during the run, at equal distances; before the
      first, windows are anywhere in the image. 4 as in the authors' code: at
      each fifth of the run.
    image_size: side of the whole images that the encoder sees, pixels; None for
      that of the run.
    endpoint: name of the encoder's map.
    batch_size: number of images that the encoder sees at once.
  """

  threshold: float = 0.1
  renewals: int = 4
  image_size: int | None = None
  endpoint: str = "C5"
  batch_size: int = 64

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    errors.require(
      0.0 <= self.threshold < 1.0,
      f"AttentionBoxes.threshold={self.threshold}: expected a share of the"
      " largest attention from 0 and below 1",
    )
    for name in ("renewals", "batch_size"):
      value = getattr(self, name)
      errors.require(
        isinstance(value, int) and value >= 1,
        f"AttentionBoxes.{name}={value!r}: expected a whole number of at least"
        " 1",
      )

  def steps(self, num_steps: int) -> list[int]:
    """Steps of the run before which the boxes are renewed."""
    parts = self.renewals + 1
    found = {round(i * num_steps / parts) for i in range(1, parts)}
    return sorted(found - {0, num_steps})


def boxes_of_maps(maps: tf.Tensor, size: int, *, threshold: float) -> tf.Tensor:
  """Smallest boxes that hold every pixel above the threshold.

  Args:
    maps: [B, h, w, C], feature maps.
    size: side of the image that each map is resized to, pixels.
    threshold: share of the largest attention, after the smallest is subtracted.

  Returns:
    [B, 4] float32, ymin, xmin, ymax, xmax, fractions of the image, maxima
    exclusive; the whole image for a map without contrast.
  """
  heat = tf.reduce_sum(tf.cast(maps, tf.float32), axis=-1, keepdims=True)
  heat -= tf.reduce_min(heat, axis=[1, 2], keepdims=True)
  largest = tf.reduce_max(heat, axis=[1, 2], keepdims=True)
  heat = tf.image.resize(tf.math.divide_no_nan(heat, largest), [size, size])
  inside = heat[..., 0] > threshold
  found = []
  for axis in (1, 2):  # Rows, columns.
    hit = tf.reduce_any(inside, axis=3 - axis)  # [B, size]
    first = tf.argmax(hit, axis=1)
    last = size - tf.argmax(tf.reverse(hit, [1]), axis=1)
    found.append(tf.cast(tf.stack([first, last], 1), tf.float32) / size)
  (low_y, high_y), (low_x, high_x) = (tf.unstack(x, axis=1) for x in found)
  return tf.stack([low_y, low_x, high_y, high_x], axis=1)


class RenewedBoxes:
  """The boxes of a run, which its checkpoints keep.

  Attributes:
    step: step before which the boxes were made; -1 before the first renewal.
    boxes: [N, 4] float32, ymin, xmin, ymax, xmax, fractions of the region to
      use of each image; NaN for images that cannot be read.
    state: what a checkpoint keeps.
  """

  def __init__(
    self,
    settings: AttentionBoxes,
    encoder: tf.keras.Model,
    records: records_lib.ImageRecords,
    *,
    num_steps: int,
    image_size: int,
    skipped: skipped_lib.SkippedFiles,
  ):
    """Makes no boxes yet.

    Args:
      settings: settings of the boxes.
      encoder: query encoder, with `endpoints`.
      records: N training images, each an example of its own.
      num_steps: number of steps of the run.
      image_size: side of the run's views, pixels.
      skipped: record of unusable images.

    Raises:
      UsageError: the examples are not single images, or the encoder has no such
        map.
    """
    errors.require(
      records.examples is None,
      "AttentionBoxes: the training examples are pairs of images; expected"
      " single images; change IMAGES or `boxes`",
    )
    errors.require(
      hasattr(encoder, "endpoints"),
      f"AttentionBoxes: the encoder {encoder.name} has no maps; expected one"
      " with `endpoints`, such as resnet.resnet18; change the encoder or"
      " `boxes`",
    )
    self.step = -1
    self.boxes = np.zeros([0, 4], np.float32)
    self.state = _State(self)
    self._records = records
    self._size = settings.image_size or image_size
    self._batch_size = settings.batch_size
    self._steps = settings.steps(num_steps)
    self._skipped = skipped
    blank = tf.zeros([1, self._size, self._size, 3])
    names = list(encoder.endpoints(blank, training=False))
    errors.require(
      settings.endpoint in names,
      f"AttentionBoxes.endpoint={settings.endpoint!r}: expected one of"
      f" {', '.join(names)}",
    )

    def attend(images, training):
      maps = encoder.endpoints(images, training=training)
      return boxes_of_maps(
        maps[settings.endpoint], self._size, threshold=settings.threshold
      )

    self._extract = feature_extractor.FeatureExtractor(attend)

  def renew(self, step: int) -> bool:
    """Makes new boxes if they are due before `step`, on all workers together.

    Args:
      step: step at which a part of the run begins.

    Returns:
      Whether there are new boxes.
    """
    if step not in self._steps or self.step == step:
      return False
    cluster = cluster_lib.read()
    count, number = self._records.num_images, len(cluster.workers)
    mine = np.arange(
      cluster.index * count // number, (cluster.index + 1) * count // number
    )
    boxes = np.zeros([count, 4], np.float32)
    boxes[mine] = self._attended(mine)
    self.boxes = distribution.sum_over_workers(boxes)
    self.step = step
    return True

  def objects(self) -> records_lib.Objects | None:
    """The boxes for the input pipeline; None before the first renewal."""
    if self.step < 0:
      return None
    known = ~np.isnan(self.boxes[:, 0])
    return records_lib.Objects(
      offsets=np.append(0, np.cumsum(known)),
      boxes=self.boxes[known][:, None],
      of_regions=True,
    )

  def _attended(self, images: Sequence[int]) -> np.ndarray:
    """Boxes [n, 4] of images, NaN where one cannot be read."""
    found = np.full([len(images), 4], np.nan, np.float32)
    dataset = numbered_images.numbered_images(
      records_lib.take(self._records, images),
      image_size=self._size,
      batch_size=self._batch_size,
      framing="whole",
      skipped=self._skipped,
    )
    with progress.bar(
      "renewing boxes", total=len(images), unit="image", leave=False
    ) as bar:
      for batch in dataset:
        rows = batch.index.numpy()
        found[rows] = self._extract.batch(batch.image).numpy()
        bar.update(len(rows))
    return found


class _State(tf.train.experimental.PythonState):
  """Stores step and boxes as bytes, equal for equal boxes."""

  def __init__(self, owner: RenewedBoxes):
    self._owner = owner

  def serialize(self):
    return np.int64(self._owner.step).tobytes() + self._owner.boxes.tobytes()

  def deserialize(self, value):
    self._owner.step = int(np.frombuffer(value[:8], np.int64)[0])
    boxes = np.frombuffer(value[8:], np.float32)
    self._owner.boxes = boxes.reshape(-1, 4).copy()
