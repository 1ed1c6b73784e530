"""What a monitor is, and what a run hands to it."""

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.augment import background_change as background_change_lib
from tf_ssl.augment import croppers, recipes
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.input_pipeline import view_batches
from tf_ssl.input_pipeline import views as views_lib
from tf_ssl.methods import base
from tf_ssl.models import feature_extractor

# How a run ends: after its last step, by a signal, or by an error.
OUTCOMES = ("finished", "stopped", "failed")
PROBE_PAIRS = 256  # Bounds the effective rank that can be measured.
_SAMPLE_EXAMPLES = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
  """A run as its monitors see it.

  Attributes:
    method: method being trained; monitors must not change its weights.
    writer: writer of TensorBoard's events.
    tensorboard: path of TensorBoard's folder, for other files it reads.
    model_dir: path of the run's folder, for pictures.
    image_size: side of a training view, pixels.
    batch_size: global batch size.
    seed: seed of the run.
    records: training images; None in tests that need no views.
    recipe: recipe of the views, or one recipe for each view of a batch.
    cropper: cropper of the views; None for windows anywhere.
    background_change: change of the views' background; None for none.
    skipped: record of unusable training images.
  """

  method: base.ContrastiveModel
  writer: tf.summary.SummaryWriter
  tensorboard: str
  model_dir: str
  image_size: int
  batch_size: int
  seed: int = 0
  records: records_lib.ImageRecords | None = None
  recipe: recipes.Recipe | Sequence[recipes.Recipe] | None = None
  cropper: croppers.Cropper | None = None
  background_change: background_change_lib.BackgroundChange | None = None
  skipped: skipped_lib.SkippedFiles | None = None

  @property
  def encoder(self) -> tf.keras.Model:
    """The query encoder: normalized [B, H, W, 3] -> features [B, D]."""
    return self.method.encoder

  @functools.cached_property
  def features(self) -> feature_extractor.FeatureExtractor:
    """Runs the query encoder, with its weights of the moment, on images."""
    return feature_extractor.FeatureExtractor(self.encoder)

  @functools.cached_property
  def probe(self) -> batches.ImagePair:
    """Fixed batch of up to 256 pairs of views, float32, normalized."""
    records = _without_groups(self.records)
    examples = records.examples
    if examples is not None:  # The two frames of a pair, without regions.
      examples = examples._replace(
        images=examples.images[:, :2],
        boxes=None if examples.boxes is None else examples.boxes[:, :2],
      )
      records = records._replace(examples=examples)
    view_type = self.method.view_type
    recipe = views_lib.recipe_of_each_view(self.recipe, view_type)[0]
    return self._first_batch(
      records,
      recipe=getattr(recipe, "recipe", recipe),  # That of one of several crops.
      size=PROBE_PAIRS,
      view_type=batches.ImagePair,
    )

  @functools.cached_property
  def sample(self) -> NamedTuple:
    """Fixed batch of at least 16 examples, as the method sees them."""
    view_type = self.method.view_type
    if view_type is batches.ImagePair and hasattr(self.recipe, "finish"):
      return self.probe
    return self._first_batch(
      _without_groups(self.records),
      recipe=self.recipe,
      size=_SAMPLE_EXAMPLES,
      view_type=view_type,
    )

  def _first_batch(self, records, *, recipe, size, view_type):
    dataset = view_batches.view_batches(
      records,
      recipe=recipe,
      image_size=self.image_size,
      batch_size=min(size, records.num_examples),
      seed=self.seed,
      num_steps=1,
      view_type=view_type,
      cropper=self.cropper,
      change=self.background_change,
      skipped=self.skipped,
    )
    return next(iter(dataset))


def _without_groups(records):
  """The same examples, where one batch may hold several of a group."""
  if records.examples is None:
    return records
  return records._replace(examples=records.examples._replace(groups=None))


class Monitor(abc.ABC):
  """Measures a run between steps, without changing it.

  The run calls `find_data` once, `start` once, `measure` before the first step,
  every `every` steps and after the last one, and `end` once. A monitor keeps
  nothing from one measurement for the next, so that a resumed run measures what
  an uninterrupted one does. With several worker processes only the chief starts
  its monitors.

  Attributes:
    every: number of steps between two measurements; 0 measures only before the
      first step and after the last.
    best_metric: name of the metric that marks the run's best checkpoint where
      `Pretraining.best_metric` names none; None to leave that to others.
    picture: path of a picture that shows the result, from `start` on; None for
      none.
    baseline: builder of a method to compare the run with; the run trains it
      once it has ended, and this monitor measures it. None for no comparison.
  """

  every: int = 1000
  best_metric: str | None = None
  picture: str | None = None
  baseline = None

  def find_data(self) -> None:  # noqa: B027 (optional)
    """Finds the monitor's own data, before the run builds its method.

    What cannot be used should raise UsageError here, before long work.
    """

  def start(self, context: Context) -> None:
    """Prepares to measure a run; called again for a baseline's method."""
    self.context = context

  @abc.abstractmethod
  def measure(self, step: int) -> Mapping[str, float]:
    """Measures the model as it is now.

    Args:
      step: number of optimizer steps done, for what is drawn in TensorBoard.

    Returns:
      Metrics by name; the run logs them and draws them as `train/NAME`. What
      is not a number (images, histograms) the monitor writes to
      `context.writer` itself.
    """

  def on_record(self, history: Sequence[Mapping[str, float]]) -> None:  # noqa: B027
    """Receives all records of metrics.jsonl after each new one.

    Args:
      history: records, oldest first, with the averages of the steps and what
        all monitors have measured.
    """

  def end(self, outcome: str, history: Sequence[Mapping[str, float]]) -> None:  # noqa: B027
    """Ends what `start` began, also where the run fails.

    Args:
      outcome: one of `OUTCOMES`.
      history: records, oldest first.
    """

  def summary(
    self,
    before: Mapping[str, float],
    after: Mapping[str, float],
    baseline: Mapping[str, float] | None,
  ) -> str | None:
    """One line about the result of the run; None for none.

    Args:
      before: first measured value of each metric of the run.
      after: last measured value of each metric.
      baseline: metrics of the trained baseline; None where there is none.
    """
    del before, after, baseline


def located(source):
  """Returns a data source, where it is a function after calling it."""
  return source() if callable(source) else source


def check_every(every: int) -> int:
  """Returns `every`; raises UsageError unless it is an int of at least 0."""
  if isinstance(every, bool) or not isinstance(every, int) or every < 0:
    raise errors.UsageError(
      f"every={every!r}: expected a number of steps, at least 0; change `every`"
      " of the monitor."
    )
  return every
