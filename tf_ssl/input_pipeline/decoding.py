"""Decodes images of all kinds.

Images become upright [H, W, 3] uint8: gray is repeated, alpha dropped, palettes
looked up, 16 bits truncated to 8, CMYK converted. Of several images in a file
the first is read. Other files fail in the graph.

JPEG, PNG, BMP, GIF and PGM are decoded by graph operations, because a graph
also runs in the workers of a tf.data service. Pillow, in a Python function,
decodes the rest, such as WebP and TIFF; with `portable`, such files fail.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl.input_pipeline import plain_formats as plain
from tf_ssl.ops import jpeg_segments, orientation, pictures, rare

_DCT = "INTEGER_ACCURATE"  # As in Pillow; TensorFlow's default is coarser.
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


def read_headers(encoded: tf.Tensor, *, portable: bool = False) -> Headers:
  """Reads the headers of images; see `headers` and `stored_sides`.

  Args:
    encoded: [n] string, contents of image files.
    portable: whether the graph runs in other processes.
  """
  stored = tf.map_fn(
    lambda image: stored_sides(image, portable=portable),
    encoded,
    fn_output_signature=tf.int32,
    parallel_iterations=1,  # Or an error may look like a cancelled step.
  )
  return headers(encoded, stored)


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
          plain.is_bmp(encoded),
          lambda: tf.abs(integers(18, tf.int32, False)),
        ),
        (plain.starts(encoded, b"GIF8"), lambda: integers(6, tf.uint16, False)),
        (plain.is_pgm(encoded), lambda: plain.pgm_fields(encoded)[1::-1]),
      ],
      default=lambda: _by_pillow(
        pictures.sides, encoded, tf.TensorSpec([2], tf.int32), portable
      ),
    )

  return tf.cond(
    plain.starts(encoded, b"\x89PNG"),
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
        (plain.starts(encoded, b"GIF8"), lambda: _decode_gif(encoded)),
        (plain.is_bmp(encoded), lambda: plain.decode_bmp(encoded)),
        (plain.is_pgm(encoded), lambda: plain.decode_pgm(encoded)),
      ],
      default=lambda: _by_pillow(
        pictures.decode,
        encoded,
        tf.TensorSpec([None, None, 3], tf.uint8),
        portable,
      ),
    )

  image = tf.cond(
    plain.starts(encoded, b"\x89PNG"),
    lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
    seldom,
  )
  return tf.ensure_shape(image, [None, None, 3])


def _decode_gif(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes the first frame of a GIF, which must fill the screen."""
  image = tf.io.decode_image(encoded, 3, expand_animations=False)
  fills = tf.reduce_all(tf.shape(image)[:2] == stored_sides(encoded))
  checked = tf.debugging.Assert(fills, ["a GIF whose first frame is a part"])
  with tf.control_dependencies([checked]):
    return tf.identity(image)
