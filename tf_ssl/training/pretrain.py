"""Pretraining from settings to a SavedModel: the one way a run goes."""

import json
import os
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.export import provenance, saved_model
from tf_ssl.input_pipeline import view_batches, wait_clock
from tf_ssl.methods import base
from tf_ssl.training import (
  assembly,
  baseline,
  callbacks,
  checkpoints,
  closing,
  interruption,
  metrics_log,
  non_finite,
  observation,
  progress,
  run_batches,
  run_directory,
  run_record,
  training_images,
)
from tf_ssl.training import settings as settings_lib
from tf_ssl.training.distributed import cluster as cluster_lib
from tf_ssl.training.distributed import distribution

_ONE_DEVICE = type(tf.distribute.get_strategy())


def pretrain(
  settings: settings_lib.Pretraining,
  *,
  model_dir: str,
  overwrite: bool = False,
  operative_config: Callable[[], str] = lambda: "",
  command: str = "",
) -> closing.PretrainResult:
  """Trains, or goes on training, in `model_dir`.

  Args:
    settings: the run.
    model_dir: where everything that the run leaves lies.
    overwrite: whether an earlier run there is replaced.
    operative_config: gives the config as text once everything is built; a run
      is taken up only where it is the same.
    command: what the user typed, for messages.

  Raises:
    UsageError: a setting, a file or the folder cannot be used.
    NonFiniteLossError: the loss is not finite; the batch has been saved.
  """
  distribution.use_threads(settings.threads_per_operation)
  settings = settings_lib.locate(settings)
  assembly.seed_everything(settings)
  cluster = cluster_lib.read()
  with (
    interruption.Interruption() as stop,
    distribution.lost_workers(),
    distribution.strategy(
      settings.strategy, worker_seconds=settings.worker_seconds
    ).scope(),
  ):
    distribution.check_batch(settings.batch_size)
    records = training_images.read(settings)
    model = assembly.build_method(
      settings,
      num_images=records.num_examples,
      num_classes=training_images.num_classes(records),
    )
    assembly.compile_method(settings, model)
    config = operative_config()
    directory = run_directory.opened(
      model_dir, cluster, config, overwrite=overwrite
    )
    run = _Run(settings, directory, records, model, command, stop, cluster)
    checkpoint, history = run.go(config)
  return run.result(checkpoint, history)


class _Run:
  """One process's share of a run: from its checkpoint to its end."""

  def __init__(
    self, settings, directory, records, model, command, stop, cluster
  ):
    self._settings = settings
    self._directory = directory
    self._model: base.ContrastiveModel = model
    self._command = command
    self._cluster = cluster
    self._stop = stop
    self._began = time.time()
    self._clock = wait_clock.WaitClock()
    self._batches = run_batches.RunBatches(
      settings,
      records,
      model.view_type,
      skipped_file=directory.skipped_files,
    )
    self._checkpoints = checkpoints.Checkpoints(
      model,
      directory.checkpoints,
      keep=settings.keep_checkpoints,
      restore_from=directory.chief_checkpoints,
    )
    self._baseline: dict[str, float] | None = None  # what was measured of it
    self._refuse_other_images()
    self._start = self._checkpoints.restore()

  def _refuse_other_images(self):
    """A memory bank has a row for each image, a run's order is of so many."""
    path = self._directory.path / run_directory.RUN_FILE
    before = json.loads(path.read_text()) if path.exists() else {}
    now = self._batches.records.num_examples
    data = before.get("data", {})
    count = data.get("examples", data.get("count", now))
    if count != now:
      raise errors.UsageError(
        f"model_dir {self._directory.path} is a run on {count} images, but"
        f" there are {now} now: expected the same ones."
        " Change IMAGES back, or give another --model_dir."
      )

  def go(self, config: str) -> tuple[str, Sequence[dict]]:
    """Trains what is left; the last checkpoint and all records."""
    settings, directory = self._settings, self._directory
    self._record_run()
    writer = tf.summary.create_file_writer(str(directory.tensorboard))
    log = metrics_log.MetricsLog(
      directory.metrics, writer, timings_apart=settings.deterministic
    )
    log.resume(self._start)
    metrics = callbacks.StepMetrics(
      self._checkpoints,
      batch_size=settings.batch_size,
      every=settings.log_every,
      wait_seconds=lambda: self._clock.seconds,
    )
    chief = self._cluster.is_chief
    bar = progress.Progress(
      metrics, first_step=self._start, num_steps=settings.steps
    )
    with self._batches.reading():
      observer = observation.NOBODY
      if chief:
        observer = observation.observe(
          settings,
          model=self._model,
          records=self._batches.records,
          directory=directory,
          writer=writer,
          config=config,
          skipped=self._batches.skipped,
          say=bar.write,
        )
    logging = callbacks.Logging(
      metrics,
      log,
      self._checkpoints,
      observer.monitors,
      monitor_every=settings.monitor_every,
      num_steps=settings.steps,
      own_periods=(settings.invariance_every,),
      knn_decides=bool(settings.labeled_images and settings.monitor_every),
      on_record=observer.judge,
    )
    if self._start == 0:
      log.write(0, logging.measure(0))
    replicas = self._model.distribute_strategy.num_replicas_in_sync
    exact = settings.deterministic and replicas > 1
    saving = callbacks.Saving(
      metrics,
      self._checkpoints,
      self._stop,
      every_steps=settings.checkpoint_every_steps,
      every_minutes=0 if exact else settings.checkpoint_every_minutes,
      guard=self._batches.check,
    )
    try:
      self._fit([metrics, logging, saving, *([bar] if chief else [])])
    finally:
      bar.close()
      writer.flush()
    self._batches.end()
    checkpoint = self._checkpoints.save()
    self._record_run()
    if settings.baseline and not self._baseline and not self._stop.signal:
      self._baseline = baseline.train_and_measure(
        settings, self._batches, self._stop
      )
      self._record_run()
    return checkpoint, log.history

  def _fit(self, every_step):
    """Runs the steps that are left."""
    settings = self._settings
    if self._start >= settings.steps:
      return
    dataset = distribution.distribute(
      lambda number, count: self._clock.watch(
        self._batches.from_step(self._start, view_batches.Share(number, count))
      ),
      batch_size=settings.batch_size,
    )
    try:
      with self._batches.reading():
        self._model.fit(
          dataset,
          steps_per_epoch=settings.steps - self._start,
          epochs=1,
          verbose=0,
          callbacks=every_step,
        )
    except tf.errors.OpError as error:
      if not non_finite.is_non_finite(error):
        raise
      raise self._non_finite() from None

  def _non_finite(self) -> non_finite.NonFiniteLossError:
    step = int(self._model.optimizer.iterations.numpy())
    if self._batches.made_elsewhere:
      return non_finite.of_lost_batch(step)
    return non_finite.save(
      next(iter(self._batches.from_step(step))),
      directory=self._directory.non_finite,
      step=step,
      checkpoints=self._checkpoints,
    )

  def _record_run(self):
    """Writes run.json: at the start, and with time and memory at the end."""
    path = self._directory.path / run_directory.RUN_FILE
    before = json.loads(path.read_text()) if path.exists() else {}
    record = run_record.describe(
      command=self._command,
      seed=self._settings.seed,
      data=before.get("data") or self._batches.identity(),
    )
    spent = before.get("wall_seconds", 0.0)
    record["wall_seconds"] = spent + time.time() - self._began
    self._began = time.time()
    record["peak_memory_bytes"] = max(
      before.get("peak_memory_bytes", 0), run_record.peak_memory_bytes()
    )
    record["step"] = int(self._model.optimizer.iterations.numpy())
    record.update(self._batches.losses())
    if self._baseline is None:
      self._baseline = before.get("baseline")
    if self._baseline is not None:
      record["baseline"] = self._baseline
    self._directory.write_run_record(record)

  def result(self, checkpoint, history) -> closing.PretrainResult:
    """What came out, exported if the end is reached; outside of a strategy."""
    settings, directory = self._settings, self._directory
    step = int(self._model.optimizer.iterations.numpy())
    exported = None
    if step >= settings.steps and self._cluster.is_chief:
      exported = str(directory.saved_model)
    if exported and not os.path.exists(exported):
      model = self._model
      if not isinstance(model.distribute_strategy, _ONE_DEVICE):
        model, _, _ = assembly.restore_method(settings, checkpoint)
      saved_model.export_encoder(
        model.encoder,
        model.projection_head,
        exported,
        provenance=provenance.provenance(
          str(directory.path), checkpoint=checkpoint
        ),
      )
    accuracies = [r["knn_accuracy"] for r in history if "knn_accuracy" in r]
    return closing.PretrainResult(
      model_dir=str(directory.path),
      command=self._command,
      step=step,
      num_steps=settings.steps,
      stopped_by=self._stop.signal,
      knn_before=accuracies[0] if accuracies else None,
      knn_after=accuracies[-1] if accuracies else None,
      knn_k=settings.knn_k,
      knn_temperature=settings.knn_temperature,
      checkpoint=checkpoint,
      saved_model=exported,
      tensorboard=str(directory.tensorboard),
      next_command=settings.next_command
      or f"tensorboard --logdir {directory.tensorboard}",
      same_object=closing.same_object(settings, history, self._baseline),
    )
