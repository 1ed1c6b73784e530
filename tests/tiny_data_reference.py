"""Small images and videos that tests and examples train on."""

import pathlib

import av
import numpy as np
from PIL import Image

COLORS = {"cat": (200, 60, 60), "dog": (60, 60, 200)}


def paint(folder: pathlib.Path, per_class: int) -> None:
  """Writes class folders of images; the color is the class."""
  rng = np.random.default_rng(0)
  for label, color in COLORS.items():
    (folder / label).mkdir(parents=True)
    for number in range(per_class):
      pixels = rng.integers(-20, 20, [40, 40, 3]) + color
      image = Image.fromarray(pixels.astype(np.uint8))
      image.save(folder / label / f"{number}.png")


def film(path: pathlib.Path, *, red: int = 210) -> None:
  """Writes a video in which a square moves to the right over texture."""
  rng = np.random.default_rng(0)
  ground = np.kron(rng.integers(90, 130, [24, 24, 3]), np.ones([4, 4, 1]))
  with av.open(str(path), "w") as output:
    stream = output.add_stream("libx264", rate=8)
    stream.width = stream.height = 96
    for number in range(24):
      image = ground.astype(np.uint8)
      image[30:60, 8 + 2 * number : 38 + 2 * number] = (red, 40, 30)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))
