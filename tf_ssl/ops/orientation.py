"""Orientation of photographs: the EXIF tag that says how a picture is upright.

A camera stores pixels as its sensor lies, and the turn as the tag Orientation
(CIPA DC-008, tag 0x0112): a number from 1 to 8; 1 means that the stored picture
is upright. Upright pixels are the stored ones, transposed for 5 to 8, and then
mirrored.

Graph operations read the tag, because a graph also runs in the workers of a
tf.data service.
"""

import tensorflow as tf

from tf_ssl.ops import exif, jpeg_segments, rare

UPRIGHT = exif.UPRIGHT
_FIRST_TRANSPOSED = exif.TRANSPOSED[0]
_NAME = b"Exif\0\0"
_ENTRY = 12  # Bytes of a directory entry: tag, type, count and value.
_LONG = 4  # Type of a value; the others are short integers.


def of_files(encoded: tf.Tensor) -> tf.Tensor:
  """Reads the orientations of picture files, [n] int32, 1..8.

  It is 1 for files other than JPEGs, and where EXIF data are missing or
  damaged. They are searched among the application and comment segments at the
  start of a file.

  Args:
    encoded: [n] string, contents of picture files.
  """

  def part(position: int, size: int) -> tf.Tensor:
    start = tf.minimum(position, tf.strings.length(encoded))
    return tf.strings.substr(encoded, start, tf.fill(tf.shape(start), size))

  # Most files start with a JFIF segment, followed by tables: no EXIF data.
  usual = (part(2, 4) == b"\xff\xe0\0\x10") & (part(20, 2) == b"\xff\xdb")
  usual |= ~jpeg_segments.are_jpeg(encoded)
  upright_ones = tf.fill(tf.shape(encoded), UPRIGHT)
  return tf.cond(
    tf.reduce_all(usual), lambda: upright_ones, lambda: _of_jpegs(encoded)
  )


@rare.branch
def _of_jpegs(encoded: tf.Tensor) -> tf.Tensor:
  """The orientations of files, [n] string, of which some are JPEGs."""

  def is_exif(segments: tf.Tensor) -> tf.Tensor:
    named = tf.reduce_all(segments[:, 4:] == list(_NAME), axis=1)
    return named & (segments[:, 0] == 0xFF) & (segments[:, 1] == 0xE1)

  def is_passed(segments: tf.Tensor) -> tf.Tensor:
    kinds = segments[:, 1]  # APP0 to APP15, or COM.
    known = (kinds >= 0xE0) & (kinds <= 0xEF) | (kinds == 0xFE)
    return known & ~is_exif(segments)

  positions, segments = jpeg_segments.find(encoded, is_passed)
  starts = positions + jpeg_segments.SIZE
  sizes = 2 + jpeg_segments.lengths(segments) - jpeg_segments.SIZE
  without = ~(is_exif(segments) & jpeg_segments.are_jpeg(encoded))
  return jpeg_segments.of_others(
    without,
    tf.fill(tf.shape(encoded), UPRIGHT),
    lambda i: _of_exif(tf.strings.substr(encoded[i], starts[i], sizes[i])),
  )


def _of_exif(block: tf.Tensor) -> tf.Tensor:
  """The orientation in EXIF data, [] string: a TIFF file without pixels."""
  data = tf.cast(tf.io.decode_raw(block, tf.uint8), tf.int64)
  data = tf.pad(data, [[0, 1]])  # A zero, which is read beyond the end.
  last = tf.size(data, tf.int64) - 1
  little = data[0] == ord("I")  # "II" or "MM".

  def integers(positions: tf.Tensor, size: int) -> tf.Tensor:
    """Integers of `size` bytes at positions [...] int64."""
    places = tf.range(size, dtype=tf.int64)
    digits = tf.gather(data, tf.minimum(positions[..., None] + places, last))
    exponents = tf.where(little, places, size - 1 - places)
    return tf.reduce_sum(digits * 256**exponents, axis=-1)

  directory = integers(tf.constant(4, tf.int64), 4)
  count = tf.minimum(integers(directory, 2), last // _ENTRY)
  entries = directory + 2 + _ENTRY * tf.range(count)
  entries = entries[integers(entries, 2) == exif.TAG]
  values = tf.where(
    integers(entries + 2, 2) == _LONG,
    integers(entries + 8, 4),
    integers(entries + 8, 2),
  )
  values = values[(values >= 1) & (values <= 8)]
  found = tf.concat([values, [UPRIGHT]], axis=0)[0]
  return tf.cast(found, tf.int32)


def upright_sides(sides: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Heights and widths of upright pictures from those stored, or back.

  Args:
    sides: [..., 2] integer, heights and widths of the stored pictures.
    orientation: [...] int32, 1..8.
  """
  return tf.where(
    orientation[..., None] >= _FIRST_TRANSPOSED,
    tf.reverse(sides, [-1]),
    sides,
  )


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Turns a stored picture upright.

  Args:
    image: [H, W, C], pixels as stored.
    orientation: [] int32, 1..8.

  Returns:
    [H, W, C] or [W, H, C].
  """

  def turned() -> tf.Tensor:
    transposed = tf.cond(
      orientation >= _FIRST_TRANSPOSED,
      lambda: tf.transpose(image, [1, 0, 2]),
      lambda: image,
    )
    step_y, step_x = tf.unstack(tf.where(_mirrored(orientation), -1, 1))
    return transposed[::step_y, ::step_x]

  return tf.cond(orientation == UPRIGHT, lambda: image, turned)


def stored_window(
  window: tf.Tensor, sides: tf.Tensor, orientation: tf.Tensor
) -> tf.Tensor:
  """Finds the pixels of a window of the upright picture in the stored one.

  Args:
    window: [4] int32, ymin, xmin, height, width in the upright picture, pixels.
    sides: [2] int32, height and width of the stored picture, pixels.
    orientation: [] int32, 1..8.

  Returns:
    [4] int32, a window of the stored picture.
  """
  start, size = window[:2], window[2:]
  mirrored = upright_sides(sides, orientation) - start - size
  start = tf.where(_mirrored(orientation), mirrored, start)
  return tf.concat(
    [upright_sides(start, orientation), upright_sides(size, orientation)], 0
  )


def _mirrored(orientation: tf.Tensor) -> tf.Tensor:
  """[2] bool: whether the transposed picture is mirrored along y and x."""
  return tf.reduce_any(
    orientation == tf.constant([exif.MIRRORED_Y, exif.MIRRORED_X]), axis=1
  )
