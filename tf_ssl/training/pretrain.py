"""Pretraining, from settings to an exported encoder."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.export import provenance, saved_model
from tf_ssl.input_pipeline import wait_clock
from tf_ssl.methods import base
from tf_ssl.ops import progress, threads, workdir
from tf_ssl.training import (
  assembly,
  attention_boxes,
  baseline,
  callbacks,
  checkpoints,
  data,
  event_files,
  initial_weights,
  metrics_log,
  non_finite,
  phases,
  precision,
  run_directory,
  summary,
)
from tf_ssl.training import settings as settings_lib
from tf_ssl.training.distributed import cluster as cluster_lib
from tf_ssl.training.distributed import distribution
from tf_ssl.training.monitors import base as monitors_base
from tf_ssl.training.monitors import collapse, notes

_ONE_DEVICE = type(tf.distribute.get_strategy())


def pretrain(
  settings: settings_lib.Pretraining,
  *,
  model_dir: str,
  overwrite: bool = False,
  operative_config: Callable[[], str] = lambda: "",
  command: str = "",
) -> summary.PretrainResult:
  """Trains an encoder, or resumes the run in `model_dir`.

  Args:
    settings: settings of the run.
    model_dir: path of the folder for all output of the run.
    overwrite: whether an earlier run there is replaced.
    operative_config: function that returns the config as text, called once
      everything is built; a run resumes only with an equal config.
    command: command that the user typed, for messages.

  Raises:
    UsageError: a setting, a file or the folder cannot be used.
    NonFiniteLossError: the loss is not finite; the batch has been saved.
  """
  threads.use_for_tensorflow(settings.threads_per_operation)
  cluster = cluster_lib.read()
  with contextlib.ExitStack() as folders:
    folders.enter_context(run_directory.locked(model_dir, cluster))
    settings = settings_lib.locate(settings)
    assembly.seed_everything(settings)
    with (
      callbacks.Interruption() as stop,
      distribution.lost_workers(),
      distribution.strategy(
        settings.strategy, worker_seconds=settings.worker_seconds
      ).scope(),
    ):
      for size in settings.timeline.batch_sizes:
        distribution.check_batch(size)
      settings = precision.decided(
        settings, model_dir=model_dir, overwrite=overwrite
      )
      records = data.read(settings)
      model = assembly.build_method(
        settings,
        num_images=records.num_examples,
        num_classes=data.num_classes(records),
      )
      assembly.compile_method(settings, model)
      config = operative_config()
      directory = folders.enter_context(
        run_directory.opened(model_dir, cluster, config, overwrite=overwrite)
      )
      with workdir.enough_space(directory.path, run_directory.ARGUMENT):
        run = _Run(settings, directory, records, model, command, stop, cluster)
      folders.push(run.end_monitors)
      with run.naming_what_is_saved():
        checkpoint, history = run.train(config)
    with run.naming_what_is_saved():
      return run.result(checkpoint, history)


class _Run:
  """One process of a run, from its checkpoint to its end."""

  def __init__(
    self, settings, directory, records, model, command, stop, cluster
  ):
    self._settings: settings_lib.Pretraining = settings
    self._directory: run_directory.RunDirectory = directory
    self._model: base.ContrastiveModel = model
    self._command = command
    self._cluster = cluster
    self._stop = stop
    self._began = time.time()
    self._clock = wait_clock.WaitClock()
    self._batches = data.RunBatches(
      settings, records, model.view_type, skipped_file=directory.skipped_files
    )
    self._boxes: attention_boxes.RenewedBoxes | None = None
    if settings.renews_boxes:
      self._boxes = attention_boxes.RenewedBoxes(
        settings.boxes,
        model.encoder,
        records,
        num_steps=settings.steps,
        image_size=settings.image_size,
        skipped=self._batches.skipped,
      )
    self._checkpoints = checkpoints.Checkpoints(
      model,
      directory.checkpoints,
      keep=settings.keep_checkpoints,
      restore_from=directory.chief_checkpoints,
      more=None if self._boxes is None else {"boxes": self._boxes.state},
    )
    self._events = event_files.EventFiles(
      directory.tensorboard, run_directory.ARGUMENT
    )
    with workdir.writable(directory.tensorboard, run_directory.ARGUMENT):
      self._writer = tf.summary.create_file_writer(str(directory.tensorboard))
    self._context = monitors_base.Context(
      method=model,
      writer=self._writer,
      tensorboard=str(directory.tensorboard),
      model_dir=str(directory.path),
      image_size=settings.image_size,
      batch_size=settings.batch_size,
      seed=settings.seed,
      records=records,
      recipe=settings.recipe,
      cropper=settings.cropper,
      background_change=settings.background_change,
      skipped=self._batches.skipped,
    )
    self._baseline: Mapping[str, float] | None = None
    self._log: metrics_log.MetricsLog | None = None
    self._started: list[monitors_base.Monitor] = []
    self._refuse_other_images()
    self._start = self._checkpoints.restore()
    if self._boxes is not None:
      self._batches.replace_objects(self._boxes.objects())
    self._refuse_lost_checkpoints()

  def _refuse_other_images(self):
    """The memory bank and the order of examples depend on their number."""
    now = self._batches.records.num_examples
    before = self._directory.read_record().get("data", {})
    count = before.get("examples", before.get("count", now))
    if count != now:
      raise errors.UsageError(
        f"model_dir {self._directory.path} is a run on {count} images, but"
        f" there are {now} now: expected the same images. Change IMAGES back,"
        " or give another --model_dir."
      )

  def _refuse_lost_checkpoints(self):
    """A run that has saved checkpoints never starts again unasked."""
    saved = self._directory.read_record().get("step", 0)
    if saved and not self._checkpoints.latest:
      raise errors.UsageError(
        f"model_dir {self._directory.path} is a run that has saved step"
        f" {saved}, but {self._directory.checkpoints} holds no checkpoint now:"
        " expected its files. Put them back, give another --model_dir, or"
        " train from scratch with --overwrite."
      )

  @contextlib.contextmanager
  def naming_what_is_saved(self):
    """Adds the newest checkpoint to the error of a full disk.

    Raises:
      WriteError: the disk is full or not writable.
    """
    try:
      with workdir.enough_space(self._directory.path, run_directory.ARGUMENT):
        yield
    except workdir.WriteError as error:
      newest = self._checkpoints.latest
      saved = (
        f"the newest checkpoint is {newest}: the same command resumes from it"
        if newest
        else "there is no checkpoint yet"
      )
      raise workdir.WriteError(f"{error}; {saved}") from error

  def train(self, config: str) -> tuple[str, Sequence[dict]]:
    """Trains the remaining steps.

    Returns:
      Path of the last checkpoint, and all records of the log.
    """
    settings, directory = self._settings, self._directory
    self._record_run()
    self._log = log = metrics_log.MetricsLog(
      directory.metrics,
      self._writer,
      timings_apart=settings.deterministic,
      check_events=self._events.check,
    )
    log.resume(self._start)
    metrics = callbacks.StepMetrics(
      self._checkpoints,
      timeline=settings.timeline,
      every=settings.log_every,
      wait_seconds=lambda: self._clock.seconds,
    )
    chief = self._cluster.is_chief
    bar = callbacks.ProgressBar(
      metrics, first_step=self._start, timeline=settings.timeline
    )
    logging = callbacks.Logging(
      metrics,
      log,
      self._checkpoints,
      settings.all_monitors,
      num_steps=settings.steps,
      measures=chief,
      best_metric=settings.checkpoint_metric,
      on_record=self._start_monitors(config) if chief else lambda history: None,
    )
    if self._start == 0:
      with self._batches.reading():
        initial_weights.replace(
          settings.initialize,
          self._model,
          lambda: self._batches.from_step(0),
          seed=settings.seed,
        )
      logging.log_start()
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
    self._batches.end()
    checkpoint = self._checkpoints.save()
    self._record_run()
    self._train_baselines()
    return checkpoint, log.history

  def _start_monitors(self, config: str) -> Callable[[list[dict]], None]:
    """Starts the monitors; returns a function to call with all records."""
    examples = self._batches.records.examples
    with workdir.writable(self._directory.tensorboard, run_directory.ARGUMENT):
      notes.write_config(self._writer, config)
      if examples is not None and examples.tracks_per_video is not None:
        notes.write_tracks(self._writer, examples.tracks_per_video)
    with self._batches.reading():
      for monitor in self._settings.all_monitors:
        monitor.start(self._context)
        self._started.append(monitor)
    model = self._model
    judge = collapse.Judge(
      progress.write,
      embedding_size=getattr(model.projection_head, "embedding_size", None),
      key_momentum=getattr(model, "momentum", None),
      chance_loss=model.chance_loss,
    )
    lines = []
    if model.chance_loss is not None:
      lines = [
        notes.ReferenceLine(
          str(self._directory.tensorboard),
          "chance_level",
          tag="train/loss",
          value=model.chance_loss,
        )
      ]

    def on_record(history: list[dict]) -> None:
      for line in lines:
        line.draw(history[-1]["step"])
      judge(history)
      for monitor in self._started:
        monitor.on_record(history)

    return on_record

  def end_monitors(self, error_type, error, trace) -> None:
    """Ends the monitors; the arguments are those of `__exit__`."""
    del error, trace
    outcome = "finished"
    if error_type:
      outcome = "failed"
    elif self._steps_done < self._settings.steps:
      outcome = "stopped"
    for monitor in self._started:
      monitor.end(outcome, self._log.history)

  def _fit(self, every_step):
    """Runs the remaining steps."""
    try:
      with self._batches.reading():
        phases.fit(
          self._model,
          self._settings.timeline,
          lambda step, share: self._clock.watch(
            self._batches.from_step(step, share)
          ),
          start=self._start,
          callbacks=every_step,
          before_part=self._renew_boxes,
        )
    except tf.errors.OpError as error:
      if not non_finite.is_non_finite(error):
        raise
      raise self._non_finite() from None

  def _renew_boxes(self, part: phases.Part) -> None:
    """Renews the encoder's boxes where a part of the run begins with it."""
    if self._boxes is not None and self._boxes.renew(part.start):
      self._batches.replace_objects(self._boxes.objects())

  def _non_finite(self) -> non_finite.NonFiniteLossError:
    step = self._steps_done
    if self._batches.made_by_service:
      return non_finite.of_lost_batch(step)
    return non_finite.save(
      next(iter(self._batches.from_step(step))),
      directory=self._directory.non_finite,
      step=step,
      checkpoints=self._checkpoints,
    )

  def _train_baselines(self):
    compared = [m for m in self._settings.all_monitors if m.baseline]
    if not compared or self._baseline or self._stop.signal:
      return
    measured = {}
    for monitor in compared:
      found = baseline.train_and_measure(
        self._settings, monitor, self._context, self._batches, self._stop
      )
      if found is None:
        return
      measured.update(found)
    self._baseline = measured
    self._record_run()

  @property
  def _steps_done(self) -> int:
    return int(self._model.optimizer.iterations.numpy())

  def _record_run(self):
    """Writes run.json: at the start, and at the end with time and memory."""
    before = self._directory.read_record()
    record = run_directory.describe(
      command=self._command,
      seed=self._settings.seed,
      precision=self._settings.precision,
      data=before.get("data") or self._batches.fingerprint(),
    )
    spent = before.get("wall_seconds", 0.0)
    record["wall_seconds"] = spent + time.time() - self._began
    self._began = time.time()
    record["peak_memory_bytes"] = max(
      before.get("peak_memory_bytes", 0), run_directory.peak_memory_bytes()
    )
    record["step"] = self._steps_done
    record.update(self._batches.missing_counts())
    if self._baseline is None:
      self._baseline = before.get("baseline")
    if self._baseline is not None:
      record["baseline"] = self._baseline
    self._directory.write_record(record)

  def result(self, checkpoint, history) -> summary.PretrainResult:
    """Exports a finished run, and sums it up; call it outside the strategy."""
    settings, directory = self._settings, self._directory
    step = self._steps_done
    exported = None
    if step >= settings.steps and self._cluster.is_chief:
      exported = str(directory.saved_model)
    if exported and not saved_model.is_whole(exported):
      model = self._model
      on_one = isinstance(model.distribute_strategy, _ONE_DEVICE)
      if not on_one or settings.precision != "float32":
        model, _, _ = assembly.restore_method(settings, checkpoint)
      saved_model.export_encoder(
        model.encoder,
        model.projection_head,
        exported,
        provenance=provenance.provenance(
          str(directory.path), checkpoint=checkpoint
        ),
        # One that a power cut has damaged.
        overwrite=os.path.isdir(exported)
        and saved_model.has_nothing_else(exported),
        argument=run_directory.ARGUMENT,
      )
    before, after = {}, {}
    for record in history:
      before = {**record, **before}
      after.update(record)
    findings = [
      monitor.summary(before, after, self._baseline)
      for monitor in settings.all_monitors
    ]
    return summary.PretrainResult(
      model_dir=str(directory.path),
      command=self._command,
      step=step,
      num_steps=settings.steps,
      stopped_by=self._stop.signal,
      before=before,
      after=after,
      baseline=self._baseline,
      findings=tuple(line for line in findings if line),
      pictures=tuple(m.picture for m in settings.all_monitors if m.picture),
      checkpoint=checkpoint,
      saved_model=exported,
      tensorboard=str(directory.tensorboard),
      next_command=settings.next_command,
    )
