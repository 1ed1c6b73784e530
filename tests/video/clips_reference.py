"""Writes small videos whose frames show their own number."""

import fractions

import av
import numpy as np

BITS = 10


def picture(number, width=64, height=48, color=True):
  """Returns [H, W, 3] uint8: a white bar per set bit of the number, on gray."""
  image = np.full([height, width, 3], 60, np.uint8)
  if color:
    image[: height // 2] = (200, 80, 40)  # Marks the top.
  bar = width // BITS
  for bit in range(BITS):
    if number >> bit & 1:
      image[height // 2 :, bit * bar : (bit + 1) * bar] = 230
  return image


def number_of(image):
  """Returns the number that an image shows."""
  height, width = image.shape[:2]
  bar = width // BITS
  low = image[height // 2 + height // 8 :].mean(axis=(0, 2))
  bits = [
    low[bit * bar + bar // 4 : (bit + 1) * bar].mean() > 145
    for bit in range(BITS)
  ]
  return sum(1 << bit for bit, is_set in enumerate(bits) if is_set)


def write(
  path,
  count=50,
  *,
  codec="libx264",
  pixels="yuv420p",
  size=(64, 48),
  pts=None,
  gop=12,
  fps=25,
  rotation=0,
  audio=False,
  options=None,
  container_options=None,
):
  """Writes a video of `count` frames; `pts` are in 1/1000 s."""
  width, height = size
  with av.open(str(path), "w", options=container_options or {}) as output:
    stream = output.add_stream(codec, rate=fps)
    stream.width, stream.height, stream.pix_fmt = width, height, pixels
    stream.codec_context.gop_size = gop
    stream.options = options or {}
    if rotation:
      stream.set_display_rotation(rotation)
    if pts is not None:
      stream.codec_context.time_base = fractions.Fraction(1, 1000)
    sound = output.add_stream("aac", rate=8000) if audio else None
    if sound:
      sound.layout = "mono"
    for number in range(count):
      frame = av.VideoFrame.from_ndarray(picture(number, width, height))
      if pts is not None:
        frame.pts, frame.time_base = pts[number], fractions.Fraction(1, 1000)
      output.mux(stream.encode(frame))
      if sound:
        silence = av.AudioFrame.from_ndarray(
          np.zeros([1, 320], np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate, silence.pts = 8000, number * 320
        output.mux(sound.encode(silence))
    output.mux(stream.encode(None))
    if sound:
      output.mux(sound.encode(None))
  return str(path)


def write_after_a_cover(path, count=10):
  """Writes a video whose first stream is a cover picture."""
  with av.open(str(path), "w") as output:
    cover = output.add_stream("mjpeg", rate=25)
    cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
    film = output.add_stream("libx264", rate=25)
    film.width, film.height = 64, 48
    frame = av.VideoFrame.from_ndarray(np.zeros([32, 32, 3], np.uint8))
    output.mux(cover.encode(frame))
    output.mux(cover.encode(None))
    for number in range(count):
      output.mux(film.encode(av.VideoFrame.from_ndarray(picture(number))))
    output.mux(film.encode(None))
  return str(path)
