"""Croppers that know where the objects of an image are.

A cropper draws the windows of all views of an image, given one box: that of an
object, or of the attention of an encoder. Areas and aspect ratios remain those
of the recipes. Without a box, a cropper uses the whole region, which for all
but `ContrastiveCrop` is the plain RandomResizedCrop.
"""

import abc
import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy import special

from tf_ssl import errors
from tf_ssl.augment import crop as crop_lib

NUM_DRAWS = 3  # Of an image: which box, which view is which, how much larger.
_BOX, _ROLES, _DILATION = range(NUM_DRAWS)
_TABLE = 4096  # Intervals in which quantiles are linear.
_EPSILON = 1e-3  # Of a pixel: below it, boxes differ by rounding alone.


class Objects(NamedTuple):
  """One box of each of N images.

  Attributes:
    boxes: [N, 4] float32, ymin, xmin, ymax, xmax in pixels of the image.
    found: [N] bool, whether the image has a box; if not, `boxes` is undefined.
    draws: [N, NUM_DRAWS] float32 in 0..1, random numbers of each image; views
      of several images of an example share them.
  """

  boxes: tf.Tensor
  found: tf.Tensor
  draws: tf.Tensor


class Views(NamedTuple):
  """Views whose windows are drawn.

  Attributes:
    crops: [V] ranges of the windows.
    sizes: [V] sides of the views, pixels.
    numbers: [V] numbers of the windows among all of an example.
  """

  crops: Sequence[crop_lib.CropRange]
  sizes: Sequence[int]
  numbers: Sequence[int]


class Cropper(abc.ABC):
  """Draws the windows of views around a box."""

  @abc.abstractmethod
  def windows(
    self,
    regions: tf.Tensor,
    objects: Objects,
    draws: tf.Tensor,
    views: Views,
  ) -> tf.Tensor:
    """Draws V windows of each of N images.

    Args:
      regions: [N, 4] int32, ymin, xmin, height, width of the part of each image
        that may be shown, pixels.
      objects: a box of each image, inside its region.
      draws: random numbers of `crop.draw` for N images and V windows.
      views: V views.

    Returns:
      [N, V, 4] int32, ymin, xmin, height, width, pixels.
    """


def drawn_row(draws: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
  """Number of the box to use, of those of each image.

  Args:
    draws: [N, NUM_DRAWS], random numbers of each image.
    counts: [N] integer, number of boxes of each image.

  Returns:
    [N] with the dtype of `counts`, from 0; 0 for images without boxes.
  """
  scaled = draws[:, _BOX] * tf.cast(counts, tf.float32)
  # A float32 below 1 times a large count may round up to it.
  row = tf.minimum(tf.cast(tf.floor(scaled), counts.dtype), counts - 1)
  return tf.maximum(row, 0)


def within(
  regions: tf.Tensor, boxes: tf.Tensor, found: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Clips boxes to the regions of their images.

  Args:
    regions: [N, 4] int32, ymin, xmin, height, width, pixels.
    boxes: [N, 4] float32, ymin, xmin, ymax, xmax, pixels.
    found: [N] bool, whether an image has a box.

  Returns:
    Boxes [N, 4] and found [N]; a box of which the region shows less than a
    pixel on a side counts as none.
  """
  start, sides = tf.split(tf.cast(regions, tf.float32), 2, axis=1)
  low = tf.clip_by_value(boxes[:, :2], start, start + sides)
  high = tf.clip_by_value(boxes[:, 2:], start, start + sides)
  found &= tf.reduce_all(high - low >= 1.0 - _EPSILON, axis=1)
  whole = tf.concat([start, start + sides], axis=1)
  return tf.where(found[:, None], tf.concat([low, high], 1), whole), found


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastiveCrop(Cropper):
  """Windows centered within a box (Peng et al., CVPR 2022).

  A window's center lies in the box, and its position between the extremes has
  the distribution Beta(alpha, alpha). The paper's boxes are those of the
  encoder's own attention. With alpha 1 and the whole image as box, this is
  RandomResizedCrop, draw by draw. (Among whole pixels the authors' code never
  takes the last position; this one does.)

  Attributes:
    alpha: parameter of the Beta distribution; below 1 it keeps windows away
      from the middle, so that two views differ more. The authors' is 0.6 on
      ImageNet and 0.1 on CIFAR-10.
  """

  alpha: float = 0.6

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    errors.require(
      0.0 < self.alpha <= 100.0,
      f"ContrastiveCrop.alpha={self.alpha}: expected above 0 and at most 100",
    )

  def windows(self, regions, objects, draws, views):
    low_edge, high_edge = tf.split(objects.boxes[:, None], 2, axis=-1)

    def place(u, start, sides, drawn):
      def extreme(edge):
        middle = tf.floor(edge - start + _EPSILON) - drawn // 2.0
        return tf.clip_by_value(middle, 0.0, sides - drawn)

      low, high = extreme(low_edge), extreme(high_edge)
      step = tf.floor(beta_quantile(u, self.alpha) * (high - low + 1.0))
      return start + tf.minimum(low + step, high)

    return crop_lib.random_windows(
      regions, draws, crops=views.crops, place=place
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectAwareCrop(Cropper):
  """One view of an object, the other of its surroundings.

  After object-aware cropping (Mishra et al., TMLR 2022, arXiv 2112.00319): the
  window of one view lies in the box of an object, the window of the other in
  that box dilated, or anywhere in the image. A small box is widened before it
  is dilated. Which view is which is drawn. Of more than two views, every second
  one is of the object.

  Attributes:
    dilation: smallest and largest margin on each side of the dilated box, as a
      fraction of the height or width of the widened box. The paper's 10 to
      20 %; that it is relative to this box is a choice of this project.
    scene: whether the other view is of the whole image instead.
    min_side: smallest height and width of a box, pixels of the image; smaller
      boxes are widened. None for the side of the view, as in the paper.
  """

  dilation: tuple[float, float] = (0.1, 0.2)
  scene: bool = False
  min_side: int | None = None

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    _check_range("ObjectAwareCrop.dilation", self.dilation)
    errors.require(
      self.min_side is None or self.min_side >= 1,
      f"ObjectAwareCrop.min_side={self.min_side}: expected at least 1 px, or"
      " None for the side of the view",
    )

  def windows(self, regions, objects, draws, views):
    low, high = self.dilation
    margin = low + (high - low) * objects.draws[:, _DILATION]
    first_is_object = objects.draws[:, _ROLES] < 0.5
    parts = []
    for size, number in zip(views.sizes, views.numbers, strict=True):
      least = size if self.min_side is None else self.min_side
      of_object = _grown(objects.boxes, regions, least=least)
      if self.scene:
        around = tf.cast(regions, tf.float32)
      else:
        around = _grown(_corners(of_object), regions, margin=margin)
      is_object = first_is_object if number % 2 == 0 else ~first_is_object
      parts.append(tf.where(is_object[:, None], of_object, around))
    return crop_lib.random_windows(
      tf.stack(parts, axis=1), draws, crops=views.crops
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SameObjectCrop(Cropper):
  """Windows that all hold a part of one object.

  Along each axis, a window holds at least the square root of `share` of the
  object, so that it holds `share` of its box, to within rounding to pixels. Of
  ten drawn sizes the first that can hold so much is taken. Where none can, the
  window lies inside the object along the axis on which it is too small.
  Positions that fulfill this have equal probability. For tracks, each view's
  window holds the object in its own frame.

  Attributes:
    share: smallest share of the box inside each window, above 0, at most 1.
  """

  share: float = 0.5

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    errors.require(
      0.0 < self.share <= 1.0,
      f"SameObjectCrop.share={self.share}: expected above 0 and at most 1",
    )

  def windows(self, regions, objects, draws, views):
    root = math.sqrt(self.share)
    low_edge, high_edge = tf.split(objects.boxes[:, None], 2, axis=-1)
    extent = high_edge - low_edge  # [N, 1, 2]
    found = objects.found[:, None, None]

    def extremes(start, sides, drawn):
      """Lowest and highest positions of windows that hold enough."""
      held = tf.minimum(root * extent, drawn)
      low = tf.math.ceil(low_edge + held - drawn - _EPSILON)
      high = tf.floor(high_edge - held + _EPSILON)
      low, high = (
        tf.clip_by_value(edge, start, start + sides - drawn)
        for edge in (low, tf.maximum(low, high))
      )
      return (
        tf.where(found, low, start),
        tf.where(found, high, start + sides - drawn),
      )

    def place(u, start, sides, drawn):
      low, high = extremes(start, sides, drawn)
      return low + tf.floor(u * (high - low + 1.0))

    def prefers(drawn):
      holds = drawn >= (root * extent - _EPSILON)[:, :, None]
      return tf.reduce_all(holds, axis=-1) | ~found

    windows = crop_lib.random_windows(
      regions, draws, crops=views.crops, place=place, prefers=prefers
    )
    # The fallback, which no size fits, is centered.
    start, sides = tf.split(tf.cast(regions[:, None], tf.float32), 2, axis=-1)
    position, drawn = tf.split(tf.cast(windows, tf.float32), 2, axis=-1)
    low, high = extremes(start, sides, drawn)
    position = tf.clip_by_value(position, low, high)
    return tf.cast(tf.concat([position, drawn], axis=-1), tf.int32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxScaleCrop(Cropper):
  """RandomResizedCrop within a box and its context.

  All views of an image are of one box. As training on boxes that are cut out,
  but each epoch draws another box of each image.

  Attributes:
    context: smallest and largest margin on each side of the box, as a fraction
      of the box's height or width.
  """

  context: tuple[float, float] = (0.2, 0.2)

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    _check_range("BoxScaleCrop.context", self.context)

  def windows(self, regions, objects, draws, views):
    low, high = self.context
    margin = low + (high - low) * objects.draws[:, _DILATION]
    return crop_lib.random_windows(
      _grown(objects.boxes, regions, margin=margin), draws, crops=views.crops
    )


def beta_quantile(u: tf.Tensor, alpha: float) -> tf.Tensor:
  """Quantiles of Beta(alpha, alpha) at `u` in 0..1; `u` itself for alpha 1.

  Between 4,097 exact values they are linear.
  """
  if alpha == 1.0:
    return u
  table = tf.constant(_quantiles(alpha))
  place = u * _TABLE
  below = tf.minimum(tf.floor(place), _TABLE - 1.0)
  row = tf.cast(below, tf.int32)
  low, high = tf.gather(table, row), tf.gather(table, row + 1)
  return low + (high - low) * (place - below)


@functools.lru_cache(maxsize=8)
def _quantiles(alpha: float) -> np.ndarray:
  grid = np.linspace(0.0, 1.0, _TABLE + 1)
  return special.betaincinv(alpha, alpha, grid).astype(np.float32)


def _grown(
  boxes: tf.Tensor,
  regions: tf.Tensor,
  *,
  margin: tf.Tensor | float = 0.0,
  least: int = 2,
) -> tf.Tensor:
  """Enlarges boxes to whole pixels, within the regions of their images.

  Args:
    boxes: [N, 4] float32, ymin, xmin, ymax, xmax, pixels, inside the regions.
    regions: [N, 4] int32, ymin, xmin, height, width, pixels.
    margin: [N] or [], share of a side that is added at both of its ends.
    least: smallest side, pixels, where the region has as much.

  Returns:
    [N, 4] float32, ymin, xmin, height, width, pixels, whole numbers.
  """
  start, sides = tf.split(tf.cast(regions, tf.float32), 2, axis=1)
  low, high = tf.split(boxes, 2, axis=1)
  margin = tf.reshape(tf.convert_to_tensor(margin, tf.float32), [-1, 1])
  extent = high - low
  low = tf.floor(low - margin * extent + _EPSILON)
  high = tf.math.ceil(high + margin * extent - _EPSILON)
  low, high = tf.maximum(low, start), tf.minimum(high, start + sides)
  wanted = tf.minimum(tf.maximum(high - low, float(least)), sides)
  low = tf.clip_by_value(
    low - (wanted - (high - low)) // 2.0, start, start + sides - wanted
  )
  return tf.concat([low, wanted], axis=1)


def _corners(windows: tf.Tensor) -> tf.Tensor:
  """Windows [N, 4] as boxes ymin, xmin, ymax, xmax."""
  low, sides = tf.split(windows, 2, axis=1)
  return tf.concat([low, low + sides], axis=1)


def _check_range(name: str, margins: tuple[float, float]) -> None:
  errors.require(
    len(margins) == 2 and 0.0 <= margins[0] <= margins[1] < 100.0,
    f"{name}={margins}: expected the smallest and the largest margin, as"
    " fractions of the box from 0",
  )
