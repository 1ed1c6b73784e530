"""A miniature of PASCAL VOC whose classes are colors, and models for it.

An image is 32 x 16 px: a left and a right half of one color each, and a box
around each half. Class red is present if one of the halves is mostly red.
"""

import types
import zlib

import numpy as np
from PIL import Image

from tf_ssl.models import image_model, reader

CLASSES = ("blue", "green", "red")
_LEVELS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}
_GRAY = (30, 30, 30)


def write(root, *, counts=(("trainval", 40), ("test", 30)), seed=0):
  """Writes the folders of VOC; the classes of the halves are random.

  The right object of every fifth image is difficult.

  Args:
    root: pathlib path of the folder.
    counts: names of the splits and their numbers of images.
    seed: seed of the classes and colors.

  Returns:
    Classes of both halves (None for no object) by image name.
  """
  rng = np.random.default_rng(seed)
  for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
    (root / folder).mkdir(parents=True)
  found, number = {}, 0
  for split, count in counts:
    lines = {name: [] for name in CLASSES}
    for _ in range(count):
      number += 1
      name, difficult = f"{number:06d}", number % 5 == 0
      halves = [[None, *CLASSES][i] for i in rng.integers(0, 4, 2)]
      found[name] = halves
      pixels = np.zeros((16, 32, 3), np.uint8)
      for i, half in enumerate(halves):  # No two images are equal.
        color = _LEVELS.get(half, _GRAY) + rng.integers(-12, 13, 3)
        pixels[:, 16 * i : 16 * i + 16] = color
      file = root / f"JPEGImages/{name}.jpg"
      Image.fromarray(pixels).save(file, quality=95, subsampling=0)
      objects = "".join(
        f"<object><name>{half}</name><difficult>{int(i and difficult)}"
        f"</difficult><bndbox><xmin>{16 * i + 1}</xmin><ymin>1</ymin>"
        f"<xmax>{16 * i + 16}</xmax><ymax>16</ymax></bndbox></object>"
        for i, half in enumerate(halves)
        if half is not None
      )
      (root / f"Annotations/{name}.xml").write_text(
        "<annotation><size><width>32</width><height>16</height></size>"
        f"{objects}</annotation>"
      )
      for of in CLASSES:
        label = -1
        if of == halves[0] or (of == halves[1] and not difficult):
          label = 1
        elif of == halves[1]:
          label = 0
        lines[of].append(f"{name} {label:2d}\n")
    for of in CLASSES:
      file = root / f"ImageSets/Main/{of}_{split}.txt"
      file.write_text("".join(lines[of]))
  return found


def subject(run, name="model"):
  """A subject whose model is the function [B, H, W, 3] 0..255 -> [B, D]."""
  described = reader.Reader(
    kind="function",
    run=run,
    layer="all",
    layer_chosen="only one",
    digest=name,
    preprocessing="0..255",
    image_size=(16, 16),
    is_numpy=True,
  )
  return types.SimpleNamespace(
    name=name, frozen=image_model.ImageModel(name, described)
  )


def colors(images):
  """Mean color of both halves, and a constant that dominates the length."""
  halves = images.reshape(len(images), 16, 2, 8, 3).mean(axis=(1, 3))
  both = halves.reshape(len(images), 6)
  # For each color the brighter half: whether the class is present anywhere.
  return np.concatenate(
    [both, halves.max(axis=1), np.full((len(images), 1), 255.0)], axis=1
  )


def noise(images):
  """8 random numbers for each image, equal for equal images."""
  return np.stack(
    [
      np.random.default_rng(zlib.crc32(image.tobytes())).normal(size=8)
      for image in np.asarray(images, np.uint8)
    ]
  )
