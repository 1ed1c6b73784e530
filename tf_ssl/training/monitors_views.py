"""What the encoder gets to see."""

import tensorflow as tf

from tf_ssl import types
from tf_ssl.training import monitors, tensorboard_images


class ViewGrid(monitors.Monitor):
  """A picture of one batch of pairs: query on the left, key on the right.

  The batch is fixed, so the picture is drawn once in a process, by the first
  measurement: `views/query_and_key`.
  """

  def __init__(
    self,
    probe: types.ImagePair,
    writer: tf.summary.SummaryWriter,
    *,
    max_pairs: int = 16,
  ):
    """Keeps the batch.

    Args:
      probe: float32 views, normalised.
      writer: of TensorBoard's events.
      max_pairs: how many of the batch are drawn.
    """
    self._probe = probe
    self._writer = writer
    self._max_pairs = max_pairs
    self._drawn = False

  def measure(self, step: int) -> dict[str, float]:
    """Draws the grid, the first time; measures nothing."""
    if self._drawn:
      return {}
    self._drawn = True
    query, key = (
      tensorboard_images.from_normalized(views[: self._max_pairs])
      for views in self._probe
    )
    height, width = query.shape[1:3]
    image = tensorboard_images.pair_grid(
      query,
      key,
      caption=f"query | key, {width} x {height} px, as the encoder sees them",
    )
    with self._writer.as_default(step=step):
      tf.summary.image("views/query_and_key", image[None])
    return {}
