"""Decodes images of all kinds; and masks.

Images become upright [H, W, 3] uint8: gray is repeated, alpha dropped, palettes
looked up, 16 bits truncated to 8, CMYK converted. Of several images in a file
the first is read. Other files fail in the graph.

JPEG, PNG, BMP, GIF and PGM are decoded by graph operations, because a graph
also runs in the workers of a tf.data service. Pillow, in a Python function,
decodes the rest, such as WebP and TIFF; with `portable`, such files fail.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl.ops import jpeg_segments, orientation, pictures, rare

_DCT = "INTEGER_ACCURATE"  # As in Pillow; TensorFlow's default is coarser.
_PGM_HEADER = 1024  # Maximum size of a PGM header with comments, bytes.
# A header may claim any size. Larger images than the first number are refused,
# and of those larger than the second the ones of more pixels per byte of file.
LARGEST_PIXELS = 2**28
_UNQUESTIONED_PIXELS = 2**25
_PIXELS_PER_BYTE = 100
_JPEG_PIXELS_PER_BYTE = 512  # At least one bit for a block of 8x8 pixels.
PORTABLE = "JPEG, PNG, BMP, GIF or PGM"
_FILLED = 128  # Red, green and blue of pixels without data.
_MAGIC = {
  b"\xff\xd8\xff": "JPEG",
  b"\x89PNG": "PNG",
  b"BM": "BMP",
  b"GIF8": "GIF",
  b"P5": "PGM",
}
# Pillow's modes with one number per pixel: 1, 8, 16 and 32 bits, and 8 bits
# that index a palette, whose colors do not matter for masks.
_MASK_MODES = ("1", "L", "P", "I;16", "I;16B", "I")
_LOSSY = ("AVIF", "JPEG", "JPEG2000", "MPO", "WEBP")
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

  Fails in the graph if an image claims more pixels than its bytes can hold, or
  if the end of a JPEG is missing.

  Args:
    encoded: [n] string, contents of image files.
    stored: [n, 2] int32, from `stored_sides`.
  """
  checks = [
    tf.debugging.Assert(
      tf.reduce_all(_can_hold(encoded, stored)), ["too large", stored]
    ),
    tf.debugging.Assert(
      tf.reduce_all(jpeg_segments.are_complete(encoded)), ["ends early"]
    ),
  ]
  with tf.control_dependencies(checks):
    found = orientation.of_files(encoded)
  return Headers(orientation.upright_sides(stored, found), found)


def _can_hold(encoded: tf.Tensor, stored: tf.Tensor) -> tf.Tensor:
  """Whether files, [n] string, can hold [n, 2] sides; [n] bool."""
  counts = tf.reduce_prod(tf.cast(stored, tf.int64), axis=1)
  sizes = tf.cast(tf.strings.length(encoded), tf.int64)
  most = tf.maximum(_PIXELS_PER_BYTE * sizes, _UNQUESTIONED_PIXELS)
  of_jpeg = tf.minimum(_JPEG_PIXELS_PER_BYTE * sizes, most)
  most = tf.where(jpeg_segments.are_jpeg(encoded), of_jpeg, most)
  return (counts <= most) & (counts <= LARGEST_PIXELS)


def sides(encoded: tf.Tensor) -> tf.Tensor:
  """Reads height and width, [2] int32, of an image as it is decoded.

  Fails in the graph if the bytes are not an image.

  Args:
    encoded: [] string, content of an image file.
  """
  return headers(encoded[None], stored_sides(encoded)[None]).sides[0]


def stored_sides(encoded: tf.Tensor, *, portable: bool = False) -> tf.Tensor:
  """Reads height and width, [2] int32, before the image is turned upright.

  Fails in the graph if the bytes are not an image.

  Args:
    encoded: [] string, content of an image file.
    portable: whether the graph runs in other processes.
  """
  found = tf.cond(
    tf.io.is_jpeg(encoded),
    lambda: tf.io.extract_jpeg_shape(encoded)[:2],
    lambda: _sides_of_other(encoded, portable),
  )
  return tf.ensure_shape(found, [2])


def decode_window(
  encoded: tf.Tensor,
  window: tf.Tensor,
  turn: tf.Tensor,
  *,
  portable: bool = False,
) -> tf.Tensor:
  """Decodes a window of an image; JPEGs are decoded partially.

  Args:
    encoded: [] string, content of an image file.
    window: [4] int32: ymin, xmin, height, width in the upright image, pixels.
    turn: [] int32, orientation of the file, from `headers`.
    portable: whether the graph runs in other processes.

  Returns:
    [height, width, 3] uint8.
  """

  def jpeg() -> tf.Tensor:
    return tf.cond(
      turn == orientation.UPRIGHT,
      lambda: _decode_jpeg(encoded, window),
      lambda: _decode_turned(encoded, window, turn),
    )

  return tf.cond(
    tf.io.is_jpeg(encoded),
    jpeg,
    lambda: _decode_window_of_other(encoded, window, portable),
  )


def decode(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes an image of any format.

  Args:
    encoded: [] string, content of an image file.

  Returns:
    [H, W, 3] uint8.
  """
  stored = stored_sides(encoded)
  turn = headers(encoded[None], stored[None]).orientation[0]
  return decode_whole(encoded, turn)


def decode_whole(encoded: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
  """Decodes an image whose header is known; see `decode_window`."""

  def jpeg() -> tf.Tensor:
    stored = _decode_jpeg(encoded, None)
    return tf.cond(
      turn == orientation.UPRIGHT,
      lambda: stored,
      lambda: _upright(stored, turn),
    )

  image = tf.cond(
    tf.io.is_jpeg(encoded), jpeg, lambda: _decode_other(encoded, False)
  )
  return tf.ensure_shape(image, [None, None, 3])


def decode_bytes(encoded: bytes) -> np.ndarray:
  """Decodes an image outside a graph to [H, W, 3] uint8.

  Args:
    encoded: content of an image file.

  Raises:
    ValueError: the image cannot be used; the message is a short reason.
  """
  try:
    return decode(tf.constant(encoded)).numpy()
  except Exception as error:  # A message that is not UTF-8 raises another one.
    raise ValueError(_reason(encoded)) from error


def is_portable(encoded: bytes) -> bool:
  """Whether graph operations alone decode an image that can be decoded."""
  try:
    stored_sides(tf.constant(encoded), portable=True)
  except Exception:
    return False
  return True


def _reason(encoded: bytes) -> str:
  """Why `decode` fails."""
  if not encoded:
    return "empty file"
  kind = next((k for m, k in _MAGIC.items() if encoded.startswith(m)), None)
  if kind is None:
    try:
      pictures.sides(encoded)
    except ValueError as error:
      return str(error)
  try:
    stored = stored_sides(tf.constant(encoded))
    held = bool(_can_hold(tf.constant([encoded]), stored[None]))
  except Exception:  # Any error is that of a damaged header.
    held = True
  if not held:
    height, width = stored.numpy().tolist()
    size = len(encoded)
    return f"its header claims {width}x{height} px, too many for {size} bytes"
  if kind is None:
    try:
      pictures.decode(encoded)
    except ValueError as error:
      return str(error)
  return f"truncated or corrupt {kind}, or of an unsupported kind"


@rare.branch
def _sides_of_other(encoded: tf.Tensor, portable: bool) -> tf.Tensor:
  """`stored_sides` of an image that is no JPEG."""

  def integers(position: int, dtype: tf.DType, big: bool) -> tf.Tensor:
    part = tf.strings.substr(encoded, position, 2 * dtype.size)
    values = tf.io.decode_raw(part, dtype, little_endian=not big)
    return tf.cast(tf.reverse(values, [0]), tf.int32)  # Width comes first.

  def seldom() -> tf.Tensor:
    return tf.case(
      [
        # A negative height means rows from top to bottom.
        (
          _is_plain_bmp(encoded),
          lambda: tf.abs(integers(18, tf.int32, False)),
        ),
        (_starts(encoded, b"GIF8"), lambda: integers(6, tf.uint16, False)),
        (_is_plain_pgm(encoded), lambda: _pgm_fields(encoded)[1::-1]),
      ],
      default=lambda: _by_pillow(
        pictures.sides, encoded, tf.TensorSpec([2], tf.int32), portable
      ),
    )

  return tf.cond(
    _starts(encoded, b"\x89PNG"),
    lambda: integers(16, tf.int32, True),
    seldom,
  )


def _decode_jpeg(encoded: tf.Tensor, window: tf.Tensor | None) -> tf.Tensor:
  """Decodes a JPEG as stored, and fails if the decoder filled it with gray.

  It does so from where data end to the last pixel of an image or window. If
  that pixel has the gray, the image is decoded again with further data: these
  change an image whose data end early, and no other.

  Args:
    encoded: [] string, content of a JPEG file.
    window: [4] int32, part of the stored image; None for all of it.
  """
  image = _decode_jpeg_in_any_case(encoded, window)
  return tf.cond(
    tf.reduce_all(image[-1, -1] == _FILLED),
    lambda: _compared(image, encoded, window),
    lambda: image,
  )


def _decode_jpeg_in_any_case(encoded, window) -> tf.Tensor:
  if window is None:
    return tf.io.decode_jpeg(encoded, 3, dct_method=_DCT)
  return tf.io.decode_and_crop_jpeg(encoded, window, 3, dct_method=_DCT)


@rare.branch
def _compared(image, encoded, window) -> tf.Tensor:
  """The image, unless further data change it."""
  size = tf.reduce_prod(tf.io.extract_jpeg_shape(encoded)[:2]) // 4
  more = jpeg_segments.with_more_pixels(encoded, size)
  same = tf.reduce_all(image == _decode_jpeg_in_any_case(more, window))
  with tf.control_dependencies(
    [tf.debugging.Assert(same, ["data end before the last pixel"])]
  ):
    return tf.identity(image)


_upright = rare.branch(orientation.upright)


@rare.branch
def _decode_turned(encoded, window, turn) -> tf.Tensor:
  """`decode_window` of a JPEG that is not stored upright."""
  sides = tf.io.extract_jpeg_shape(encoded)[:2]
  stored = orientation.stored_window(window, sides, turn)
  return orientation.upright(_decode_jpeg(encoded, stored), turn)


@rare.branch
def _decode_window_of_other(encoded, window, portable: bool) -> tf.Tensor:
  """`decode_window` of an image that is no JPEG."""
  y, x, h, w = tf.unstack(window)
  image = _decode_other(encoded, portable)
  fits = tf.reduce_all(window[:2] + window[2:] <= tf.shape(image)[:2])
  with tf.control_dependencies(
    [tf.debugging.Assert(fits, ["smaller than its header says", window])]
  ):
    return image[y : y + h, x : x + w]


def _by_pillow(
  function: Callable[[bytes], np.ndarray],
  encoded: tf.Tensor,
  result: tf.TensorSpec,
  portable: bool,
) -> tf.Tensor:
  """Calls a function of `pictures` in the graph."""
  if not portable and tf.executing_eagerly():
    return tf.constant(function(encoded.numpy()))  # NumPy drops zeros at ends.
  if not portable:
    found = tf.numpy_function(function, [encoded], result.dtype, stateful=False)
    return tf.ensure_shape(found, result.shape)
  refused = tf.debugging.Assert(False, [f"not a {PORTABLE} image"])
  with tf.control_dependencies([refused]):
    return tf.zeros([side or 0 for side in result.shape], result.dtype)


@rare.branch
def _decode_other(encoded: tf.Tensor, portable: bool) -> tf.Tensor:
  """Decodes an image that is no JPEG."""

  def seldom() -> tf.Tensor:
    return tf.case(
      [
        (_starts(encoded, b"GIF8"), lambda: _decode_gif(encoded)),
        (_is_plain_bmp(encoded), lambda: _decode_bmp(encoded)),
        (_is_plain_pgm(encoded), lambda: _decode_pgm(encoded)),
      ],
      default=lambda: _by_pillow(
        pictures.decode,
        encoded,
        tf.TensorSpec([None, None, 3], tf.uint8),
        portable,
      ),
    )

  image = tf.cond(
    _starts(encoded, b"\x89PNG"),
    lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
    seldom,
  )
  return tf.ensure_shape(image, [None, None, 3])


def _starts(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
  return tf.strings.substr(encoded, 0, len(magic)) == magic


def _decode_gif(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes the first frame of a GIF, which must fill the screen."""
  image = tf.io.decode_image(encoded, 3, expand_animations=False)
  fills = tf.reduce_all(tf.shape(image)[:2] == stored_sides(encoded))
  checked = tf.debugging.Assert(fills, ["a GIF whose first frame is a part"])
  with tf.control_dependencies([checked]):
    return tf.identity(image)


def _is_plain_bmp(encoded: tf.Tensor) -> tf.Tensor:
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
  return _starts(encoded, b"BM") & (header >= 40) & plain & known


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
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


def _pgm_fields(encoded: tf.Tensor) -> tf.Tensor:
  """Returns [3] int32: width, height and maximum value of a binary PGM.

  They follow the magic "P5" as words; comments run from # to the line's end.
  """
  start = tf.strings.substr(encoded, 0, _PGM_HEADER)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  return tf.strings.to_number(words[1:4], tf.int32)


def _is_plain_pgm(encoded: tf.Tensor) -> tf.Tensor:
  """Whether a file is a binary PGM of 8 bits without scaling."""
  start = tf.strings.substr(encoded, 0, _PGM_HEADER)
  words = tf.strings.split(tf.strings.regex_replace(start, r"#[^\n]*", ""))
  maximum = tf.concat([words, [""] * 4], axis=0)[3]
  return _starts(encoded, b"P5") & (maximum == "255")


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
    with pictures.opened(io.BytesIO(encoded)) as picture:
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
