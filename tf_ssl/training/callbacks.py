"""Callbacks of the training loop: metrics, monitors, checkpoints, stopping."""

import signal
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import progress
from tf_ssl.training import checkpoints as checkpoints_lib
from tf_ssl.training import metrics_log, phases
from tf_ssl.training.distributed import distribution
from tf_ssl.training.monitors import base


class StepMetrics(tf.keras.callbacks.Callback):
  """Averages the metrics of the steps over windows.

  The sums of the current window are part of the checkpoint, so a resumed run
  logs the same numbers as an uninterrupted one. Timings are not.

  Attributes:
    step: number of steps done.
    latest: averages and timings of the current window.
    due: whether the last step closed a window.
  """

  def __init__(
    self,
    checkpoints: checkpoints_lib.Checkpoints,
    *,
    timeline: phases.Timeline,
    every: int,
    wait_seconds: Callable[[], float],
  ):
    """Starts at step 0.

    Args:
      checkpoints: checkpoints whose memory keeps the window.
      timeline: parts of the run.
      every: number of steps in a window.
      wait_seconds: function that returns the total seconds spent waiting for
        data so far.
    """
    super().__init__()
    self._checkpoints = checkpoints
    self._timeline = timeline
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
    """Excludes the time since `began` (perf_counter) from the timings."""
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
    before, now = map(self._timeline.examples, (self._clock_step, step))
    waited = self._wait_seconds() - self._waited
    self.latest = {k: window[k] / window["steps"] for k in logs}
    self.latest["learning_rate"] = learning_rate(self.model.optimizer, step)
    self.latest.update(self._timeline.log_values(step))
    self.latest["images_per_second"] = (now - before) / seconds
    self.latest["data_wait_fraction"] = min(max(waited / seconds, 0.0), 1.0)
    # With several steps per execution, the first step past its end closes it.
    self.due = step // self._every > (step - done) // self._every

  def close_window(self) -> dict:
    """Returns the record of this window and starts the next one."""
    record = dict(self.latest)
    self._checkpoints.memory["window"] = {"steps": 0}
    self._start_clock()
    return record


class Logging(tf.keras.callbacks.Callback):
  """Runs the monitors that are due, writes records, keeps the best checkpoint.

  A record is written when a window ends, when a monitor is due, and after the
  last step. All workers close their windows at the same steps; only the chief
  measures.
  """

  def __init__(
    self,
    metrics: StepMetrics,
    log: metrics_log.MetricsLog,
    checkpoints: checkpoints_lib.Checkpoints,
    monitors: Sequence[base.Monitor],
    *,
    num_steps: int,
    measures: bool = True,
    best_metric: str = "loss",
    on_record: Callable[[list[dict]], None] = lambda history: None,
  ):
    """Keeps its collaborators.

    Args:
      metrics: metrics of the steps; this callback runs before.
      log: log that the records are written to.
      checkpoints: checkpoints, of which the best is kept.
      monitors: monitors of the run, started where `measures`.
      num_steps: number of steps of the run; the last one is always logged.
      measures: whether this process measures; False for workers other than the
        chief.
      best_metric: name of the metric of the best checkpoint: the lowest "loss",
        or the highest value of another one.
      on_record: function that gets all records after each new one.
    """
    super().__init__()
    self._metrics = metrics
    self._log = log
    self._checkpoints = checkpoints
    self._monitors = monitors
    self._num_steps = num_steps
    self._measures = measures
    self._best_metric = best_metric
    self._on_record = on_record
    self._seen_step = 0

  def log_start(self) -> None:
    """Measures the untrained model and writes the record of step 0."""
    self._write(0, {}, self._monitors)

  def _write(self, step: int, record: dict, due: Sequence[base.Monitor]):
    began = time.perf_counter()
    if self._measures:
      for monitor in due:
        record.update(monitor.measure(step))
    self._log.write(step, record)
    self._on_record(self._log.history)
    self._metrics.exclude_pause(began)

  def on_train_begin(self, logs=None):
    self._seen_step = self._metrics.step

  def _is_due(self, every: int) -> bool:
    """Whether the last step reached a multiple of `every`, or the end."""
    step = self._metrics.step
    return step >= self._num_steps or (
      every > 0 and step // every > self._seen_step // every
    )

  def on_train_batch_end(self, batch, logs=None):
    step = self._metrics.step
    due = [monitor for monitor in self._monitors if self._is_due(monitor.every)]
    last = self._is_due(0)
    self._seen_step = step
    if not (self._metrics.due or due or last):
      return
    record = self._metrics.close_window()
    self._write(step, record, due)
    self._check_best_metric()
    value = record.get(self._best_metric, float("-inf"))
    # Every worker takes part, including those without the metric.
    sign = -1 if self._best_metric == "loss" else 1
    self._checkpoints.save_best(sign * value)

  def _check_best_metric(self):
    if not self._measures:
      return
    known = {name for record in self._log.history for name in record}
    errors.require(
      self._best_metric in known,
      f"best_metric {self._best_metric!r} is not measured; expected one of"
      f" {', '.join(sorted(known - {'step'}))}; change best_metric.",
    )


class Saving(tf.keras.callbacks.Callback):
  """Saves checkpoints on schedule, and stops the run on request."""

  def __init__(
    self,
    metrics: StepMetrics,
    checkpoints: checkpoints_lib.Checkpoints,
    interruption: "Interruption",
    *,
    every_steps: int,
    every_minutes: float,
    guard: Callable[[], None] = lambda: None,
  ):
    """Keeps the schedule.

    Args:
      metrics: metrics of the steps; this callback runs before.
      checkpoints: checkpoints to write.
      interruption: signals that ask the run to stop.
      every_steps: number of steps between checkpoints; 0 for none.
      every_minutes: minutes between checkpoints; 0 for none.
      guard: function that raises where the run must end before saving.
    """
    super().__init__()
    self._metrics = metrics
    self._checkpoints = checkpoints
    self._interruption = interruption
    self._every_steps = every_steps
    self._every_seconds = every_minutes * 60
    self._guard = guard

    self._saved_at: float | None = None
    self._saved_step = 0

  def on_train_begin(self, logs=None):
    if self._saved_at is None:  # Called for each part of the run.
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
    # All workers save together.
    stop = distribution.any_worker(bool(self._interruption.signal))
    if by_steps or distribution.any_worker(bool(by_time)) or stop:
      began = time.perf_counter()
      self._checkpoints.save()
      self._metrics.exclude_pause(began)
      self._saved_at, self._saved_step = time.monotonic(), step
    if stop:
      self.model.stop_training = True


class ProgressBar(tf.keras.callbacks.Callback):
  """Shows loss, contrastive accuracy, images/s, ETA and data wait.

  On a terminal the bar moves in place; in a log file a line appears every half
  minute.
  """

  def __init__(
    self, metrics: StepMetrics, *, first_step: int, timeline: phases.Timeline
  ):
    """Keeps its place.

    Args:
      metrics: metrics of the steps; this callback runs before.
      first_step: number of steps done earlier.
      timeline: parts of the run.
    """
    super().__init__()
    self._metrics = metrics
    self._done = first_step
    self._timeline = timeline
    self._bar = None

  def on_train_begin(self, logs=None):
    if self._bar is None:  # Called for each part of the run.
      self._bar = progress.bar(
        "pretraining",
        total=self._timeline.steps,
        done=self._done,
        unit="step",
        work=self._timeline.pixels,
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

  def close(self) -> None:
    """Ends the bar's line."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None


class Interruption:
  """Turns SIGTERM, SIGHUP and SIGINT, in a `with` block, into a stop request.

  The first signal asks the training loop to save and stop after its step; a
  second SIGINT raises KeyboardInterrupt at once.

  Attributes:
    signal: name of the signal received, or None.
  """

  def __init__(self):
    self.signal = None
    self._before = {}

  def __enter__(self):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
      # nohup sets SIGHUP to ignore; the run then outlives its terminal.
      ignored = signal.getsignal(number) == signal.SIG_IGN
      if number == signal.SIGHUP and ignored:
        continue
      self._before[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *exc):
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _handle(self, number, frame):
    del frame
    if self.signal is not None and number == signal.SIGINT:
      raise KeyboardInterrupt
    self.signal = signal.Signals(number).name


def learning_rate(optimizer, step: int) -> float:
  """Learning rate of the last of `step` steps, for any Keras optimizer."""
  inner = getattr(optimizer, "inner_optimizer", optimizer)
  rate = getattr(inner, "_learning_rate", None)
  if rate is None:
    rate = inner.learning_rate
  if callable(rate):
    rate = rate(max(step - 1, 0))
  return float(rate)
