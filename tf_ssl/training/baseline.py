"""The method that a run is compared with, trained once the run has ended."""

import dataclasses

import tensorflow as tf

from tf_ssl.input_pipeline import view_batches
from tf_ssl.ops import progress
from tf_ssl.training import assembly, observation, run_batches, training_images
from tf_ssl.training import interruption as interruption_lib
from tf_ssl.training import settings as settings_lib
from tf_ssl.training.distributed import distribution


def train_and_measure(
  settings: settings_lib.Pretraining,
  batches: run_batches.RunBatches,
  stop: interruption_lib.Interruption,
) -> dict[str, float] | None:
  """Trains the settings' baseline on the run's examples, and measures it.

  It starts from the run's initial weights and sees the run's batches, each at
  its step. Nothing of it is kept: a run that is stopped here begins it anew.

  Args:
    settings: of the run, with a baseline.
    batches: of the run.
    stop: may ask to stop.

  Returns:
    What `monitors_tracks.SameObject` measures, or None if it was stopped.
  """
  settings = dataclasses.replace(settings, method=settings.baseline)
  assembly.seed_everything(settings)
  records = batches.records
  model = assembly.build_method(
    settings,
    num_images=records.num_examples,
    num_classes=training_images.num_classes(records),
  )
  assembly.compile_method(settings, model)
  with batches.reading():
    model.fit(
      distribution.distribute(
        lambda number, count: batches.from_step(
          0, view_batches.Share(number, count)
        ),
        batch_size=settings.batch_size,
      ),
      steps_per_epoch=settings.steps,
      epochs=1,
      verbose=0,
      callbacks=[_Watch(settings.steps, settings.baseline_name, stop)],
    )
  if stop.signal:
    return None
  return observation.same_object(settings, model).measure(settings.steps)


class _Watch(tf.keras.callbacks.Callback):
  """Shows how far it is, and stops where that is asked for."""

  def __init__(self, steps, name, stop):
    super().__init__()
    self._stop = stop
    self._bar = progress.bar(name, total=steps, unit="step")

  def on_train_batch_end(self, batch, logs=None):
    del batch, logs
    done = int(self.model.optimizer.iterations.numpy())
    self._bar.update(done - self._bar.n)
    if distribution.any_worker(bool(self._stop.signal)):
      self.model.stop_training = True

  def on_train_end(self, logs=None):
    self._bar.close()
