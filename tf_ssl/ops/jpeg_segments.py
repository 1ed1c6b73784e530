"""Segments of JPEG files, found by graph operations without decoding pixels.

A file is a sequence of segments: a byte 0xFF, a marker, the length in two bytes
and content. After the segment SOS come the pixels, then the marker EOI.
"""

from collections.abc import Callable

import tensorflow as tf

SIZE = 10  # Bytes of a segment that `find` returns: up to the name of EXIF.
_MAX_SEGMENTS = 256  # A color profile or panorama may take several.
_FILL, _SOS, _EOI = 0xFF, 0xDA, b"\xff\xd9"
START = b"\xff\xd8\xff"


def find(
  encoded: tf.Tensor, is_passed: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
  """Finds the first segment that is not passed.

  Args:
    encoded: [] string, content of a JPEG file.
    is_passed: function from the first bytes of a segment, [SIZE] int32, to
      whether to look at the next one, [] bool.

  Returns:
    The position of the segment, [] int32, and its first bytes, [SIZE] int32.
    They are arbitrary if there is no such segment.
  """
  end = tf.strings.length(encoded) - SIZE

  def segment(position: tf.Tensor) -> tf.Tensor:
    start = tf.clip_by_value(position, 0, tf.maximum(end, 0))
    part = tf.strings.substr(encoded, start, SIZE)
    data = tf.cast(tf.io.decode_raw(part, tf.uint8), tf.int32)
    return tf.pad(data, [[0, SIZE - tf.size(data)]])

  def goes_on(position: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    is_segment = (found[0] == _FILL) & (position < end)
    return is_segment & ((found[1] == _FILL) | is_passed(found))

  def following(position: tf.Tensor, found: tf.Tensor):
    # A marker may follow any number of fill bytes.
    position += tf.where(found[1] == _FILL, 1, 2 + length(found))
    return position, segment(position)

  start = tf.constant(2)
  return tf.while_loop(
    goes_on,
    following,
    (start, segment(start)),
    shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
    maximum_iterations=_MAX_SEGMENTS,
  )


def length(segment: tf.Tensor) -> tf.Tensor:
  """Bytes of a segment without its marker, [] int32, from its first bytes."""
  return tf.maximum(256 * segment[2] + segment[3], 2)


def are_complete(encoded: tf.Tensor) -> tf.Tensor:
  """Whether files have the end marker after the pixels, [n] bool.

  The decoder would fill what a broken transfer left out with gray. Anything may
  follow the marker, such as a second picture or a film.

  Args:
    encoded: [n] string, contents of picture files; those that are no JPEG count
      as complete.
  """
  sizes = tf.strings.length(encoded)
  two = tf.fill(tf.shape(sizes), len(_EOI))
  tails = tf.strings.substr(encoded, tf.maximum(sizes - len(_EOI), 0), two)
  usual = (tails == _EOI) | ~are_jpeg(encoded)
  return tf.cond(
    tf.reduce_all(usual),
    lambda: usual,
    lambda: tf.map_fn(
      lambda pair: tf.cond(pair[0], lambda: pair[0], lambda: _has_end(pair[1])),
      (usual, encoded),
      fn_output_signature=tf.bool,
    ),
  )


def are_jpeg(encoded: tf.Tensor) -> tf.Tensor:
  """Whether files, [n] string, start like a JPEG, [n] bool."""
  zero = tf.zeros(tf.shape(encoded), tf.int32)
  return tf.strings.substr(encoded, zero, zero + len(START)) == START


def _has_end(encoded: tf.Tensor) -> tf.Tensor:
  """Whether the marker EOI, which pixels cannot contain, follows them."""
  position, _ = find(encoded, lambda found: found[1] != _SOS)
  size = tf.strings.length(encoded)
  pixels = tf.strings.substr(encoded, tf.minimum(position, size), size)
  return tf.strings.split([pixels], _EOI, maxsplit=1).row_lengths()[0] > 1
