"""Trains and measures the method that a finished run is compared with."""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from tf_ssl.ops import progress
from tf_ssl.training import assembly, callbacks, data, initial_weights, phases
from tf_ssl.training import settings as settings_lib
from tf_ssl.training.distributed import distribution
from tf_ssl.training.monitors import base


def train_and_measure(
  settings: settings_lib.Pretraining,
  monitor: base.Monitor,
  context: base.Context,
  batches: data.RunBatches,
  stop: callbacks.Interruption,
) -> Mapping[str, float] | None:
  """Trains a monitor's baseline on the run's examples, and measures it.

  The baseline starts from the run's initial weights and sees the run's batches
  in order. Nothing of it is kept, so an interrupted one starts again.

  Args:
    settings: settings of the run.
    monitor: monitor with a baseline.
    context: the run, as monitors see it.
    batches: batches of the run.
    stop: signals that ask the run to stop.

  Returns:
    Metrics of the monitor, or None if interrupted.
  """
  settings = dataclasses.replace(settings, method=monitor.baseline)
  assembly.seed_everything(settings)
  records = batches.records
  model = assembly.build_method(
    settings,
    num_images=records.num_examples,
    num_classes=data.num_classes(records),
  )
  assembly.compile_method(settings, model)
  name = getattr(monitor, "baseline_name", "baseline")
  with batches.reading():
    initial_weights.replace(
      settings.initialize,
      model,
      lambda: batches.from_step(0),
      seed=settings.seed,
    )
    bar = _StopOnRequest(settings.timeline, name, stop)
    try:
      phases.fit(model, settings.timeline, batches.from_step, callbacks=[bar])
    finally:
      bar.close()
  if stop.signal:
    return None
  monitor.start(dataclasses.replace(context, method=model))
  return monitor.measure(settings.steps)


class _StopOnRequest(tf.keras.callbacks.Callback):
  """Shows a progress bar, and stops on request."""

  def __init__(self, timeline, name, stop):
    super().__init__()
    self._stop = stop
    self._bar = progress.bar(
      name, total=timeline.steps, unit="step", work=timeline.pixels
    )

  def on_train_batch_end(self, batch, logs=None):
    del batch, logs
    done = int(self.model.optimizer.iterations.numpy())
    self._bar.update(done - self._bar.n)
    if distribution.any_worker(bool(self._stop.signal)):
      self.model.stop_training = True

  def close(self):
    self._bar.close()
