"""The settings of a pretraining run: what a gin file binds."""

import dataclasses
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.datasets import records
from tf_ssl.ops import optimizers

LABELS = ("none", "all", "some")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
Source = str | Callable[[], str | records.ImageRecords] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretraining:
  """One run, whole.

  Attributes:
    images: where the unlabeled images are: a folder, a manifest, TFRecords, a
      TFDS name (`datasets.open_images`); or a function that returns one of
      these or the records, such as `video_frames.frame_pairs`.
    method: builds the method, such as `moco.build_moco`.
    recipe: makes views, such as `recipes.moco_v2()`; or a recipe for each view
      of the method's batch, such as PIRL's image and patches.
    image_size: side of a view, pixels.
    batch_size: global batch.
    steps: optimizer steps of the run.
    learning_rate: the peak.
    scale_learning_rate: whether `learning_rate` is meant for a batch of 256 and
      is multiplied by batch_size / 256 (Goyal et al. 2017).
    schedule: (peak, steps) -> learning-rate schedule.
    optimizer: schedule -> optimizer.
    seed: of the weights, the order, the views, the queue.
    deterministic: same bits from the same config on the same machine; slower.
    labels: which of `images` must come with a class that the method sees:
      "none", "all", or "some" (a manifest's rows without a label are unknown).
    labeled_fraction: with labels, the share of each class whose labels are
      seen, 0..1; the seed decides which.
    labeled_images: class folders (or a labeled source) that vote in the
      online kNN, and that the linear probe learns from; None turns both off.
    held_out_images: labeled likewise, whose labels both guess.
    held_out_tracks: a function that returns region tracks of videos that are
      not trained on, such as `region_tracks.region_tracks`: how often an object
      is known again there is measured (`monitors_tracks.SameObject`); None
      turns it off.
    baseline: builds the method to compare with, None for none: when the run is
      at its end, it is trained from the same initial weights on the same
      examples for as many steps, measured on `held_out_tracks`, and dropped.
    baseline_name: what to call it in the closing lines.
    knn_k: neighbors that vote (InstDisc, Wu et al. 2018).
    knn_temperature: of the votes.
    knn_image_size: side of the images that kNN sees, pixels; None for
      `image_size`. Objects look larger in random crops than in whole images,
      so somewhat more than `image_size` is often better (Touvron et al. 2019).
    linear_probe: whether a linear probe is fitted beside the kNN, on the same
      features of the same images: `linear_accuracy` in the log. It costs little
      beside computing the features.
    invariance_sets: what invariances are watched while training: sets, or
      functions that return them, such as `rendered_sets.rendered_sets`.
    invariance_every: steps between measurements of these; 0 for never. Each
      runs the encoder over all their images.
    log_every: steps in a logged window.
    monitor_every: steps between measurements of the monitors; 0 for never.
    checkpoint_every_steps: 0 for never.
    checkpoint_every_minutes: 0 for never. Not used by a deterministic run on
      several replicas: saving rounds batch norm's averages, and so must come at
      the same steps each time.
    keep_checkpoints: how many of the last are kept, besides the best.
    max_skipped_fraction: of the images that may be unusable.
    finish_views_in_step: whether the photometric half of augmentation runs in
      the train step, on the accelerator, and not in the input pipeline.
    precision: "float32", "mixed_bfloat16" or "mixed_float16".
    jit_compile: compiles the train step with XLA.
    steps_per_execution: train steps between two looks of the host.
    threads_per_operation: among how many threads a CPU divides an operation; 0
      leaves it to TensorFlow. With few cores and a symmetric loss, whose two
      halves run side by side, 1 takes a sixth to a quarter less time.
    strategy: which devices train together; see `distribution.strategy`.
    worker_seconds: how long a worker of TF_CONFIG waits for the others.
    data_service_address: "host:port" of a tf.data service that makes the
      batches; None to make them here. Images then come in the order in which
      they are ready.
    next_command: what the closing lines suggest to do next.
  """

  images: Source
  method: Callable
  recipe: recipes.Recipe | Sequence[recipes.Recipe]
  image_size: int
  batch_size: int
  steps: int
  learning_rate: float
  scale_learning_rate: bool = False
  schedule: Callable = optimizers.LearningRate
  optimizer: Callable = optimizers.MomentumSgd
  seed: int = 0
  deterministic: bool = False
  labels: str = "none"
  labeled_fraction: float = 1.0
  labeled_images: Source = None
  held_out_images: Source = None
  held_out_tracks: Callable[[], records.ImageRecords] | None = None
  baseline: Callable | None = None
  baseline_name: str = "baseline"
  knn_k: int = 20
  knn_temperature: float = 0.1
  knn_image_size: int | None = None
  linear_probe: bool = True
  invariance_sets: Sequence = ()
  invariance_every: int = 0
  log_every: int = 50
  monitor_every: int = 1000
  checkpoint_every_steps: int = 1000
  checkpoint_every_minutes: float = 10.0
  keep_checkpoints: int = 3
  max_skipped_fraction: float = 0.05
  finish_views_in_step: bool = False
  precision: str = "float32"
  jit_compile: bool = False
  steps_per_execution: int = 1
  threads_per_operation: int = 0
  strategy: str = "auto"
  worker_seconds: float = 300.0
  data_service_address: str | None = None
  next_command: str | None = None

  def __post_init__(self):
    """Refuses numbers out of range and half of a kNN."""
    _at_least("IMAGE_SIZE", self.image_size, 2)
    _at_least("BATCH_SIZE", self.batch_size, 1)
    _at_least("STEPS", self.steps, 1)
    _at_least("log_every", self.log_every, 1)
    _at_least("monitor_every", self.monitor_every, 0)
    _at_least("invariance_every", self.invariance_every, 0)
    _at_least("keep_checkpoints", self.keep_checkpoints, 1)
    _at_least("steps_per_execution", self.steps_per_execution, 1)
    _at_least("threads_per_operation", self.threads_per_operation, 0)
    if not self.images:
      raise errors.UsageError(
        "no images: expected a folder, a manifest, TFRecords or a TFDS name;"
        " set IMAGES."
      )
    if not 0 <= self.seed < 2**31:
      raise errors.UsageError(
        f"seed {self.seed}: expected 0 to 2147483647; change SEED."
      )
    if not self.learning_rate >= 0:
      raise errors.UsageError(
        f"learning rate {self.learning_rate}: expected at least 0; change"
        " LEARNING_RATE."
      )
    if self.precision not in PRECISIONS:
      raise errors.UsageError(
        f"precision {self.precision!r}: expected one of"
        f" {', '.join(PRECISIONS)}; change `precision`."
      )
    if self.labels not in LABELS:
      raise errors.UsageError(
        f"labels {self.labels!r}: expected one of {', '.join(LABELS)}; change"
        " `labels`."
      )
    if not 0.0 < self.labeled_fraction <= 1.0:
      raise errors.UsageError(
        f"labeled_fraction {self.labeled_fraction}: expected above 0 and at"
        " most 1; change `labeled_fraction`."
      )
    if self.data_service_address and self.deterministic:
      raise errors.UsageError(
        "DETERMINISTIC=True with a data_service_address: a tf.data service"
        " gives images in the order in which they are ready; unset one of"
        " them."
      )
    if bool(self.invariance_sets) != bool(self.invariance_every):
      raise errors.UsageError(
        "to watch invariances, set both invariance_sets and invariance_every"
        " (or neither)."
      )
    if (self.labeled_images is None) != (self.held_out_images is None):
      raise errors.UsageError(
        "the online kNN needs two sets: set both LABELLED_IMAGES and"
        " HELD_OUT_IMAGES, or neither."
      )

    if self.baseline is not None and self.held_out_tracks is None:
      raise errors.UsageError(
        "a baseline is compared on held-out tracks, of which there are none:"
        " expected both or neither; set held_out_tracks, or unset baseline."
      )

  @property
  def peak_learning_rate(self) -> float:
    """The rate after scaling by the batch."""
    scale = self.batch_size / 256 if self.scale_learning_rate else 1.0
    return self.learning_rate * scale


def _at_least(name: str, value, least: int):
  if isinstance(value, bool) or not isinstance(value, int) or value < least:
    raise errors.UsageError(
      f"{name}={value!r}: expected a whole number of at least {least}."
    )


def locate(settings: Pretraining) -> Pretraining:
  """Replaces sources that are functions by what they return."""
  sources = {
    name: getattr(settings, name)
    for name in (
      "images",
      "labeled_images",
      "held_out_images",
      "held_out_tracks",
    )
  }
  return dataclasses.replace(
    settings, **{k: v() if callable(v) else v for k, v in sources.items()}
  )
