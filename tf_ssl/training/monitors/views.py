"""What the encoder gets to see."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import batches
from tf_ssl.training.monitors import base
from tf_ssl.training.monitors import images as tensorboard_images


class ViewGrid(base.Monitor):
  """Pictures of one batch: the views of each example side by side.

  One picture for two views: `views/query_and_key`, and for regions of tracks
  `views/query_region_and_key_region`. Patches are laid out as they were
  shuffled. The batch is fixed, so it is drawn once in a process, by the first
  measurement.
  """

  def __init__(
    self,
    batch: NamedTuple,
    writer: tf.summary.SummaryWriter,
    *,
    max_examples: int = 16,
  ):
    """Keeps the batch.

    Args:
      batch: of `types`, with float32 views, normalized.
      writer: of TensorBoard's events.
      max_examples: how many of the batch are drawn.
    """
    self._batch = batch
    self._writer = writer
    self._max_examples = max_examples
    self._drawn = False

  def measure(self, step: int) -> dict[str, float]:
    """Draws the grids, the first time; measures nothing."""
    if self._drawn:
      return {}
    self._drawn = True
    names = batches.view_fields(type(self._batch))
    with self._writer.as_default(step=step):
      for first in range(0, len(names), 2):
        self._draw(names[first : first + 2])
    return {}

  def _draw(self, names):
    views, sizes = [], []
    for name in names:
      images = getattr(self._batch, name)[: self._max_examples]
      images = tensorboard_images.from_normalized(images)
      sizes.append(f"{images.shape[-2]} x {images.shape[-3]} px")
      if images.ndim == 5:
        images = tensorboard_images.montage(images)
      views.append(images)
    picture = tensorboard_images.view_grid(
      [_of_height(images, views[0].shape[1]) for images in views],
      caption=f"{' | '.join(names)}, {' | '.join(dict.fromkeys(sizes))}, as"
      " the encoder sees them",
    )
    tf.summary.image(f"views/{'_and_'.join(names)}", picture[None])


def _of_height(images: np.ndarray, height: int) -> np.ndarray:
  if images.shape[1] == height:
    return images
  width = round(images.shape[2] * height / images.shape[1])
  return tf.image.resize(images, [height, width], "nearest").numpy()
