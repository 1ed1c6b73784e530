"""TensorBoard's embedding projector: a map of the features, with thumbnails."""

import io
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_ssl import batches
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base
from tf_ssl.training.monitors import images as tensorboard_images

_FOLDER = "projector"
_CONFIG_FILE = "projector_config.pbtxt"
_THUMBNAIL = 48  # Pixels.


class Projector(base.Monitor):
  """Keeps the features of a fixed set of images where the projector finds them.

  Writes projector_config.pbtxt into the TensorBoard directory and a folder
  `projector` beside it, with the thumbnails and labels, which never change, and
  the features, which every measurement replaces.
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    images: batches.LabeledImage,
    directory: str,
    *,
    class_names: Sequence[str] = (),
  ):
    """Writes what does not change.

    Args:
      encoder: `encoder(images, training=False)`, normalized [B, H, W, 3] ->
        [B, D].
      images: images [N, H, W, 3] uint8 and labels [N], -1 where there is none;
        `sample_images` or `from_pairs` makes them.
      directory: where TensorBoard's events lie.
      class_names: name of class i.
    """
    self._features = feature_extractor.FeatureExtractor(encoder)
    self._images = np.asarray(images.image)
    self._directory = directory
    folder = os.path.join(directory, _FOLDER)
    os.makedirs(folder, exist_ok=True)
    picture = io.BytesIO()
    Image.fromarray(
      tensorboard_images.sprite(self._images, size=_THUMBNAIL)
    ).save(picture, format="png", optimize=True)
    _write(os.path.join(folder, "sprite.png"), picture.getvalue())
    names = [_name(label, class_names) for label in np.asarray(images.label)]
    # A table of one column has no header, by the projector's definition.
    labels = "".join(f"{name}\n" for name in names)
    _write(os.path.join(folder, "labels.tsv"), labels.encode())

  def measure(self, step: int) -> dict[str, float]:
    """Replaces the features; measures nothing that is a number."""
    table = io.StringIO()
    np.savetxt(
      table, self._features.array(self._images), fmt="%.4g", delimiter="\t"
    )
    path = os.path.join(self._directory, _FOLDER, "features.tsv")
    _write(path, table.getvalue().encode())
    self._write_config(step)
    return {}

  def _write_config(self, step: int) -> None:
    from tensorboard.plugins import projector

    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = f"features at step {step}"
    embedding.tensor_path = f"{_FOLDER}/features.tsv"
    embedding.metadata_path = f"{_FOLDER}/labels.tsv"
    embedding.sprite.image_path = f"{_FOLDER}/sprite.png"
    embedding.sprite.single_image_dim.extend([_THUMBNAIL, _THUMBNAIL])
    path = os.path.join(self._directory, _CONFIG_FILE)
    _write(path, str(config).encode())


def sample_images(
  dataset: tf.data.Dataset, *, max_images: int = 400, seed: int = 0
) -> batches.LabeledImage:
  """Draws images from all over a dataset, in one pass, holding no others.

  Args:
    dataset: of `batches.LabeledImage` batches, 0..255, all of one size.
    max_images: all of a smaller dataset are taken.
    seed: of the draw (reservoir sampling).

  Returns:
    images [N, H, W, 3] uint8 and labels [N] int32, NumPy, in the dataset's
    order.
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
  """The query views of a normalized batch, unlabeled, as the projector's."""
  images = tensorboard_images.from_normalized(probe.query)
  return batches.LabeledImage(images, np.full([len(images)], -1, np.int32))


def _name(label: int, class_names: Sequence[str]) -> str:
  if label < 0:
    return "unlabeled"
  name = class_names[label] if label < len(class_names) else f"class {label}"
  return " ".join(name.split())  # A tab would end the column.


def _write(path: str, content: bytes) -> None:
  """Writes a file that a TensorBoard may be reading."""
  with open(path + ".partial", "wb") as file:
    file.write(content)
  os.replace(path + ".partial", path)
