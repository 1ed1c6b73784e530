"""Tests of tf_ssl.input_pipeline.decoding on files of other libraries."""

import io
import struct
import sys
import types

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tf_ssl.input_pipeline import decoding

HEIGHT, WIDTH = 12, 9


def picture():
  """A smooth picture."""
  y, x = np.mgrid[:HEIGHT, :WIDTH]
  return np.stack([18 * y, 25 * x, 120 + 4 * x - 3 * y], -1).astype(np.uint8)


def encoded(image, kind, **options):
  file = io.BytesIO()
  image.save(file, kind, **options)
  return file.getvalue()


def window_of(data, window):
  """Decodes a window, with the orientation that the header says."""
  stored = decoding.stored_sides(data)
  turn = decoding.headers(data[None], stored[None]).orientation[0]
  return decoding.decode_window(data, tf.constant(window), turn)


@pytest.fixture(scope="module")
def graph():
  """Functions of a file, traced once each: it takes longer than decoding."""
  file = tf.TensorSpec([], tf.string)

  def window(data):
    return decoding.decode_window(
      data, tf.constant([3, 2, 8, 5]), tf.constant(1)
    )

  def portable(data):
    return decoding.stored_sides(data, portable=True)

  return types.SimpleNamespace(
    **{
      function.__name__: tf.function(function, [file], autograph=False)
      for function in (decoding.sides, decoding.decode, window, portable)
    }
  )


def jpeg(image, **options):
  """Returns the file, Pillow's result, and the tolerance between decoders."""
  data = encoded(image, "JPEG", quality=95, **options)
  return data, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), 3


RGB = Image.fromarray(picture())
GRAY = RGB.convert("L")
PALETTE = RGB.quantize(32)
GRAY_RGB = np.asarray(GRAY.convert("RGB"))
PALETTE_RGB = np.asarray(PALETTE.convert("RGB"))
SIXTEEN = picture().astype(np.uint16) * 257
GIF_FRAMES = [RGB.quantize(16), Image.new("P", RGB.size)]

CASES = {
  "jpeg": jpeg(RGB),
  "jpeg_progressive": jpeg(RGB, progressive=True),
  "jpeg_gray": jpeg(GRAY),
  "jpeg_cmyk": jpeg(RGB.convert("CMYK")),
  "png": (encoded(RGB, "PNG"), picture(), 0),
  "png_16_bits": (
    cv2.imencode(".png", SIXTEEN[..., ::-1])[1].tobytes(),
    picture(),
    0,
  ),
  "png_gray_16_bits": (
    cv2.imencode(".png", SIXTEEN[..., 0])[1].tobytes(),
    np.repeat(picture()[..., :1], 3, -1),
    0,
  ),
  "png_rgba": (encoded(RGB.convert("RGBA"), "PNG"), picture(), 0),
  "png_gray": (encoded(GRAY, "PNG"), GRAY_RGB, 0),
  "png_gray_alpha": (encoded(GRAY.convert("LA"), "PNG"), GRAY_RGB, 0),
  "png_palette": (encoded(PALETTE, "PNG"), PALETTE_RGB, 0),
  "png_two_colors": (
    encoded(GRAY.point(lambda v: 255 * (v > 99)).convert("1"), "PNG"),
    np.where(GRAY_RGB > 99, 255, 0),
    0,
  ),
  "bmp": (encoded(RGB, "BMP"), picture(), 0),
  "bmp_gray": (encoded(GRAY, "BMP"), GRAY_RGB, 0),
  "bmp_palette": (encoded(PALETTE, "BMP"), PALETTE_RGB, 0),
  "bmp_32_bits": (encoded(RGB.convert("RGBA"), "BMP"), picture(), 0),
  "gif": (encoded(PALETTE, "GIF"), PALETTE_RGB, 0),
  "gif_animated": (
    encoded(GIF_FRAMES[0], "GIF", save_all=True, append_images=GIF_FRAMES[1:]),
    np.asarray(GIF_FRAMES[0].convert("RGB")),
    0,
  ),
  "pgm": (encoded(GRAY, "PPM"), GRAY_RGB, 0),
  "pgm_with_comments": (
    b"P5\n# made by hand: 1 2 3\n9 # wide\n12\n255\n" + GRAY.tobytes(),
    GRAY_RGB,
    0,
  ),
  "pgm_of_white_space": (  # Pixels that look like a header.
    b"P5 9 12 255\n" + b"#\n 7" * 27,
    np.repeat(
      np.frombuffer(b"#\n 7" * 27, np.uint8).reshape(12, 9, 1), 3, axis=-1
    ),
    0,
  ),
}


BILEVEL = GRAY.point(lambda v: 255 * (v > 99)).convert("1")
BY_PILLOW = {
  "webp": (encoded(RGB, "WEBP", lossless=True), picture()),
  "tiff": (encoded(RGB, "TIFF"), picture()),
  "tiff_gray_16_bits": (
    encoded(Image.fromarray(SIXTEEN[..., 0]), "TIFF"),
    np.repeat(picture()[..., :1], 3, -1),
  ),
  "ppm": (encoded(RGB, "PPM"), picture()),
  "pbm": (encoded(BILEVEL, "PPM"), np.asarray(BILEVEL.convert("RGB"))),
  "pgm_16_bits": (
    b"P5 9 12 65535\n" + SIXTEEN[..., 0].astype(">u2").tobytes(),
    np.repeat(picture()[..., :1], 3, -1),
  ),
  "bmp_two_colors": (
    encoded(BILEVEL, "BMP"),
    np.asarray(BILEVEL.convert("RGB")),
  ),
}


@pytest.mark.parametrize("name", BY_PILLOW)
def test_kinds_of_pillow_are_decoded_in_a_graph(name, graph):
  data, expected = BY_PILLOW[name]
  data = tf.constant(data)
  assert graph.sides(data).numpy().tolist() == [HEIGHT, WIDTH]
  np.testing.assert_array_equal(graph.decode(data), expected)
  np.testing.assert_array_equal(graph.window(data), expected[3:11, 2:7])


@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
@pytest.mark.parametrize("number", [3, 6])
def test_kinds_of_pillow_are_upright(kind, number):
  exif = Image.Exif()
  exif[0x0112] = number
  options = {"lossless": True} if kind == "WEBP" else {}
  data = tf.constant(encoded(RGB, kind, exif=exif, **options))
  expected = np.rot90(picture(), {3: 2, 6: 3}[number])
  np.testing.assert_array_equal(decoding.decode(data), expected)
  assert tuple(decoding.sides(data).numpy()) == expected.shape[:2]


@pytest.mark.parametrize("name", BY_PILLOW)
def test_workers_of_a_data_service_refuse_kinds_of_pillow(name, graph):
  data = BY_PILLOW[name][0]
  assert not decoding.is_portable(data)
  with pytest.raises(tf.errors.InvalidArgumentError, match="PNG"):
    graph.portable(tf.constant(data))
  assert decoding.is_portable(CASES["jpeg"][0])


def claiming(data, position, height, width):
  """A file whose header claims other sides, big-endian."""
  data = bytearray(data)
  size = 2 if data.startswith(b"\xff\xd8") else 4
  sides = [height, width] if size == 2 else [width, height]
  data[position : position + 2 * size] = b"".join(
    side.to_bytes(size, "big") for side in sides
  )
  return bytes(data)


@pytest.mark.parametrize(
  "data",
  [
    claiming(CASES["png"][0], 16, 13000, 13000),
    claiming(
      CASES["jpeg"][0], CASES["jpeg"][0].index(b"\xff\xc0") + 5, 13000, 13000
    ),
    claiming(
      CASES["jpeg_progressive"][0],
      CASES["jpeg_progressive"][0].index(b"\xff\xc2") + 5,
      13000,
      13000,
    ),
    CASES["gif"][0][:6] + b"\xff" * 4 + CASES["gif"][0][10:],
    b"P6 13000 13000 255\n" + bytes(100),
  ],
)
def test_a_claim_of_more_pixels_than_bytes_can_hold_is_refused(
  data, monkeypatch
):
  for name in ("decode_jpeg", "decode_image", "decode_and_crop_jpeg"):
    monkeypatch.setattr(tf.io, name, lambda *_, **__: pytest.fail("decoded"))
  with pytest.raises(ValueError, match="claims"):
    decoding.decode_bytes(data)


def test_a_gif_whose_first_frame_is_a_part_of_its_screen_is_refused():
  data = CASES["gif"][0]
  wider = data[:6] + struct.pack("<HH", WIDTH + 1, HEIGHT) + data[10:]
  with pytest.raises(ValueError, match="GIF"):
    decoding.decode_bytes(wider)


@pytest.mark.parametrize("rest", [b"", bytes(500)])
def test_a_window_of_a_jpeg_without_its_end_is_refused(rest):
  data = encoded(RGB.resize((64, 64)), "JPEG", quality=95)
  cut = data[: len(data) * 3 // 4] + rest
  with pytest.raises(tf.errors.InvalidArgumentError):
    window_of(tf.constant(cut), [0, 0, 8, 8])
  with pytest.raises(ValueError, match="JPEG"):
    decoding.decode_bytes(cut)


def test_a_jpeg_whose_data_end_before_its_end_marker_is_refused():
  y, x = np.mgrid[:64, :64]
  pixels = np.stack([255 - 2 * y, 4 * x, 9 * x * y % 251], -1).astype(np.uint8)
  data = encoded(Image.fromarray(pixels), "JPEG", quality=95)
  cut = data[: data.index(b"\xff\xda") + len(data) // 3] + b"\xff\xd9"
  with pytest.raises(ValueError, match="JPEG"):
    decoding.decode_bytes(cut)
  with pytest.raises(tf.errors.InvalidArgumentError):
    window_of(tf.constant(cut), [40, 8, 16, 16])


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_ends_in_gray_is_read(options):
  pixels = np.full((40, 40, 3), 128, np.uint8)
  pixels[:9] = 7
  data = tf.constant(encoded(Image.fromarray(pixels), "JPEG", **options))
  assert (decoding.decode(data)[-1].numpy() == 128).all()
  assert (window_of(data, [20, 20, 9, 9]).numpy() == 128).all()


def test_a_jpeg_may_be_followed_by_anything():
  data, expected, tolerance = CASES["jpeg"]
  image = decoding.decode_bytes(data + b"a film" * 100)
  assert np.abs(image.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", CASES)
def test_every_format_becomes_rgb_bytes(name):
  data, expected, tolerance = CASES[name]
  image = decoding.decode(tf.constant(data))
  assert image.dtype == tf.uint8 and image.shape == (HEIGHT, WIDTH, 3)
  assert np.abs(image.numpy().astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", CASES)
def test_sides_are_read_from_the_header(name, graph):
  sides = graph.sides(tf.constant(CASES[name][0]))
  assert sides.numpy().tolist() == [HEIGHT, WIDTH]


@pytest.mark.parametrize("name", CASES)
def test_a_window_equals_the_part_of_the_full_image(name):
  data = tf.constant(CASES[name][0])
  part = window_of(data, [3, 2, 8, 5])
  whole = decoding.decode(data)[3:11, 2:7]
  # In JPEGs, upsampled color depends on pixels beyond the window.
  tolerance = 12 if name.startswith("jpeg") else 0
  assert np.abs(part.numpy().astype(int) - whole.numpy()).max() <= tolerance


def test_a_large_jpeg_is_decoded_partially_to_the_same_pixels(shared_data):
  path = sorted((shared_data / "coco" / "train2017").glob("*.jpg"))[0]
  data = tf.constant(path.read_bytes())
  part = window_of(data, [64, 128, 200, 160])
  whole = decoding.decode(data)[64:264, 128:288]
  inside = np.s_[2:-2, 2:-2]
  np.testing.assert_array_equal(part[inside], whole[inside])


@pytest.fixture(scope="module", params=range(1, 9))
def photograph(request):
  """A JPEG with an EXIF orientation, and its upright pixels."""
  large = RGB.resize((40, 64), Image.Resampling.BILINEAR)
  exif = Image.Exif()
  exif[0x0112] = request.param
  data = encoded(large, "JPEG", quality=95, exif=exif)
  upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
  return tf.constant(data), np.asarray(upright).astype(int)


def test_a_photograph_is_decoded_upright(photograph):
  data, upright = photograph
  image = decoding.decode(data)
  assert image.shape == upright.shape
  assert np.abs(image.numpy() - upright).max() <= 3
  assert decoding.sides(data).numpy().tolist() == list(upright.shape[:2])


def test_a_photograph_is_upright_in_a_graph(photograph, graph):
  data, upright = photograph
  assert np.abs(graph.decode(data).numpy() - upright).max() <= 3


def test_a_window_of_a_photograph_is_upright(photograph):
  data, upright = photograph
  part = window_of(data, [5, 9, 20, 11]).numpy()
  assert part.shape == (20, 11, 3)
  assert np.abs(part[2:-2, 2:-2] - upright[7:23, 11:18]).max() <= 3


def test_only_the_window_of_a_photograph_is_decoded(photograph, monkeypatch):
  decoded = []
  real = tf.io.decode_and_crop_jpeg

  def spy(contents, window, *args, **kwargs):
    decoded.append(window.numpy().tolist()[2:])
    return real(contents, window, *args, **kwargs)

  monkeypatch.setattr(tf.io, "decode_and_crop_jpeg", spy)
  window_of(photograph[0], [5, 9, 20, 11])
  assert sorted(*decoded) == [11, 20]


def test_a_top_down_bmp_is_not_flipped():
  data = bytearray(CASES["bmp"][0])
  start, stride = (
    struct.unpack_from("<i", data, 10)[0],
    4 * ((3 * WIDTH + 3) // 4),
  )
  rows = [
    data[start + stride * i : start + stride * (i + 1)] for i in range(HEIGHT)
  ]
  struct.pack_into("<i", data, 22, -HEIGHT)
  data[start:] = b"".join(reversed(rows))
  image = decoding.decode(tf.constant(bytes(data)))
  np.testing.assert_array_equal(image, picture())
  assert decoding.sides(tf.constant(bytes(data))).numpy().tolist() == [12, 9]


@pytest.mark.parametrize(
  "data",
  [
    b"",
    b"no image at all",
    CASES["jpeg"][0][:200],
    CASES["png"][0][:60],
    CASES["bmp"][0][:60],
    CASES["gif"][0][:40],
    CASES["pgm"][0][:-1],
    CASES["pgm"][0] + b"1",
    b"P5 2 2 65535\n" + bytes(7),
    b"P5 2 2 \x80\n" + bytes(8),  # TensorFlow's message is no UTF-8.
    b"P6 2 2 255\n" + bytes(11),
    encoded(RGB, "WEBP")[:60],
    encoded(RGB, "TIFF")[:60],
    encoded(Image.new("F", (4, 4)), "TIFF"),
    b"P5 -2 -2 255\n" + bytes(4),
    b"P5 2",
    b"P5 99999 99999 255\n",
  ],
)
def test_undecodable_files_fail(data, graph):
  with pytest.raises(ValueError):
    decoding.decode_bytes(data)
  with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
    graph.decode(tf.constant(data))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
