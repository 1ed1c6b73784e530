"""What stands beside the curves: reference lines, the config, the tracks."""

import os

import numpy as np
import tensorflow as tf

from tf_ssl.training.monitors import base


class ReferenceLine(base.Monitor):
  """A horizontal line in the chart of a scalar.

  TensorBoard draws in one chart what has the same tag in different runs, and a
  folder below the run's is another run. So the line is a run of its own, named
  for what the line means, such as "chance_level".
  """

  def __init__(self, directory: str, name: str, *, tag: str, value: float):
    """Makes the folder.

    Args:
      directory: where TensorBoard's events of the run lie.
      name: of the line, which the chart's legend shows.
      tag: of the scalar whose chart gets the line.
      value: its height.
    """
    self._writer = tf.summary.create_file_writer(os.path.join(directory, name))
    self._tag = tag
    self._value = value

  def measure(self, step: int) -> dict[str, float]:
    """Draws the line as far as `step`."""
    with self._writer.as_default(step=step):
      tf.summary.scalar(self._tag, self._value)
    self._writer.flush()
    return {}


def write_config(writer: tf.summary.SummaryWriter, config: str) -> None:
  """Puts a gin config into TensorBoard's text tab, as `config/operative`."""
  indented = "\n".join(f"    {line}" for line in config.splitlines())
  with writer.as_default(step=0):
    tf.summary.text("config/operative", indented)
  writer.flush()


def write_tracks(
  writer: tf.summary.SummaryWriter, tracks_per_video: np.ndarray
) -> None:
  """Draws how many tracks the videos have, as they are before the first step.

  The histogram `tracks/per_video` and its mean, `tracks/per_video_mean`.

  Args:
    writer: of TensorBoard's events.
    tracks_per_video: [V] int, V >= 1.
  """
  # One bucket a number, as long as they are few.
  buckets = int(np.ptp(tracks_per_video)) + 1
  with writer.as_default(step=0):
    tf.summary.histogram(
      "tracks/per_video", tracks_per_video, buckets=min(buckets, 30)
    )
    tf.summary.scalar("tracks/per_video_mean", np.mean(tracks_per_video))
  writer.flush()
