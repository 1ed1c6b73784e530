"""Settings of a pretraining run, which gin files bind."""

import dataclasses
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.augment import background_change as background_change_lib
from tf_ssl.augment import croppers, recipes
from tf_ssl.datasets import records
from tf_ssl.datasets.annotations import known_objects
from tf_ssl.datasets.masks import object_masks
from tf_ssl.input_pipeline import decoded_images
from tf_ssl.ops import optimizers
from tf_ssl.training import attention_boxes
from tf_ssl.training import phases as phases_lib
from tf_ssl.training.monitors import base, projector, representation, views

LABELS = ("none", "all", "some")
AUTO = "auto"
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")  # Of Keras.
PRECISIONS = (AUTO, *POLICIES)
Source = str | Callable[[], str | records.ImageRecords]
Boxes = known_objects.KnownObjects | attention_boxes.AttentionBoxes


def default_monitors() -> tuple[base.Monitor, ...]:
  """Monitors that need no data besides the training images."""
  return (
    representation.Representation(),
    views.Views(),
    projector.Projector(),
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretraining:
  """All settings of one pretraining run.

  Attributes:
    images: training images: a folder, a manifest, TFRecords or a TFDS name
      (`datasets.open_images`); or a function that returns one of these or the
      records, such as `video_frames.frame_pairs`.
    method: builder of the method, such as `moco.build_moco`.
    initialize: function of the encoder, normalized views [B, H, W, 3] and a
      seed that replaces its random initial weights before the first step, such
      as `principal_filters.initialize`; None keeps them.
    recipe: recipe of the views, such as `recipes.moco_v2()`; or one recipe for
      each view of the method's batch, such as PIRL's image and patches.
    cropper: chooses the windows of an image's views by the objects in it, such
      as `croppers.SameObjectCrop()`; None for windows anywhere. Areas and
      aspect ratios are those of the recipes.
    boxes: objects for the cropper, such as `known_objects.KnownObjects(...)` or
      `attention_boxes.AttentionBoxes()`; None if `images` brings its own
      (`region_tracks.tracked_objects`). Images without a box are cropped as
      without a cropper, and counted.
    background_change: replaces the background of views by that of other
      images, such as `background_change.BackgroundChange()`; None for no
      change.
    masks: masks of the objects, such as `object_masks.ObjectMasks(...)`, which
      a background change needs. Images without a mask are counted, and keep
      their background.
    image_size: side of a view, pixels.
    batch_size: global batch size.
    steps: number of optimizer steps.
    phases: early parts of the run with another image size, batch size or
      smallest crops (`phases.Phase`), such as half of the steps on views of
      half the pixels. The learning-rate schedule remains a function of the
      step. Monitors measure at `image_size`.
    learning_rate: peak learning rate.
    scale_learning_rate: whether `learning_rate` is given for a batch of 256 and
      is multiplied by batch_size / 256 (Goyal et al. 2017), in a phase by its
      batch size / 256. Otherwise it is the same for all batch sizes.
    schedule: function (peak, steps) -> learning-rate schedule.
    optimizer: function schedule -> Keras optimizer, such as
      `optimizers.MomentumSgd` or any Keras optimizer class.
    seed: seed of the initial weights, the order of images, the views and the
      queue.
    deterministic: whether the same config on the same machine gives the same
      bits; slower.
    labels: images that must have a class the method learns from: "none", "all",
      or "some" (images without a label in a manifest are unlabeled).
    labeled_fraction: fraction of each class whose labels the method gets, above
      0 and at most 1; the seed chooses the images.
    monitors: measurements during the run, in the order of the log.
    more_monitors: further monitors, for a second gin file that adds to the
      list of the first one.
    loggers: monitors that send the log to experiment trackers, such as
      `loggers.Mlflow()`.
    best_metric: name of the metric whose best value marks the checkpoint in
      checkpoints/best; the lowest for "loss", the highest for others. None for
      the choice of the first monitor that has one (kNN: "knn_accuracy"), else
      "loss".
    log_every: number of steps in a logged window.
    checkpoint_every_steps: number of steps between checkpoints; 0 for none.
    checkpoint_every_minutes: minutes between checkpoints; 0 for none. Not used
      by a deterministic run on several replicas: saving rounds the averages of
      batch norm, and must happen at the same steps each time.
    keep_checkpoints: number of recent checkpoints to keep besides the best.
    max_skipped_fraction: fraction of the images that may be unusable.
    decoded_mib: images are decoded once and kept in memory if all of them,
      decoded, take at most so many MiB (up to 2047), and the run has two epochs
      or more; 0 to decode them in each epoch. Each process keeps all of them. A
      tf.data service always decodes them in each epoch.
    finish_views_in_step: whether the photometric half of augmentation runs in
      the train step, on the accelerator, instead of the input pipeline.
    precision: "float32", "mixed_bfloat16" or "mixed_float16", of the encoders'
      convolutions; weights, batch statistics, heads, memory and losses are
      float32. "auto" is "mixed_bfloat16" if all devices of the run compute it
      in hardware (`bfloat16.support`), else "float32"; a run keeps its choice.
    jit_compile: whether XLA compiles the train step.
    steps_per_execution: number of train steps per call from Python.
    threads_per_operation: number of CPU threads that share one operation; 0 for
      TensorFlow's choice. With few cores and a symmetric loss, whose halves run
      in parallel, 1 takes a sixth to a quarter less time.
    strategy: devices that train together; see `distribution.strategy`.
    worker_seconds: seconds to wait for the other workers of TF_CONFIG.
    data_service_address: "host:port" of a tf.data service that makes the
      batches; None to make them in this process. Images then arrive in the
      order in which they are ready.
    next_command: command that the summary suggests at its end; None for none.
  """

  images: Source
  method: Callable
  recipe: recipes.Recipe | Sequence[recipes.Recipe]
  cropper: croppers.Cropper | None = None
  boxes: Boxes | None = None
  background_change: background_change_lib.BackgroundChange | None = None
  masks: object_masks.ObjectMasks | None = None
  image_size: int
  batch_size: int
  steps: int
  phases: Sequence[phases_lib.Phase] = ()
  learning_rate: float
  initialize: Callable | None = None
  scale_learning_rate: bool = False
  schedule: Callable = optimizers.LearningRate
  optimizer: Callable = optimizers.MomentumSgd
  seed: int = 0
  deterministic: bool = False
  labels: str = "none"
  labeled_fraction: float = 1.0
  monitors: Sequence[base.Monitor] = dataclasses.field(
    default_factory=default_monitors
  )
  more_monitors: Sequence[base.Monitor] = ()
  loggers: Sequence[base.Monitor] = ()
  best_metric: str | None = None
  log_every: int = 50
  checkpoint_every_steps: int = 1000
  checkpoint_every_minutes: float = 10.0
  keep_checkpoints: int = 3
  max_skipped_fraction: float = 0.05
  decoded_mib: int = 0
  finish_views_in_step: bool = False
  precision: str = AUTO
  jit_compile: bool = False
  steps_per_execution: int = 1
  threads_per_operation: int = 0
  strategy: str = "auto"
  worker_seconds: float = 300.0
  data_service_address: str | None = None
  next_command: str | None = None

  def __post_init__(self):
    """Raises UsageError for values out of range or at odds."""
    _check_int("IMAGE_SIZE", self.image_size, least=2)
    _check_int("BATCH_SIZE", self.batch_size, least=1)
    _check_int("STEPS", self.steps, least=1)
    _check_int("log_every", self.log_every, least=1)
    _check_int("keep_checkpoints", self.keep_checkpoints, least=1)
    _check_int("steps_per_execution", self.steps_per_execution, least=1)
    _check_int("threads_per_operation", self.threads_per_operation, least=0)
    _check_int("decoded_mib", self.decoded_mib, least=0)
    errors.require(
      self.decoded_mib <= decoded_images.LARGEST_MIB,
      f"decoded_mib {self.decoded_mib}: expected at most"
      f" {decoded_images.LARGEST_MIB}; lower `decoded_mib`.",
    )
    errors.require(
      self.images,
      "no images: expected a folder, a manifest, TFRecords or a TFDS name; set"
      " IMAGES.",
    )
    errors.require(
      0 <= self.seed < 2**31,
      f"seed {self.seed}: expected 0 to 2147483647; change SEED.",
    )
    errors.require(
      self.learning_rate >= 0,
      f"learning rate {self.learning_rate}: expected at least 0; change"
      " LEARNING_RATE.",
    )
    errors.require(
      self.initialize is None or callable(self.initialize),
      f"initialize {self.initialize!r}: expected a function or None; in a gin"
      " file, @principal_filters.initialize without brackets.",
    )
    errors.require(
      self.precision in PRECISIONS,
      f"precision {self.precision!r}: expected one of {', '.join(PRECISIONS)};"
      " change `precision`.",
    )
    errors.require(
      self.labels in LABELS,
      f"labels {self.labels!r}: expected one of {', '.join(LABELS)}; change"
      " `labels`.",
    )
    errors.require(
      0.0 < self.labeled_fraction <= 1.0,
      f"labeled_fraction {self.labeled_fraction}: expected above 0 and at most"
      " 1; change `labeled_fraction`.",
    )
    errors.require(
      not (self.data_service_address and self.deterministic),
      "DETERMINISTIC=True with a data_service_address: a tf.data service gives"
      " images in the order in which they are ready; unset one of them.",
    )
    _check_cropper(self.cropper, self.boxes)
    errors.require(
      (self.background_change is None) == (self.masks is None),
      f"background_change={self.background_change!r}, masks={self.masks!r}:"
      " expected both or none; set Pretraining.masks and"
      " Pretraining.background_change.",
    )
    _ = self.timeline  # Raises UsageError for phases out of order.
    for monitor in self.all_monitors:
      errors.require(
        isinstance(monitor, base.Monitor),
        f"monitors: {monitor!r} is not a Monitor; expected objects: in a gin"
        " file, @module.Class() with brackets.",
      )

  @property
  def all_monitors(self) -> tuple[base.Monitor, ...]:
    """The monitors of all lists."""
    return (*self.monitors, *self.more_monitors, *self.loggers)

  @property
  def timeline(self) -> phases_lib.Timeline:
    """The parts of the run."""
    return phases_lib.Timeline(
      self.phases,
      steps=self.steps,
      image_size=self.image_size,
      batch_size=self.batch_size,
      recipe=self.recipe,
      cuts=self.boxes.steps(self.steps) if self.renews_boxes else (),
    )

  @property
  def renews_boxes(self) -> bool:
    """Whether the run's own encoder makes the boxes."""
    return isinstance(self.boxes, attention_boxes.AttentionBoxes)

  @property
  def checkpoint_metric(self) -> str:
    """Name of the metric that marks the best checkpoint."""
    names = [self.best_metric, *(m.best_metric for m in self.all_monitors)]
    return next((name for name in names if name), "loss")

  @property
  def peak_learning_rate(self) -> float:
    """Peak learning rate after scaling by the batch size."""
    scale = self.batch_size / 256 if self.scale_learning_rate else 1.0
    return self.learning_rate * scale


def _check_cropper(cropper, boxes) -> None:
  errors.require(
    cropper is None or isinstance(cropper, croppers.Cropper),
    f"cropper: {cropper!r} is not a Cropper; expected an object: in a gin file,"
    " @croppers.SameObjectCrop() with brackets.",
  )
  errors.require(
    boxes is None or isinstance(boxes, Boxes),
    f"boxes: {boxes!r}; expected KnownObjects or AttentionBoxes: in a gin file,"
    " @known_objects.KnownObjects() with brackets.",
  )
  errors.require(
    cropper is not None or boxes is None,
    "boxes are given, but no cropper uses them; set Pretraining.cropper, or"
    " leave `boxes` out.",
  )


def _check_int(name: str, value, *, least: int) -> None:
  good = isinstance(value, int) and not isinstance(value, bool)
  errors.require(
    good and value >= least,
    f"{name}={value!r}: expected a whole number of at least {least}.",
  )


def locate(settings: Pretraining) -> Pretraining:
  """Finds all data: calls sources that are functions, and the monitors' own.

  Returns:
    The settings, in which `images` is an image source or records.
  """
  for monitor in settings.all_monitors:
    monitor.find_data()
  return dataclasses.replace(settings, images=base.located(settings.images))
