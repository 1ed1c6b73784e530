"""Counts and names images that cannot be used, and limits their number."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.ops import names


class SkippedFiles:
  """A thread-safe record of skipped images and reasons.

  Attributes:
    count: number of distinct images skipped.
    fatal: message with which the run must stop, or None.
  """

  def __init__(
    self, path: str | None, num_images: int, max_fraction: float = 0.05
  ):
    """Initializes the record.

    Args:
      path: path of a file with lines `name<tab>reason`, which is continued if
        it exists; the names are escaped (`names.escaped`). None to keep the
        record in memory.
      num_images: number of images in the dataset, N.
      max_fraction: fraction of N above which the run must stop, 0..1.
    """
    self.fatal: str | None = None
    self._path = path
    self._num_images = num_images
    self._max_fraction = max_fraction
    self._reasons: dict[str, str] = {}
    self._lock = threading.Lock()
    if path is not None and os.path.exists(path):
      self._reasons = _read(path)

  @property
  def count(self) -> int:
    """Number of distinct images skipped."""
    return len(self._reasons)

  @property
  def first(self) -> str:
    """The first skipped image with its reason; "" if none was skipped."""
    with self._lock:
      for name, reason in self._reasons.items():
        return f"{name!r} ({reason})"
    return ""

  @property
  def reasons(self) -> dict[str, str]:
    """A copy of the reasons by the names of the skipped images."""
    with self._lock:
      return dict(self._reasons)

  def add(self, name: str, reason: str) -> None:
    """Records an image; further calls with its name do nothing.

    Raises:
      UsageError: more than `max_fraction` of the images were skipped.
    """
    with self._lock:
      if name not in self._reasons:
        shown, reason = names.escaped(name), names.one_line(reason)
        self._reasons[name] = reason
        logging.warning("skipped %s: %s", shown, reason)
        if self._path is not None:
          with open(self._path, "a", encoding="utf-8") as file:
            file.write(f"{shown}\t{reason}\n")
      if self.count > self._max_fraction * self._num_images:
        self._stop(
          f"images: {self.count} of {self._num_images} could not be used, the "
          f"last {name!r} ({reason}); expected at most a fraction of "
          f"{self._max_fraction:g}; repair or remove those listed"
          f"{'' if self._path is None else ' in ' + self._path}, or raise "
          "max_skipped_fraction"
        )

  def give_up(self, attempts: int) -> None:
    """Stops the run, because no image could be found for an example.

    Raises:
      UsageError: always.
    """
    self._stop(
      f"images: {attempts} images drawn in a row could not be used, the last "
      f"{list(self._reasons.items())[-1]}; expected that at most a fraction of "
      "max_skipped_fraction is unusable"
    )

  @contextlib.contextmanager
  def explained(self) -> Iterator[None]:
    """Replaces tf.data's error in the body by the reason of the stop.

    Raises:
      UsageError: too many images were skipped.
    """
    try:
      yield
    except tf.errors.OpError as error:
      if self.fatal:
        raise errors.UsageError(self.fatal) from error
      raise

  def _stop(self, message: str) -> None:
    self.fatal = self.fatal or message
    raise errors.UsageError(message)


def report(
  chunk: loading.Chunk,
  index_of: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
  records: records_lib.ImageRecords,
  skipped: SkippedFiles,
  *,
  attempts: int = loading.MAX_ATTEMPTS,
  may_give_up: bool = False,
  portable: bool = False,
) -> tf.Tensor:
  """Records which images of a chunk failed; costs nothing if none did.

  Args:
    chunk: chunk from `loading.load_chunks`.
    index_of: function from example and attempt to image, as in `load_chunks`.
    records: images of the dataset.
    skipped: record to which names and reasons are added.
    attempts: number of attempts of `load_chunks`.
    may_give_up: whether examples without a usable image are allowed.
    portable: whether images are decoded in other processes.

  Returns:
    `chunk.loaded`.
  """

  def record(indices: np.ndarray, failures: np.ndarray) -> np.int32:
    for row, failed in zip(indices, failures, strict=True):
      for example in row[:failed].tolist():
        reasons = {
          records.name(image): _why_failed(records, image, box, portable)
          for image, box in records.shown(example)
        }
        found = {name: r for name, r in reasons.items() if r is not None}
        for name in found or reasons:
          skipped.add(name, reasons[name] or "could not be read at that time")
      if failed == attempts and not may_give_up:
        skipped.give_up(attempts)
    return np.int32(0)

  def some_failed() -> tf.Tensor:
    examples = chunk.first + tf.range(tf.size(chunk.failures), dtype=tf.int64)
    tried = tf.stack(
      tf.meshgrid(examples, tf.range(attempts, dtype=tf.int64), indexing="ij"),
      axis=-1,
    )
    indices = tf.map_fn(
      lambda pair: index_of(pair[0], pair[1]),
      tf.reshape(tried, [-1, 2]),
      fn_output_signature=tf.int64,
    )
    indices = tf.reshape(indices, [-1, attempts])
    return tf.numpy_function(record, [indices, chunk.failures], tf.int32)

  recorded = tf.cond(
    tf.reduce_any(chunk.failures > 0), some_failed, lambda: tf.constant(0)
  )
  with tf.control_dependencies([recorded]):
    return tf.nest.map_structure(tf.identity, chunk.loaded)


def _read(path: str) -> dict[str, str]:
  """Reads the reasons by name; mends a last line that a kill has cut."""
  with open(path, "rb+") as file:
    content = file.read()
    end = content.rfind(b"\n") + 1
    if b"\t" in content[end:]:
      file.write(b"\n")
    else:
      file.truncate(end)
      content = content[:end]
  found, start = {}, ""
  for line in content.decode("utf-8", "surrogateescape").split("\n"):
    # Names in files of earlier versions may hold tabs and line breaks.
    name, tab, reason = line.rpartition("\t")
    if tab:
      found[names.unescaped(start + name)] = reason
    start = "" if tab else f"{start}{line}\n"
  return found


def _why_failed(
  records: records_lib.ImageRecords,
  index: int,
  box: np.ndarray | None,
  portable: bool,
) -> str | None:
  """As `why_unusable`, of an image or else of its mask."""
  reason = why_unusable(records, index, box, portable=portable)
  masks = records.masks
  if reason is not None or masks is None or not masks.known[index]:
    return reason
  masks = records_lib.masks_as_images(records)
  reason = why_unusable(masks, index, box, portable=portable)
  if reason is None:
    sides, of_mask = (
      decoding.decode_bytes(loading.read_encoded(each, index)).shape[1::-1]
      for each in (records, masks)
    )
    if sides != of_mask:
      reason = "{}x{} px, but the image {}x{}".format(*of_mask, *sides)
  return None if reason is None else f"its mask: {reason}"


def why_unusable(
  records: records_lib.ImageRecords,
  index: int,
  box: np.ndarray | None,
  *,
  portable: bool = False,
) -> str | None:
  """Reads an image again to find out why it cannot be used.

  Args:
    records: images of the dataset.
    index: number of the image.
    box: [4] int32, region of the image as in `ImageRecords`, or None.
    portable: whether it is decoded in other processes.

  Returns:
    A short reason; None if the image can be used now.
  """
  try:
    encoded = loading.read_encoded(records, index)
  except KeyError as error:
    return error.args[0]
  except Exception as error:  # pylint: disable=broad-except
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
  try:
    image = decoding.decode_bytes(encoded)
  except ValueError as error:
    return str(error)
  if portable and not decoding.is_portable(encoded):
    return (
      f"not a {decoding.PORTABLE} image, which workers of a data service need"
    )
  height, width = image.shape[:2]
  if min(height, width) < 2:
    return f"smaller than 2 px on a side: {width}x{height}"
  if box is None or box[0] < 0:
    return None
  xmin, ymin, xmax, ymax = box.tolist()
  if min(min(xmax, width) - xmin, min(ymax, height) - ymin) >= 2:
    return None
  return (
    f"box {(xmin, ymin, xmax, ymax)} shows less than 2 px of the"
    f" {width}x{height} image"
  )
