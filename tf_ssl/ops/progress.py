"""The progress bar of a run."""

import sys

import tensorflow as tf
import tqdm


def bar(name: str, *, total: int, done: int = 0) -> tqdm.tqdm:
  """A bar over steps, with few lines where stderr is no terminal."""
  terminal = sys.stderr.isatty()
  return tqdm.tqdm(
    total=total,
    initial=done,
    unit="step",
    desc=name,
    mininterval=0.2 if terminal else 30,
    maxinterval=10 if terminal else 30,
    dynamic_ncols=terminal,
    bar_format="{desc} {percentage:3.0f}% |{bar:12}| {n_fmt}/{total_fmt}"
    " [{elapsed}<{remaining}]{postfix}",
  )


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
    self._bar = bar("pretraining", total=self._total, done=self._done)

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
    if self._bar is not None:
      tqdm.tqdm.write(line, file=sys.stderr)
    else:
      print(line, file=sys.stderr)

  def close(self) -> None:
    """Leaves the bar as it stands."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None
