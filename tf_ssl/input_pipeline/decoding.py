"""Encoded bytes to pixels: JPEG, PNG, BMP, PGM and a GIF's first frame.

Everything comes out as [H, W, 3] uint8: gray is repeated, alpha dropped,
palettes looked up, 16 bits cut to 8, CMYK converted. What cannot be decoded so
fails in the graph.
"""

import tensorflow as tf

_DCT = "INTEGER_ACCURATE"  # as Pillow decodes; TensorFlow's default is coarser
_PGM_HEADER = 1024  # bytes; comments included


def sides(encoded: tf.Tensor) -> tf.Tensor:
  """[] string -> [2] int32, height and width, read from the header alone.

  Fails in the graph where this is no image.
  """

  def integers(position: int, dtype: tf.DType, big: bool) -> tf.Tensor:
    part = tf.strings.substr(encoded, position, 2 * dtype.size)
    values = tf.io.decode_raw(part, dtype, little_endian=not big)
    return tf.cast(tf.reverse(values, [0]), tf.int32)  # width stands first

  def other() -> tf.Tensor:
    return tf.case(
      [
        (_starts(encoded, b"\x89PNG"), lambda: integers(16, tf.int32, True)),
        # A negative height: rows from top to bottom.
        (
          _starts(encoded, b"BM"),
          lambda: tf.abs(integers(18, tf.int32, False)),
        ),
        (_starts(encoded, b"GIF8"), lambda: integers(6, tf.uint16, False)),
        (_starts(encoded, b"P5"), lambda: _pgm_fields(encoded)[1::-1]),
      ],
      default=lambda: tf.shape(tf.io.decode_image(encoded, 3))[:2],
    )

  found = tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.extract_jpeg_shape(encoded)[:2],
    other,
  )
  return tf.ensure_shape(found, [2])


def decode_window(encoded: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
  """Decodes a window of an image; of a JPEG, little more than the window.

  Args:
    encoded: [] string.
    window: [4] int32: ymin, xmin, height, width.

  Returns:
    [height, width, 3] uint8.
  """

  def cut() -> tf.Tensor:
    y, x, h, w = tf.unstack(window)
    image = decode(encoded)
    fits = tf.reduce_all(window[:2] + window[2:] <= tf.shape(image)[:2])
    with tf.control_dependencies(
      [tf.debugging.Assert(fits, ["smaller than its header says", window])]
    ):
      return image[y : y + h, x : x + w]

  return tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.decode_and_crop_jpeg(encoded, window, 3, dct_method=_DCT),
    cut,
  )


def decode(encoded: tf.Tensor) -> tf.Tensor:
  """[] string -> [H, W, 3] uint8: the whole image, of any format."""
  image = tf.case(
    [
      (
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, 3, dct_method=_DCT),
      ),
      (_starts(encoded, b"BM"), lambda: _decode_bmp(encoded)),
      (_starts(encoded, b"P5"), lambda: _decode_pgm(encoded)),
    ],
    default=lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
  )
  return tf.ensure_shape(image, [None, None, 3])


def _starts(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
  return tf.strings.substr(encoded, 0, len(magic)) == magic


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
  """Uncompressed BMP of 8 (palette), 24 or 32 bits a pixel.

  TensorFlow's kernel knows neither palettes nor compression; both are read from
  the header here (BITMAPFILEHEADER, BITMAPINFOHEADER: little-endian, offset of
  the pixels at byte 10, header size at 14, bits at 28, compression at 30).
  """

  def field(position: int, dtype: tf.DType) -> tf.Tensor:
    part = tf.strings.substr(encoded, position, dtype.size)
    return tf.cast(tf.io.decode_raw(part, dtype)[0], tf.int32)

  pixels, header = field(10, tf.int32), field(14, tf.int32)
  bits, compression = field(28, tf.int16), field(30, tf.int32)
  plain = (compression == 0) | ((compression == 3) & (bits == 32))
  supported = tf.debugging.Assert(
    plain & ((bits == 8) | (bits == 24) | (bits == 32)),
    [
      "BMP of this kind is not supported (bits, compression):",
      bits,
      compression,
    ],
  )
  with tf.control_dependencies([supported]):
    image = tf.io.decode_bmp(encoded)  # [H, W, 1, 3 or 4]

  def look_up() -> tf.Tensor:
    palette = tf.strings.substr(encoded, 14 + header, pixels - 14 - header)
    entries = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
    colors = tf.reverse(entries[:, :3], [1])  # stored as blue, green, red
    return tf.gather(colors, tf.cast(image[..., 0], tf.int32))

  return tf.cond(bits == 8, look_up, lambda: image[..., :3])


def _pgm_fields(encoded: tf.Tensor) -> tf.Tensor:
  """[3] int32: width, height and greatest value of a binary PGM.

  They follow the magic "P5" as words; a comment goes from # to the line's end.
  """
  start = tf.strings.substr(encoded, 0, _PGM_HEADER)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  return tf.strings.to_number(words[1:4], tf.int32)


def _decode_pgm(encoded: tf.Tensor) -> tf.Tensor:
  """Binary PGM of 8 bits; TensorFlow has no kernel. The pixels end the file."""
  fields = _pgm_fields(encoded)
  width, height, greatest = tf.unstack(tf.cast(fields, tf.int64), num=3)
  header = tf.cast(tf.strings.length(encoded), tf.int64) - width * height
  supported = tf.debugging.Assert(
    (greatest == 255) & (width > 0) & (height > 0) & (header > 0),
    ["PGM of this kind is not supported (width, height, maximum):", fields],
  )
  with tf.control_dependencies([supported]):
    # both positions of one type, or it cannot be traced
    start = tf.strings.substr(encoded, tf.zeros_like(header), header)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  ended = tf.strings.regex_full_match(
    tf.strings.substr(encoded, header - 1, tf.ones_like(header)), r"\s"
  )
  whole = tf.debugging.Assert(
    ended & (tf.size(words) == 4), ["PGM with too few or too many pixels"]
  )
  with tf.control_dependencies([whole]):
    pixels = tf.io.decode_raw(
      tf.strings.substr(encoded, header, width * height), tf.uint8
    )
  gray = tf.reshape(pixels, tf.stack([height, width, 1]))
  return tf.repeat(gray, 3, axis=-1)
