"""Context for TensorBoard's charts: reference lines, config, track counts."""

import os

import numpy as np
import tensorflow as tf


class ReferenceLine:
  """A horizontal line in the chart of a scalar.

  TensorBoard draws scalars of one tag from different runs in one chart, and a
  subfolder of the run's folder is another run. The line is a run of its own,
  named after its meaning, such as "chance_level".
  """

  def __init__(self, directory: str, name: str, *, tag: str, value: float):
    """Creates the folder.

    Args:
      directory: path of the run's TensorBoard folder.
      name: name of the line in the chart's legend.
      tag: tag of the scalar whose chart gets the line.
      value: height of the line.
    """
    self._writer = tf.summary.create_file_writer(os.path.join(directory, name))
    self._tag = tag
    self._value = value

  def draw(self, step: int) -> None:
    """Extends the line to `step`."""
    with self._writer.as_default(step=step):
      tf.summary.scalar(self._tag, self._value)
    self._writer.flush()


def write_config(writer: tf.summary.SummaryWriter, config: str) -> None:
  """Writes a gin config to TensorBoard's text tab, as `config/operative`."""
  indented = "\n".join(f"    {line}" for line in config.splitlines())
  with writer.as_default(step=0):
    tf.summary.text("config/operative", indented)
  writer.flush()


def write_tracks(
  writer: tf.summary.SummaryWriter, tracks_per_video: np.ndarray
) -> None:
  """Draws the number of tracks per video, before the first step.

  The tags are `tracks/per_video`, a histogram, and `tracks/per_video_mean`.

  Args:
    writer: writer of TensorBoard's events.
    tracks_per_video: number of tracks of each video, [V] int, V >= 1.
  """
  # One bucket for each number, while there are few.
  buckets = int(np.ptp(tracks_per_video)) + 1
  with writer.as_default(step=0):
    tf.summary.histogram(
      "tracks/per_video", tracks_per_video, buckets=min(buckets, 30)
    )
    tf.summary.scalar("tracks/per_video_mean", np.mean(tracks_per_video))
  writer.flush()
