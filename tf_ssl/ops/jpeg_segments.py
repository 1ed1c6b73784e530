"""Segments of JPEG files, found by graph operations without decoding pixels.

A file is a sequence of segments: a byte 0xFF, a marker, the length in two bytes
and content. After the segment SOS come the pixels, then the marker EOI.
"""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl.ops import rare

SIZE = 10  # Bytes of a segment that `find` returns: up to the name of EXIF.
_MAX_SEGMENTS = 256  # A color profile or panorama may take several.
_FILL, _SOS, _EOI = 0xFF, 0xDA, b"\xff\xd9"
START = b"\xff\xd8\xff"
_FILLER = bytes(range(7, 247, 3))  # Means something with any table of codes.


def find(
  encoded: tf.Tensor, is_passed: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
  """Finds in each file the first segment that is not passed.

  Args:
    encoded: [n] string, contents of JPEG files.
    is_passed: function from the first bytes of segments, [n, SIZE] int32, to
      whether to look at the next ones, [n] bool.

  Returns:
    The positions of the segments, [n] int32, and their first bytes, [n, SIZE]
    int32. They are arbitrary where there is no such segment.
  """
  ends = tf.strings.length(encoded) - SIZE
  sizes = tf.fill(tf.shape(encoded), SIZE)

  def segments(positions: tf.Tensor) -> tf.Tensor:
    starts = tf.clip_by_value(positions, 0, tf.maximum(ends, 0))
    parts = tf.strings.substr(encoded, starts, sizes)
    parts = tf.strings.join([parts, b"\0" * SIZE])  # A file may be shorter.
    parts = tf.strings.substr(parts, tf.zeros_like(sizes), sizes)
    data = tf.cast(tf.io.decode_raw(parts, tf.uint8), tf.int32)
    return tf.ensure_shape(data, [None, SIZE])

  def passed(positions: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    is_segment = (found[:, 0] == _FILL) & (positions < ends)
    return is_segment & ((found[:, 1] == _FILL) | is_passed(found))

  def following(positions: tf.Tensor, found: tf.Tensor):
    # A marker may follow any number of fill bytes.
    steps = tf.where(found[:, 1] == _FILL, 1, 2 + lengths(found))
    positions += tf.where(passed(positions, found), steps, 0)
    return positions, segments(positions)

  start = tf.fill(tf.shape(encoded), 2)
  return tf.while_loop(
    lambda positions, found: tf.reduce_any(passed(positions, found)),
    following,
    (start, segments(start)),
    maximum_iterations=_MAX_SEGMENTS,
  )


def lengths(segments: tf.Tensor) -> tf.Tensor:
  """Bytes of segments without their markers, [n] int32.

  Args:
    segments: [n, SIZE] int32, first bytes of the segments.
  """
  return tf.maximum(256 * segments[:, 2] + segments[:, 3], 2)


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
    tf.reduce_all(usual), lambda: usual, lambda: _have_ends(encoded, usual)
  )


def of_others(
  usual: tf.Tensor,
  values: tf.Tensor,
  function: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
  """Replaces the values of unusual files.

  Args:
    usual: [n] bool, files that keep their value.
    values: [n] values of usual files.
    function: function from the number of a file, [] int64, to its value.

  Returns:
    [n], with the type of `values`.
  """

  def replaced() -> tf.Tensor:
    places = tf.where(~usual)
    found = tf.map_fn(
      lambda place: function(place[0]),
      places,
      fn_output_signature=values.dtype,
    )
    return tf.tensor_scatter_nd_update(values, places, found)

  return tf.cond(tf.reduce_all(usual), lambda: values, replaced)


def are_jpeg(encoded: tf.Tensor) -> tf.Tensor:
  """Whether files, [n] string, start like a JPEG, [n] bool."""
  zero = tf.zeros(tf.shape(encoded), tf.int32)
  return tf.strings.substr(encoded, zero, zero + len(START)) == START


def with_more_pixels(encoded: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Puts other data between the pixels of a file and their end marker.

  A decoder ignores them if the pixels are complete.

  Args:
    encoded: [] string, content of a JPEG file.
    size: [] int32, least number of bytes to add.
  """
  start, separated = _parts(encoded)
  filler = tf.fill([size // len(_FILLER) + 1], _FILLER)
  return tf.strings.join(
    [start, separated[0], tf.strings.reduce_join(filler), _EOI]
  )


@rare.branch
def _have_ends(encoded: tf.Tensor, usual: tf.Tensor) -> tf.Tensor:
  return of_others(usual, usual, lambda place: _has_end(encoded[place]))


def _has_end(encoded: tf.Tensor) -> tf.Tensor:
  """Whether the marker EOI, which pixels cannot contain, follows them."""
  return tf.size(_parts(encoded)[1]) > 1


def _parts(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """The segments before the pixels, and what the first EOI separates."""
  positions, _ = find(encoded[None], lambda found: found[:, 1] != _SOS)
  size = tf.strings.length(encoded)
  position = tf.minimum(positions[0], size)
  pixels = tf.strings.substr(encoded, position, size)
  return (
    tf.strings.substr(encoded, 0, position),
    tf.strings.split([pixels], _EOI, maxsplit=1).values,
  )
