"""The progress bar of a run."""

import tensorflow as tf

from tf_ssl.ops import progress


class Progress(tf.keras.callbacks.Callback):
  """Loss, contrastive accuracy, images/s, ETA and the share of data wait.

  On a terminal the bar moves in place; in a log file a line appears every half
  minute.
  """

  def __init__(self, metrics, *, first_step: int, num_steps: int):
    """Takes where the numbers come from.

    Args:
      metrics: the `callbacks.StepMetrics` of this run.
      first_step: steps done before.
      num_steps: of the whole run.
    """
    super().__init__()
    self._metrics = metrics
    self._done = first_step
    self._total = num_steps
    self._bar = None

  def on_train_begin(self, logs=None):
    self._bar = progress.bar(
      "pretraining", total=self._total, done=self._done, unit="step"
    )

  def on_train_batch_end(self, batch, logs=None):
    del batch
    latest = self._metrics.latest
    text = (
      f"loss {latest['loss']:.3f}"
      f" | accuracy {latest['contrastive_accuracy']:.0%}"
      f" | {latest['images_per_second']:.0f} images/s"
      f" | data wait {latest['data_wait_fraction']:.0%}"
    )
    self._bar.set_postfix_str(text, refresh=False)
    self._bar.update(self._metrics.step - self._done)
    self._done = self._metrics.step

  def write(self, line: str) -> None:
    """Prints a line above the bar."""
    progress.write(line)

  def close(self) -> None:
    """Leaves the bar as it stands."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None
