"""Tests of tf_ssl.training.callbacks."""

import os
import signal
import sys
import types

import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.training import callbacks, phases
from tf_ssl.training.monitors import base


class _Monitor(base.Monitor):
  """Notes when it measures."""

  def __init__(self, name="score", every=1000, value=1.0):
    self.every = every
    self.name = name
    self.value = value
    self.steps = []

  def measure(self, step):
    self.steps.append(step)
    return {self.name: self.value * step}


class _Checkpoints:
  """Notes what is saved instead of saving it."""

  def __init__(self):
    self.memory = {}
    self.best = []
    self.saved = []

  def save_best(self, value):
    self.best.append(value)

  def save(self):
    self.saved.append(self.step())


class _Log:
  """Keeps the records in memory."""

  def __init__(self):
    self.history = []

  def write(self, step, values):
    self.history.append({"step": step, **values})


def timeline_of(steps, *early):
  return phases.Timeline(
    early, steps=steps, image_size=32, batch_size=8, recipe=recipes.moco_v2()
  )


class _Loop:
  """A training loop of a given loss for each step, without a model."""

  def __init__(
    self, monitors=(), *, num_steps=10, every=4, timeline=None, **options
  ):
    self.checkpoints, self.log = _Checkpoints(), _Log()
    optimizer = tf.keras.optimizers.SGD(0.5)
    self.model = types.SimpleNamespace(optimizer=optimizer, stop_training=False)
    self.checkpoints.step = lambda: int(optimizer.iterations)
    self.metrics = callbacks.StepMetrics(
      self.checkpoints,
      timeline=timeline or timeline_of(num_steps),
      every=every,
      wait_seconds=lambda: 0.0,
    )
    self.logging = callbacks.Logging(
      self.metrics,
      self.log,
      self.checkpoints,
      monitors,
      num_steps=num_steps,
      **options,
    )
    self.callbacks = [self.metrics, self.logging]

  def run(self, last, *, first=1, by=1):
    for each in self.callbacks:
      each.set_model(self.model)
      each.on_train_begin()
    for step in range(first, last + 1, by):
      self.model.optimizer.iterations.assign(step + by - 1)
      for each in self.callbacks:
        each.on_train_batch_end(0, {"loss": float(step)})


def test_a_record_averages_its_window():
  loop = _Loop(num_steps=8)
  loop.run(8)
  assert [r["step"] for r in loop.log.history] == [4, 8]
  assert [r["loss"] for r in loop.log.history] == [2.5, 6.5]
  assert loop.log.history[0]["learning_rate"] == 0.5
  assert loop.log.history[0]["images_per_second"] > 0


def test_images_are_counted_by_the_batch_size_of_each_step(monkeypatch):
  early = phases.Phase(until=0.5, batch_size=32, image_size=16)
  loop = _Loop(num_steps=8, timeline=timeline_of(8, early))
  times = iter(range(1000))
  monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(times) / 10)
  loop.run(8)
  first, last = loop.log.history
  # Each callback reads the clock a few times; both windows as often.
  rates = [record["images_per_second"] for record in (first, last)]
  assert rates[0] / rates[1] == pytest.approx(4.0, rel=0.3)
  assert [first["image_size"], last["image_size"]] == [16, 32]
  assert [first["batch_size"], last["batch_size"]] == [32, 8]


def test_a_window_of_a_resumed_run_has_the_sums_of_both_parts():
  loop = _Loop(num_steps=8)
  loop.run(2)
  loop.run(4, first=3)
  assert [r["loss"] for r in loop.log.history] == [2.5]


def test_the_last_step_is_logged_even_inside_a_window():
  loop = _Loop(num_steps=6)
  loop.run(6)
  assert [r["step"] for r in loop.log.history] == [4, 6]


def test_several_steps_per_execution_close_a_window_at_the_first_step_past_it():
  loop = _Loop(num_steps=12, every=4)
  loop.run(12, by=3)
  assert [r["step"] for r in loop.log.history] == [6, 9, 12]


def test_each_monitor_measures_at_its_own_steps():
  often, seldom, ends = _Monitor("a", 2), _Monitor("b", 5), _Monitor("c", 0)
  loop = _Loop([often, seldom, ends])
  loop.logging.log_start()
  loop.run(10)
  assert often.steps == [0, 2, 4, 6, 8, 10]
  assert seldom.steps == [0, 5, 10]
  assert ends.steps == [0, 10]
  assert [r["step"] for r in loop.log.history] == [0, 2, 4, 5, 6, 8, 10]
  assert loop.log.history[3]["b"] == 5.0


def test_a_worker_that_does_not_measure_logs_at_the_same_steps():
  monitor = _Monitor(every=3)
  loop = _Loop([monitor], measures=False, best_metric="score")
  loop.logging.log_start()
  loop.run(10)
  assert monitor.steps == []
  assert [r["step"] for r in loop.log.history] == [0, 3, 4, 6, 8, 9, 10]
  assert set(loop.checkpoints.best) == {float("-inf")}


def test_the_best_checkpoint_has_the_lowest_loss_or_the_highest_metric():
  loop = _Loop(num_steps=8)
  loop.run(8)
  assert loop.checkpoints.best == [-2.5, -6.5]
  loop = _Loop([_Monitor(every=3)], num_steps=6, best_metric="score")
  loop.run(6)
  assert loop.checkpoints.best == [3.0, float("-inf"), 6.0]


def test_a_best_metric_that_nobody_measures_is_refused_at_once():
  loop = _Loop([_Monitor(every=1)], best_metric="scor")
  with pytest.raises(errors.UsageError, match="'scor'.*score.*best_metric"):
    loop.run(1)


def test_every_record_is_reported():
  seen = []
  loop = _Loop(num_steps=8, on_record=lambda h: seen.append(h[-1]["step"]))
  loop.run(8)
  assert seen == [4, 8]


def _saving(loop, **options):
  interruption = callbacks.Interruption()
  options = {"every_steps": 0, "every_minutes": 0, **options}
  saving = callbacks.Saving(
    loop.metrics, loop.checkpoints, interruption, **options
  )
  loop.callbacks.append(saving)
  return interruption


def test_checkpoints_are_saved_every_few_steps():
  loop = _Loop()
  _saving(loop, every_steps=3)
  loop.run(10)
  assert loop.checkpoints.saved == [3, 6, 9]


def test_checkpoints_are_saved_by_time(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
  loop = _Loop()
  _saving(loop, every_minutes=1, guard=lambda: now.append(now.pop() + 25))
  loop.run(7)
  assert loop.checkpoints.saved == [3, 6]  # 75 and 150 seconds.


def test_a_request_to_stop_saves_and_stops():
  loop = _Loop()
  interruption = _saving(loop)
  loop.run(2)
  assert not loop.model.stop_training and loop.checkpoints.saved == []
  interruption.signal = "SIGTERM"
  loop.run(3, first=3)
  assert loop.model.stop_training and loop.checkpoints.saved == [3]


def test_the_guard_comes_before_saving():
  def guard():
    raise errors.UsageError("too many")

  loop = _Loop()
  _saving(loop, every_steps=1, guard=guard)
  with pytest.raises(errors.UsageError, match="too many"):
    loop.run(1)
  assert loop.checkpoints.saved == []


def test_signals_are_requests_and_a_second_ctrl_c_ends_at_once():
  before = signal.getsignal(signal.SIGINT)
  with callbacks.Interruption() as interruption:
    assert interruption.signal is None
    os.kill(os.getpid(), signal.SIGTERM)
    assert interruption.signal == "SIGTERM"
    os.kill(os.getpid(), signal.SIGTERM)  # Has no further effect.
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
      signal.sigtimedwait([], 1)  # Until Python has run the handler.
  assert signal.getsignal(signal.SIGINT) == before


def test_the_progress_bar_shows_the_current_window(capsys):
  loop = _Loop()
  bar = callbacks.ProgressBar(
    loop.metrics, first_step=0, timeline=timeline_of(10)
  )
  loop.callbacks.append(bar)
  for each in loop.callbacks:
    each.set_model(loop.model)
    each.on_train_begin()
  for step in range(1, 11):
    loop.model.optimizer.iterations.assign(step)
    for each in loop.callbacks:
      each.on_train_batch_end(0, {"loss": 2.0, "contrastive_accuracy": 0.25})
  bar.close()
  shown = capsys.readouterr().err
  assert "10/10" in shown and "loss 2.000" in shown and "25%" in shown


@pytest.mark.parametrize(
  "optimizer",
  [
    tf.keras.optimizers.Adam,
    tf.keras.optimizers.legacy.SGD,
    lambda rate: tf.keras.mixed_precision.LossScaleOptimizer(
      tf.keras.optimizers.SGD(rate)
    ),
  ],
)
def test_the_learning_rate_of_any_keras_optimizer_is_known(optimizer):
  assert callbacks.learning_rate(optimizer(0.25), 3) == 0.25
  schedule = tf.keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0)
  assert callbacks.learning_rate(optimizer(schedule), 3) == pytest.approx(0.8)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
