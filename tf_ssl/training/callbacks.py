"""What happens between steps: metrics, monitors, checkpoints, the way out."""

import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_ssl.training import checkpoints as checkpoints_lib
from tf_ssl.training import interruption as interruption_lib
from tf_ssl.training import metrics_log
from tf_ssl.training.distributed import distribution


class StepMetrics(tf.keras.callbacks.Callback):
  """Averages the steps' metrics over windows and logs each window.

  The window's sums live in the checkpoint, so a resumed run logs the same
  numbers as one that was never interrupted. Timings do not.

  Attributes:
    step: steps done so far.
    latest: the present window's averages and timings.
    due: whether this step closed a window.
  """

  def __init__(
    self,
    checkpoints: checkpoints_lib.Checkpoints,
    *,
    batch_size: int,
    every: int,
    wait_seconds: Callable[[], float],
  ):
    """Takes what the numbers depend on.

    Args:
      checkpoints: whose memory holds the window.
      batch_size: global batch.
      every: steps in a window.
      wait_seconds: total time spent waiting for data so far.
    """
    super().__init__()
    self._checkpoints = checkpoints
    self._batch_size = batch_size
    self._every = every
    self._wait_seconds = wait_seconds
    self.step = 0
    self.latest = {}
    self.due = False
    self._clock = self._waited = 0.0
    self._clock_step = 0

  @property
  def _window(self) -> dict:
    return self._checkpoints.memory.setdefault("window", {"steps": 0})

  def on_train_begin(self, logs=None):
    self.step = int(self.model.optimizer.iterations.numpy())
    self._start_clock()

  def _start_clock(self):
    self._clock = time.perf_counter()
    self._waited = self._wait_seconds()
    self._clock_step = self.step

  def exclude_pause(self, began: float) -> None:
    """Leaves the time since `began` (perf_counter) out of the timings."""
    self._clock += time.perf_counter() - began

  def on_train_batch_end(self, batch, logs=None):
    del batch
    step = int(self.model.optimizer.iterations.numpy())
    window, done = self._window, step - self.step
    window["steps"] += done
    for name in logs:
      window[name] = window.get(name, 0.0) + done * float(logs[name])
    self.step = step
    seconds = max(time.perf_counter() - self._clock, 1e-9)
    images = (step - self._clock_step) * self._batch_size
    waited = self._wait_seconds() - self._waited
    self.latest = {k: window[k] / window["steps"] for k in logs}
    self.latest["learning_rate"] = learning_rate(self.model.optimizer, step)
    self.latest["images_per_second"] = images / seconds
    self.latest["data_wait_fraction"] = min(max(waited / seconds, 0.0), 1.0)
    # with several steps an execution a window closes at the first past its end
    self.due = step // self._every > (step - done) // self._every

  def close_window(self) -> dict:
    """The record of this window; the next one starts empty."""
    record = dict(self.latest)
    self._checkpoints.memory["window"] = {"steps": 0}
    self._start_clock()
    return record


class Logging(tf.keras.callbacks.Callback):
  """Runs monitors when they are due and writes the records."""

  def __init__(
    self,
    metrics: StepMetrics,
    log: metrics_log.MetricsLog,
    checkpoints: checkpoints_lib.Checkpoints,
    monitors: Sequence,
    *,
    monitor_every: int,
    num_steps: int,
    own_periods: Sequence[int] = (),
    knn_decides: bool = False,
    on_record: Callable[[list[dict]], None] = lambda history: None,
  ):
    """Takes what is measured and where it goes.

    Args:
      metrics: runs before this callback.
      log: where records go.
      checkpoints: the best one is saved.
      monitors: each is a `monitors.Monitor`.
      monitor_every: steps between two measurements; 0 for never. Monitors with
        an `every` of their own have that.
      num_steps: of the run; the last step is measured and logged too.
      own_periods: the `every` of these; given apart because workers without
        monitors close their windows at the same steps.
      knn_decides: whether the best is that of `knn_accuracy`, not of the loss.
      on_record: gets all records after each new one.
    """
    super().__init__()
    self._metrics = metrics
    self._log = log
    self._checkpoints = checkpoints
    self._monitors = monitors
    self._every = monitor_every
    self._num_steps = num_steps
    self._knn_decides = knn_decides
    self._on_record = on_record
    self._own_periods = own_periods
    self._seen_step = 0

  def measure(
    self, step: int, monitors: Sequence | None = None
  ) -> dict[str, float]:
    """What monitors, by default all, say at a step."""
    began = time.perf_counter()
    values = {}
    for monitor in self._monitors if monitors is None else monitors:
      values.update(monitor.measure(step))
    self._metrics.exclude_pause(began)
    return values

  def on_train_begin(self, logs=None):
    self._seen_step = self._metrics.step

  def _is_due(self, monitor) -> bool:
    every = getattr(monitor, "every", None)
    return self._reached(self._every if every is None else every)

  def _reached(self, every: int) -> bool:
    """Whether a measurement every so many steps falls on this one."""
    step = self._metrics.step
    return bool(every) and (
      step >= self._num_steps or step // every > self._seen_step // every
    )

  def on_train_batch_end(self, batch, logs=None):
    step = self._metrics.step
    last = step >= self._num_steps
    measure = self._reached(self._every)
    own = any(self._reached(every) for every in self._own_periods)
    due = [monitor for monitor in self._monitors if self._is_due(monitor)]
    self._seen_step = step
    if not (self._metrics.due or measure or own or last):
      return
    record = self._metrics.close_window()
    record.update(self.measure(step, due))
    self._log.write(step, record)
    self._on_record(self._log.history)
    if self._knn_decides:
      measured = record.get("knn_accuracy", float("-inf"))
      if measure:
        self._checkpoints.save_best(measured)
    else:
      self._checkpoints.save_best(-record["loss"])


class Saving(tf.keras.callbacks.Callback):
  """Saves every so many steps and minutes, and stops the run when asked to."""

  def __init__(
    self,
    metrics: StepMetrics,
    checkpoints: checkpoints_lib.Checkpoints,
    interruption: interruption_lib.Interruption,
    *,
    every_steps: int,
    every_minutes: float,
    guard: Callable[[], None] = lambda: None,
  ):
    """Takes when to save.

    Args:
      metrics: runs before this callback.
      checkpoints: where to save.
      interruption: what may ask to stop.
      every_steps: 0 for never.
      every_minutes: 0 for never.
      guard: raises where the run must not go on, before anything is saved.
    """
    super().__init__()
    self._metrics = metrics
    self._checkpoints = checkpoints
    self._interruption = interruption
    self._every_steps = every_steps
    self._every_seconds = every_minutes * 60
    self._guard = guard

  def on_train_begin(self, logs=None):
    self._saved_at = time.monotonic()
    self._saved_step = self._metrics.step

  def on_train_batch_end(self, batch, logs=None):
    self._guard()
    step = self._metrics.step
    by_steps = self._every_steps and (
      step // self._every_steps > self._saved_step // self._every_steps
    )
    elapsed = time.monotonic() - self._saved_at
    by_time = self._every_seconds and elapsed >= self._every_seconds
    # Workers save together, or not at all.
    stop = distribution.any_worker(bool(self._interruption.signal))
    if by_steps or distribution.any_worker(bool(by_time)) or stop:
      began = time.perf_counter()
      self._checkpoints.save()
      self._metrics.exclude_pause(began)
      self._saved_at, self._saved_step = time.monotonic(), step
    if stop:
      self.model.stop_training = True


def learning_rate(optimizer, step: int) -> float:
  """The rate of the step that was taken last."""
  inner = getattr(optimizer, "inner_optimizer", optimizer)
  rate = getattr(inner, "_learning_rate", None)
  if rate is None:
    rate = inner.learning_rate
  if callable(rate):
    rate = rate(max(step - 1, 0))
  return float(rate)
