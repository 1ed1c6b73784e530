"""Decodes images: JPEG, PNG, BMP, PGM and the first frame of a GIF; and masks.

Images become [H, W, 3] uint8: gray is repeated, alpha dropped, palettes looked
up, 16 bits truncated to 8, CMYK converted. JPEGs are turned upright as their
EXIF data say. Other files fail in the graph.

BMP and PGM are decoded by graph operations rather than by Pillow in a Python
function, because a graph also runs in the workers of a tf.data service.
"""

import io
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_ssl.ops import orientation

_DCT = "INTEGER_ACCURATE"  # As in Pillow; TensorFlow's default is coarser.
_PGM_HEADER = 1024  # Maximum size of a PGM header with comments, bytes.
# Pillow's modes with one number per pixel: 1, 8, 16 and 32 bits, and 8 bits
# that index a palette, whose colors do not matter for masks.
_MASK_MODES = ("1", "L", "P", "I;16", "I;16B", "I")
_LOSSY = ("JPEG", "WEBP", "JPEG2000")
_LARGEST_ID = 2**16 - 1


class Headers(NamedTuple):
  """What the headers of n images say.

  Attributes:
    sides: [n, 2] int32, heights and widths of the upright images, pixels.
    orientation: [n] int32, orientations of their files, see `ops.orientation`.
  """

  sides: tf.Tensor
  orientation: tf.Tensor


def headers(encoded: tf.Tensor, stored: tf.Tensor) -> Headers:
  """Completes the headers of images; for many at once it costs little.

  Args:
    encoded: [n] string, contents of image files.
    stored: [n, 2] int32, from `stored_sides`.
  """
  found = orientation.of_files(encoded)
  return Headers(orientation.upright_sides(stored, found), found)


def sides(encoded: tf.Tensor) -> tf.Tensor:
  """Reads height and width, [2] int32, of an image as it is decoded.

  Fails in the graph if the bytes are not an image.

  Args:
    encoded: [] string, content of an image file.
  """
  return headers(encoded[None], stored_sides(encoded)[None]).sides[0]


def stored_sides(encoded: tf.Tensor) -> tf.Tensor:
  """Reads height and width, [2] int32, before the image is turned upright.

  Fails in the graph if the bytes are not an image.

  Args:
    encoded: [] string, content of an image file.
  """

  def integers(position: int, dtype: tf.DType, big: bool) -> tf.Tensor:
    part = tf.strings.substr(encoded, position, 2 * dtype.size)
    values = tf.io.decode_raw(part, dtype, little_endian=not big)
    return tf.cast(tf.reverse(values, [0]), tf.int32)  # Width comes first.

  def other() -> tf.Tensor:
    return tf.case(
      [
        (_starts(encoded, b"\x89PNG"), lambda: integers(16, tf.int32, True)),
        # A negative height means rows from top to bottom.
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


def decode_window(
  encoded: tf.Tensor, window: tf.Tensor, turn: tf.Tensor
) -> tf.Tensor:
  """Decodes a window of an image; JPEGs are decoded partially.

  Args:
    encoded: [] string, content of an image file.
    window: [4] int32: ymin, xmin, height, width in the upright image, pixels.
    turn: [] int32, orientation of the file, from `headers`.

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

  def jpeg() -> tf.Tensor:
    stored = tf.cond(
      turn == orientation.UPRIGHT,
      lambda: window,
      lambda: orientation.stored_window(
        window, tf.io.extract_jpeg_shape(encoded)[:2], turn
      ),
    )
    image = tf.io.decode_and_crop_jpeg(encoded, stored, 3, dct_method=_DCT)
    return orientation.upright(image, turn)

  return tf.cond(tf.io.is_jpeg(encoded), jpeg, cut)


def decode(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes an image of any format.

  Args:
    encoded: [] string, content of an image file.

  Returns:
    [H, W, 3] uint8.
  """

  def jpeg() -> tf.Tensor:
    stored = tf.io.decode_jpeg(encoded, 3, dct_method=_DCT)
    turn = orientation.of_files(encoded[None])[0]
    return orientation.upright(stored, turn)

  image = tf.case(
    [
      (tf.io.is_jpeg(encoded), jpeg),
      (_starts(encoded, b"BM"), lambda: _decode_bmp(encoded)),
      (_starts(encoded, b"P5"), lambda: _decode_pgm(encoded)),
    ],
    default=lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
  )
  return tf.ensure_shape(image, [None, None, 3])


def _starts(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
  return tf.strings.substr(encoded, 0, len(magic)) == magic


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes an uncompressed BMP of 8 (palette), 24 or 32 bits per pixel.

  TensorFlow's kernel supports neither palettes nor compression; both are read
  from the header here (BITMAPFILEHEADER, BITMAPINFOHEADER: little-endian,
  offset of the pixels at byte 10, header size at 14, bits at 28, compression
  at 30).
  """

  def field(position: int, dtype: tf.DType) -> tf.Tensor:
    part = tf.strings.substr(encoded, position, dtype.size)
    return tf.cast(tf.io.decode_raw(part, dtype)[0], tf.int32)

  pixels, header = field(10, tf.int32), field(14, tf.int32)
  bits, compression = field(28, tf.int16), field(30, tf.int32)
  plain = (compression == 0) | ((compression == 3) & (bits == 32))
  supported = tf.debugging.Assert(
    plain & ((bits == 8) | (bits == 24) | (bits == 32)),
    ["unsupported BMP (bits, compression):", bits, compression],
  )
  with tf.control_dependencies([supported]):
    image = tf.io.decode_bmp(encoded)  # [H, W, 1, 3 or 4]

  def look_up() -> tf.Tensor:
    palette = tf.strings.substr(encoded, 14 + header, pixels - 14 - header)
    entries = tf.reshape(tf.io.decode_raw(palette, tf.uint8), [-1, 4])
    colors = tf.reverse(entries[:, :3], [1])  # Stored as blue, green, red.
    return tf.gather(colors, tf.cast(image[..., 0], tf.int32))

  return tf.cond(bits == 8, look_up, lambda: image[..., :3])


def _pgm_fields(encoded: tf.Tensor) -> tf.Tensor:
  """Returns [3] int32: width, height and maximum value of a binary PGM.

  They follow the magic "P5" as words; comments run from # to the line's end.
  """
  start = tf.strings.substr(encoded, 0, _PGM_HEADER)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  return tf.strings.to_number(words[1:4], tf.int32)


def _decode_pgm(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes a binary PGM of 8 bits, for which TensorFlow has no kernel."""
  fields = _pgm_fields(encoded)
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


def decode_mask(encoded: bytes) -> np.ndarray:
  """Decodes the class ids of a mask with Pillow.

  TensorFlow would look up the colors of a palette.

  Args:
    encoded: content of a PNG, BMP or other lossless file.

  Returns:
    [H, W] int32, 0..65,535.

  Raises:
    ValueError: the file is damaged, in color, or of a lossy format; the message
      is a short reason.
  """
  if not encoded:
    raise ValueError("the mask is an empty file")
  try:
    with Image.open(io.BytesIO(encoded)) as picture:
      kind, mode = picture.format, picture.mode
      if kind not in _LOSSY and mode in _MASK_MODES:
        values = np.asarray(picture).astype(np.int32)
  except Exception as error:  # Pillow raises various errors on damaged files.
    raise ValueError(f"the mask cannot be decoded ({error})") from error
  if kind in _LOSSY:
    raise ValueError(f"the mask is a {kind}, which does not keep ids exactly")
  if mode not in _MASK_MODES:
    raise ValueError(
      f"the mask is a color image ({mode}), expected one class id per pixel"
    )
  if values.size and not 0 <= values.min() <= values.max() <= _LARGEST_ID:
    raise ValueError(f"the mask has values outside 0..{_LARGEST_ID}")
  return values
