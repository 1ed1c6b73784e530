"""Features and thumbnails for TensorBoard's embedding projector."""

import io
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_ssl import batches
from tf_ssl.ops import workdir
from tf_ssl.training import run_directory
from tf_ssl.training.monitors import base, labeled, views

_FOLDER = "projector"
_CONFIG_FILE = "projector_config.pbtxt"
_THUMBNAIL = 48  # Pixels.


class Projector(base.Monitor):
  """Features of a fixed set of images, for TensorBoard's projector.

  Writes projector_config.pbtxt into TensorBoard's folder, and next to it a
  folder `projector` with thumbnails and labels, which never change, and
  features, which every measurement replaces.
  """

  def __init__(
    self,
    *,
    images: labeled.Source = None,
    image_size: int | None = None,
    every: int = 1000,
  ):
    """Keeps the source of the images.

    Args:
      images: labeled images to draw a sample from: an image source, or a
        function that returns one. None for query views of training images,
        without labels.
      image_size: side of the images, pixels; None for the side of the training
        views.
      every: number of steps between two measurements.
    """
    self.every = base.check_every(every)
    self._source = images
    self._image_size = image_size

  def find_data(self) -> None:
    self._source = base.located(self._source)

  def start(self, context: base.Context) -> None:
    """Writes what does not change."""
    super().start(context)
    if self._source is None:
      images, class_names = from_pairs(context.probe), ()
    else:
      dataset, class_names = labeled.open_dataset(
        self._source, context, self._image_size, "HELD_OUT_IMAGES"
      )
      images = sample_images(dataset)
    self._images = np.asarray(images.image)
    names = [_name(label, class_names) for label in np.asarray(images.label)]
    thumbnails = sprite(self._images, size=_THUMBNAIL)
    folder = os.path.join(context.tensorboard, _FOLDER)
    with workdir.writable(folder, run_directory.ARGUMENT):
      os.makedirs(folder, exist_ok=True)
      with workdir.replacing_file(os.path.join(folder, "sprite.png")) as path:
        thumbnails.save(path, format="png", optimize=True)
      # A table of one column has no header, by the projector's definition.
      workdir.write_text(
        os.path.join(folder, "labels.tsv"), "".join(f"{n}\n" for n in names)
      )

  def measure(self, step: int) -> Mapping[str, float]:
    """Replaces the features; returns no metric."""
    table = io.StringIO()
    found = self.context.features.array(self._images)
    np.savetxt(table, found, fmt="%.4g", delimiter="\t")
    folder = self.context.tensorboard
    with workdir.writable(folder, run_directory.ARGUMENT):
      workdir.write_text(
        os.path.join(folder, _FOLDER, "features.tsv"), table.getvalue()
      )
      workdir.write_text(os.path.join(folder, _CONFIG_FILE), _config(step))
    return {}


def _config(step: int) -> str:
  from tensorboard.plugins import projector

  config = projector.ProjectorConfig()
  embedding = config.embeddings.add()
  embedding.tensor_name = f"features at step {step}"
  embedding.tensor_path = f"{_FOLDER}/features.tsv"
  embedding.metadata_path = f"{_FOLDER}/labels.tsv"
  embedding.sprite.image_path = f"{_FOLDER}/sprite.png"
  embedding.sprite.single_image_dim.extend([_THUMBNAIL, _THUMBNAIL])
  return str(config)


def sample_images(
  dataset: tf.data.Dataset, *, max_images: int = 400, seed: int = 0
) -> batches.LabeledImage:
  """Draws a uniform random sample of a dataset, in one pass.

  Args:
    dataset: dataset of `batches.LabeledImage` batches, pixels 0..255, all of
      one size.
    max_images: number of images to draw; a smaller dataset is taken entirely.
    seed: seed of the draw (reservoir sampling).

  Returns:
    Images [N, H, W, 3] uint8 and labels [N] int32, NumPy, in the order of the
    dataset.
  """
  rng = np.random.default_rng(seed)
  kept = []  # Of (position, image, label).
  position = 0
  for images, labels in dataset.as_numpy_iterator():
    for image, label in zip(images, labels, strict=True):
      place = position if len(kept) < max_images else rng.integers(position + 1)
      if len(kept) < max_images:
        kept.append((position, image, label))
      elif place < max_images:
        kept[place] = (position, image, label)
      position += 1
  kept.sort(key=lambda item: item[0])
  return batches.LabeledImage(
    np.stack([image for _, image, _ in kept]).astype(np.uint8),
    np.array([label for _, _, label in kept], np.int32),
  )


def from_pairs(probe: batches.ImagePair) -> batches.LabeledImage:
  """The query views of a normalized batch, with the label -1 (unknown)."""
  images = views.from_normalized(probe.query)
  return batches.LabeledImage(images, np.full([len(images)], -1, np.int32))


def sprite(images: np.ndarray, *, size: int) -> Image.Image:
  """Draws thumbnails in one square image, row by row, the rest white.

  Args:
    images: [N, H, W, 3] uint8.
    size: side of a thumbnail, pixels.

  Returns:
    Image of size * ceil(sqrt(N)) pixels a side.
  """
  side = int(np.ceil(np.sqrt(len(images))))
  canvas = Image.new("RGB", (side * size, side * size), "white")
  for i, image in enumerate(images):
    row, column = divmod(i, side)
    thumbnail = Image.fromarray(image).resize((size, size))
    canvas.paste(thumbnail, (column * size, row * size))
  return canvas


def _name(label: int, class_names: Sequence[str]) -> str:
  if label < 0:
    return "unlabeled"
  name = class_names[label] if label < len(class_names) else f"class {label}"
  return " ".join(name.split())  # A tab would end the column.
