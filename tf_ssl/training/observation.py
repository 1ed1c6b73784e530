"""Which monitors watch a run, and what it makes them say."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_ssl import batches as types
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import labeled_images, view_batches
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.input_pipeline import views as views_lib
from tf_ssl.methods import base
from tf_ssl.training import run_directory
from tf_ssl.training import (
  settings as settings_lib,
)
from tf_ssl.training.monitors import base as monitors
from tf_ssl.training.monitors import (
  collapse,
  invariance,
  notes,
  projector,
  representation,
  tracks,
  views,
)
from tf_ssl.training.monitors import labeled as monitors_labeled

PROBE_PAIRS = 256  # bounds the effective rank that can be seen
_SAMPLE = 16  # examples that are drawn


class Observation(NamedTuple):
  """What looks at a run.

  Attributes:
    monitors: each has `measure(step) -> dict`.
    judge: gets all records after each new one; warns of a collapse.
  """

  monitors: Sequence[monitors.Monitor]
  judge: Callable[[Sequence[dict]], object]


NOBODY = Observation((), lambda history: None)


def observe(
  settings: settings_lib.Pretraining,
  *,
  model: base.ContrastiveModel,
  records: records_lib.ImageRecords,
  directory: run_directory.RunDirectory,
  writer: tf.summary.SummaryWriter,
  config: str,
  skipped: skipped_lib.SkippedFiles,
  say: Callable[[str], None],
) -> Observation:
  """Builds the monitors of a run; tells TensorBoard its config and tracks.

  Args:
    settings: of the run.
    model: the method, built.
    records: its unlabeled images.
    directory: of the run.
    writer: TensorBoard's.
    config: the operative config.
    skipped: told of unusable images among `records`.
    say: prints one line above the progress bar.

  Raises:
    UsageError: the labeled sets cannot be used.
  """
  notes.write_config(writer, config)
  examples = records.examples
  if examples is not None and examples.tracks_per_video is not None:
    notes.write_tracks(writer, examples.tracks_per_video)
  probe = _probe(settings, model, records, skipped)
  watching = [
    representation.RepresentationMonitor(model, probe, writer),
    views.ViewGrid(_sample(settings, model, records, probe, skipped), writer),
  ]
  chance = model.chance_loss
  if chance is not None:
    watching.append(
      notes.ReferenceLine(
        str(directory.tensorboard),
        "chance_level",
        tag="train/loss",
        value=chance,
      )
    )
  if settings.invariance_every:
    sets = [one() if callable(one) else one for one in settings.invariance_sets]
    watching.append(
      invariance.InvarianceMonitor(
        model.encoder, sets, writer, every=settings.invariance_every
      )
    )
  images, class_names = projector.from_pairs(probe), ()
  if settings.labeled_images is not None:
    labeled, _ = _labeled(settings, settings.labeled_images, "LABELLED_IMAGES")
    held_out, class_names = _labeled(
      settings, settings.held_out_images, "HELD_OUT_IMAGES"
    )
    watching.append(
      monitors_labeled.LabeledMonitor(
        model.encoder,
        labeled,
        held_out,
        writer,
        k=settings.knn_k,
        temperature=settings.knn_temperature,
        linear_probe=settings.linear_probe,
      )
    )
    images = projector.sample_images(held_out)
  if settings.held_out_tracks is not None:
    watching.append(same_object(settings, model))
  watching.append(
    projector.Projector(
      model.encoder,
      images,
      str(directory.tensorboard),
      class_names=class_names,
    )
  )
  judge = collapse.Judge(
    say,
    embedding_size=getattr(model.projection_head, "embedding_size", None),
    key_momentum=getattr(model, "momentum", None),
    chance_loss=chance,
  )
  return Observation(watching, judge)


def same_object(
  settings: settings_lib.Pretraining, model: base.ContrastiveModel
) -> tracks.SameObject:
  """The monitor that looks for objects of the held-out tracks."""
  return tracks.SameObject(
    model.encoder,
    settings.held_out_tracks,
    image_size=settings.image_size,
    batch_size=settings.batch_size,
  )


def _probe(settings, model, records, skipped) -> types.ImagePair:
  """A fixed batch of finished views, from the images that are trained on."""
  records = _in_any_batch(records)
  examples = records.examples
  if examples is not None:  # the two frames, without regions
    examples = examples._replace(
      images=examples.images[:, :2],
      boxes=None if examples.boxes is None else examples.boxes[:, :2],
    )
    records = records._replace(examples=examples)
  return _first_batch(
    settings,
    records,
    skipped,
    recipe=views_lib.recipe_of_each_view(settings.recipe, model.view_type)[0],
    size=PROBE_PAIRS,
    view_type=types.ImagePair,
  )


def _sample(settings, model, records, probe, skipped):
  """A few examples as the method sees them; the probe where that is it."""
  if model.view_type is types.ImagePair and hasattr(settings.recipe, "finish"):
    return probe
  return _first_batch(
    settings,
    _in_any_batch(records),
    skipped,
    recipe=settings.recipe,
    size=_SAMPLE,
    view_type=model.view_type,
  )


def _in_any_batch(records):
  """The same examples, of which a batch may hold several of one group."""
  examples = records.examples
  if examples is None:
    return records
  return records._replace(examples=examples._replace(groups=None))


def _first_batch(settings, records, skipped, *, recipe, size, view_type):
  batches = view_batches.view_batches(
    records,
    recipe=recipe,
    image_size=settings.image_size,
    batch_size=min(size, records.num_examples),
    seed=settings.seed,
    num_steps=1,
    view_type=view_type,
    skipped=skipped,
  )
  return next(iter(batches))


def _labeled(settings, source, named_by):
  """Batches of a labeled set, and the names of its classes."""
  records = open_images.open_images(source, labeled=True, named_by=named_by)
  dataset = labeled_images.labeled_images(
    records,
    image_size=settings.knn_image_size or settings.image_size,
    batch_size=settings.batch_size,
  )
  return dataset, records.class_names
