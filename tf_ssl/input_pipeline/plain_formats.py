"""Uncompressed images in graph operations: BMP and PGM.

TensorFlow has no kernel for PGM, and one for BMP that does not look up
palettes.
"""

import tensorflow as tf

_PGM_HEADER = 1024  # Maximum size of a PGM header with comments, bytes.


def starts(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
  """Whether a file begins with the bytes of its kind: [] bool."""
  return tf.strings.substr(encoded, 0, len(magic)) == magic


def is_bmp(encoded: tf.Tensor) -> tf.Tensor:
  """Whether a file is a BMP without compression, of 8, 24 or 32 bits a pixel.

  TensorFlow's kernel supports no other. The header is BITMAPFILEHEADER and
  BITMAPINFOHEADER, little-endian: header size at byte 14, bits at 28,
  compression at 30.
  """
  start = tf.io.decode_raw(tf.strings.substr(encoded, 0, 34), tf.uint8)
  start = tf.cast(tf.pad(start, [[0, 34 - tf.size(start)]]), tf.int32)
  header, bits = start[14] + 256 * start[15], start[28] + 256 * start[29]
  compression = start[30]
  plain = (compression == 0) | ((compression == 3) & (bits == 32))
  known = (bits == 8) | (bits == 24) | (bits == 32)
  return starts(encoded, b"BM") & (header >= 40) & plain & known


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes a plain BMP; TensorFlow's kernel does not look up palettes."""

  def field(position: int, dtype: tf.DType) -> tf.Tensor:
    part = tf.strings.substr(encoded, position, dtype.size)
    return tf.cast(tf.io.decode_raw(part, dtype)[0], tf.int32)

  pixels, header, bits = (
    field(10, tf.int32),
    field(14, tf.int32),
    field(28, tf.int16),
  )
  image = tf.io.decode_bmp(encoded)  # [H, W, 1, 3 or 4]

  def look_up() -> tf.Tensor:
    palette = tf.strings.substr(encoded, 14 + header, pixels - 14 - header)
    entries = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
    colors = tf.reverse(entries[:, :3], [1])  # Stored as blue, green, red.
    return tf.gather(colors, tf.cast(image[..., 0], tf.int32))

  return tf.cond(bits == 8, look_up, lambda: image[..., :3])


def pgm_fields(encoded: tf.Tensor) -> tf.Tensor:
  """Returns [3] int32: width, height and maximum value of a binary PGM.

  They follow the magic "P5" as words; comments run from # to the line's end.
  """
  start = tf.strings.substr(encoded, 0, _PGM_HEADER)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  return tf.strings.to_number(words[1:4], tf.int32)


def is_pgm(encoded: tf.Tensor) -> tf.Tensor:
  """Whether a file is a binary PGM of 8 bits without scaling."""
  start = tf.strings.substr(encoded, 0, _PGM_HEADER)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  maximum = tf.concat([words, [""] * 4], axis=0)[3]
  return starts(encoded, b"P5") & (maximum == "255")


def decode_pgm(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes a binary PGM of 8 bits, for which TensorFlow has no kernel."""
  fields = pgm_fields(encoded)
  width, height, maximum = tf.unstack(tf.cast(fields, tf.int64), num=3)
  header = tf.cast(tf.strings.length(encoded), tf.int64) - width * height
  supported = tf.debugging.Assert(
    (maximum == 255) & (width > 0) & (height > 0) & (header > 0),
    ["unsupported PGM (width, height, maximum):", fields],
  )
  with tf.control_dependencies([supported]):
    # Tracing requires both positions to have one dtype.
    start = tf.strings.substr(encoded, tf.zeros_like(header), header)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  ended = tf.strings.regex_full_match(
    tf.strings.substr(encoded, header - 1, tf.ones_like(header)), r"\s"
  )
  complete = tf.debugging.Assert(
    ended & (tf.size(words) == 4), ["PGM with too few or too many pixels"]
  )
  with tf.control_dependencies([complete]):
    pixels = tf.io.decode_raw(
      tf.strings.substr(encoded, header, width * height), tf.uint8
    )
  gray = tf.reshape(pixels, tf.stack([height, width, 1]))
  return tf.repeat(gray, 3, axis=-1)
