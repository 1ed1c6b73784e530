"""Builds the method of a run from its settings, or from its checkpoint."""

import dataclasses
import pathlib

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import batch_norm
from tf_ssl.input_pipeline import views as views_lib
from tf_ssl.methods import base
from tf_ssl.ops import numbered_checkpoints
from tf_ssl.training import run_directory
from tf_ssl.training import settings as settings_lib


def seed_everything(settings: settings_lib.Pretraining) -> None:
  """Seeds the initial weights; makes ops deterministic where asked."""
  tf.keras.utils.set_random_seed(settings.seed)
  if settings.deterministic:
    tf.config.experimental.enable_op_determinism()


def build_method(
  settings: settings_lib.Pretraining, *, num_images: int, num_classes: int = 0
) -> base.ContrastiveModel:
  """Builds the untrained method of a run.

  Args:
    settings: settings of the run; precision "auto" is Keras's global policy
      here.
    num_images: number of training images.
    num_classes: number of classes of their labels; 0 without labels.

  Raises:
    UsageError: the method needs labels that the settings do not ask for, or
      split batch norm cannot divide the batch of a phase.
  """
  model = settings.method(
    base.Setup(
      num_images=num_images,
      num_classes=num_classes,
      # The largest one numbers the examples of a run without repetition.
      batch_size=settings.timeline.batch_sizes[-1],
      image_size=settings.image_size,
      seed=settings.seed,
      dtype=None
      if settings.precision == settings_lib.AUTO
      else settings.precision,
    )
  )
  if batches.is_labeled(model.view_type) and settings.labels == "none":
    raise errors.UsageError(
      f"{model.name} learns from labels: expected `labels` to be 'all' or"
      " 'some'; set Pretraining.labels."
    )
  replicas = tf.distribute.get_strategy().num_replicas_in_sync
  for size in settings.timeline.batch_sizes:
    if size != settings.batch_size:  # Which its first step checks.
      batch_norm.check_batch(model, size // replicas, "Phase.batch_size")
  model.finish_views = view_finisher(settings, model.view_type)
  return model


def view_finisher(settings: settings_lib.Pretraining, view_type: type):
  """The photometric half of augmentation for the train step.

  Returns:
    Function (views, step) -> views; None where the input pipeline does it.
  """
  finisher = views_lib.Finisher(
    settings.recipe,
    view_type,
    seed=settings.seed,
    batch_size=settings.batch_size,
  )
  changes = len(settings.timeline.batch_sizes) > 1
  if not settings.finish_views_in_step:
    return None

  def finish(views, step):
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    share = settings.batch_size // replicas
    if changes:
      share = views[0].shape[0] or tf.shape(views[0])[0]
    return finisher.batch(
      views,
      step,
      context.replica_id_in_sync_group * share,
      batch_size=share * replicas,
    )

  return finish


def compile_method(
  settings: settings_lib.Pretraining, model: base.ContrastiveModel
) -> None:
  """Gives the method its optimizer, with all slot variables created."""
  schedule = settings.schedule(settings.peak_learning_rate, settings.steps)
  if settings.scale_learning_rate:
    schedule = settings.timeline.schedule(schedule)
  optimizer = settings.optimizer(schedule)
  _create_slots(optimizer, model.learned_variables)
  if settings.precision == "mixed_float16":
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
  model.compile(
    optimizer,
    jit_compile=settings.jit_compile,
    steps_per_execution=settings.steps_per_execution,
  )


def _create_slots(optimizer, variables):
  """Creates what a checkpoint restores into."""
  if hasattr(optimizer, "build"):
    optimizer.build(variables)
  else:  # tf.keras.optimizers.legacy, such as tf-models-official's LARS.
    optimizer._create_all_weights(variables)


def restore_method(
  settings: settings_lib.Pretraining, path: str
) -> tuple[base.ContrastiveModel, pathlib.Path, str]:
  """Builds the method of a run and loads its weights, without its images.

  It computes in float32 whatever the precision of the run, so that features do
  not depend on the machine; the weights are float32 in any case.

  Args:
    settings: settings of the run, from its operative config.
    path: path of the run's model_dir (its newest checkpoint), or of one of its
      checkpoints.

  Returns:
    The method, the model_dir, and the path of the checkpoint.

  Raises:
    UsageError: there is no run or no checkpoint at `path`, or it is damaged or
      of another model.
  """
  model_dir, checkpoint = locate_checkpoint(path)
  settings = dataclasses.replace(settings, precision="float32")
  model = build_recorded_method(settings, model_dir)
  try:
    numbered_checkpoints.restore(
      tf.train.Checkpoint(**model.checkpoint_roots), checkpoint
    )
  except numbered_checkpoints.DamagedError as error:
    raise errors.UsageError(
      f"{checkpoint} is damaged ({error}); expected a whole checkpoint; give"
      " --checkpoint of an earlier step"
    ) from error
  return model, model_dir, checkpoint


def build_recorded_method(
  settings: settings_lib.Pretraining, model_dir: pathlib.Path
) -> base.ContrastiveModel:
  """Builds the untrained method for the number of images in run.json."""
  directory = run_directory.RunDirectory(str(model_dir))
  recorded = directory.read_record().get("data")
  errors.require(
    recorded,
    f"{directory.record} is damaged; run the command of the training again,"
    " which resumes from its last checkpoint and writes it",
  )
  return build_method(
    settings,
    num_images=recorded.get("examples", recorded["count"]),
    num_classes=recorded.get("classes", 0),
  )


def locate_checkpoint(path: str) -> tuple[pathlib.Path, str]:
  """Finds a checkpoint and the run it belongs to.

  Args:
    path: path of a model_dir, of a folder of checkpoints, or of one checkpoint
      (without its suffix).

  Returns:
    Path of the model_dir, and path of the checkpoint.

  Raises:
    UsageError: there is no checkpoint, or it belongs to no run.
  """
  given = pathlib.Path(path)
  inside = numbered_checkpoints.found(
    given / "checkpoints"
  ) or numbered_checkpoints.found(given)
  checkpoint = inside[0] if inside else None
  if checkpoint is None and given.with_name(given.name + ".index").exists():
    checkpoint = str(given)
  if checkpoint is None:
    raise errors.UsageError(
      f"no checkpoint at {path}: expected a run's model_dir or one of its"
      " checkpoints; change --checkpoint."
    )
  for folder in pathlib.Path(checkpoint).resolve().parents:
    if (folder / run_directory.RUN_FILE).exists():
      return folder, checkpoint
  raise errors.UsageError(
    f"{checkpoint} belongs to no run: expected {run_directory.RUN_FILE} in a"
    " folder above it; give --checkpoint inside a model_dir."
  )
