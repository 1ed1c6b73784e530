"""Phases of a run: parts with their own image size, batch size or crop areas.

Small views cost little, so a run that starts with them sees more images in the
same time.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.input_pipeline import order, view_batches
from tf_ssl.training.distributed import distribution


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
  """An early part of a run, with settings of its own.

  The run's settings hold for its last part, and for values of None.

  Attributes:
    until: end of the phase, fraction of the run's steps: above the one of the
      phase before, and below 1.
    image_size: side of the views, pixels. Views whose recipe has a size of its
      own (regions, patches, small crops) keep it.
    batch_size: global batch size. The queue and the memory bank keep their
      sizes.
    min_area: smallest area of the crops, as a fraction of the image's; only of
      views of `image_size`.
  """

  until: float
  image_size: int | None = None
  batch_size: int | None = None
  min_area: float | None = None

  def __post_init__(self):
    """Raises UsageError for values out of range."""
    errors.require(
      _is_number(self.until) and 0.0 < self.until < 1.0,
      f"Phase.until={self.until!r}: expected a fraction of the steps above 0"
      " and below 1 (the rest of the run has its own settings).",
    )
    for name, least in (("image_size", 2), ("batch_size", 1)):
      value = getattr(self, name)
      errors.require(
        value is None or (type(value) is int and value >= least),
        f"Phase.{name}={value!r}: expected a whole number of at least {least},"
        " or None for the run's.",
      )
    errors.require(
      self.min_area is None
      or (_is_number(self.min_area) and 0.0 < self.min_area <= 1.0),
      f"Phase.min_area={self.min_area!r}: expected a fraction of the image"
      " above 0 and at most 1, or None for the recipe's.",
    )


class Part(NamedTuple):
  """Consecutive steps of a run with the same settings.

  Attributes:
    start: first step.
    stop: last step + 1.
    image_size: side of the views, pixels.
    batch_size: global batch size.
    recipe: recipe of all views, or a recipe for each view.
    earlier: earlier steps of the run with other batch sizes.
  """

  start: int
  stop: int
  image_size: int
  batch_size: int
  recipe: recipes.Recipe | Sequence[recipes.Recipe]
  earlier: tuple[order.Span, ...]


class Timeline:
  """The parts of a run.

  Attributes:
    parts: parts in the order of their steps, without gaps; one without phases.
  """

  def __init__(
    self,
    phases: Sequence[Phase] = (),
    *,
    steps: int,
    image_size: int,
    batch_size: int,
    recipe: recipes.Recipe | Sequence[recipes.Recipe],
    cuts: Sequence[int] = (),
  ):
    """Divides the steps among the phases; one without steps is left out.

    Args:
      phases: early parts of the run.
      steps: number of steps of the run.
      image_size: side of the views after the phases, pixels.
      batch_size: global batch size after the phases.
      recipe: recipe of all views, or a recipe for each view, after the phases.
      cuts: further steps at which a part begins, such as those at which boxes
        are renewed.

    Raises:
      UsageError: something else than phases, or they are out of order.
    """
    for phase in phases:
      errors.require(
        isinstance(phase, Phase),
        f"phases: {phase!r} is not a Phase; expected objects: in a gin file,"
        " [@early/phases.Phase()] with brackets.",
      )
    ends = [phase.until for phase in phases]
    errors.require(
      all(a < b for a, b in zip(ends, ends[1:], strict=False)),
      f"phases end at {', '.join(map(str, ends))} of the run: expected"
      " increasing fractions; change `until`.",
    )
    self.parts: tuple[Part, ...] = ()
    spans: list[order.Span] = []  # One for each change of the batch size.
    start = 0
    for phase in (*phases, None):
      last = steps if phase is None else round(phase.until * steps)
      size = phase and phase.batch_size or batch_size
      for stop in sorted({last, *(c for c in cuts if start < c < last)}):
        if stop == start:
          continue
        if spans and spans[-1].batch_size == size:
          earlier, spans[-1] = spans[:-1], spans[-1].longer(stop - start)
        else:
          earlier = list(spans)
          spans.append(order.Span(stop - start, size))
        part = Part(
          start,
          stop,
          phase and phase.image_size or image_size,
          size,
          recipe
          if phase is None or phase.min_area is None
          else _with_min_area(recipe, phase.min_area),
          tuple(earlier),
        )
        self.parts += (part,)
        start = stop

  @property
  def steps(self) -> int:
    """Number of steps of the run."""
    return self.parts[-1].stop

  @property
  def batch_sizes(self) -> list[int]:
    """All batch sizes of the run, each once, in increasing order."""
    return sorted({part.batch_size for part in self.parts})

  def at(self, step: int) -> Part:
    """The part of a step; the last part after the end."""
    return next((p for p in self.parts if step < p.stop), self.parts[-1])

  def examples(self, step: int) -> int:
    """Number of examples before a step."""
    return self._sum(step, lambda part: part.batch_size)

  def pixels(self, step: int) -> int:
    """Number of pixels of one view of all examples before a step."""
    return self._sum(step, lambda part: part.batch_size * part.image_size**2)

  def _sum(self, step, of_step) -> int:
    return sum(
      of_step(part) * max(min(step, part.stop) - part.start, 0)
      for part in self.parts
    )

  def log_values(self, step: int) -> dict[str, int]:
    """What changes between phases, at the last of `step` steps, for the log."""
    part = self.at(max(step - 1, 0))
    names = ("image_size", "batch_size")
    return {
      name: getattr(part, name)
      for name in names
      if len({getattr(p, name) for p in self.parts}) > 1
    }

  def schedule(self, learning_rate):
    """Scales a learning-rate schedule by the batch size of each step.

    Args:
      learning_rate: schedule for the batch size of the last part.

    Returns:
      The schedule itself where the batch size does not change.
    """
    sizes = [part.batch_size for part in self.parts]
    if len(set(sizes)) == 1:
      return learning_rate
    return ScaledLearningRate(
      learning_rate,
      starts=[part.start for part in self.parts],
      factors=[size / sizes[-1] for size in sizes],
    )


class ScaledLearningRate(tf.keras.optimizers.schedules.LearningRateSchedule):
  """A learning-rate schedule with a factor for each part of the run."""

  def __init__(self, learning_rate, *, starts, factors):
    """Creates the schedule.

    Args:
      learning_rate: schedule, function of the step.
      starts: first step of each part; the first one is 0.
      factors: factor of the learning rate in each part.
    """
    self._learning_rate = learning_rate
    self._starts, self._factors = list(starts), list(factors)

  def __call__(self, step):
    """Learning rate [] float32 at a step [], from 0."""
    started = tf.cast(step, tf.int64) >= tf.constant(self._starts, tf.int64)
    part = tf.reduce_sum(tf.cast(started, tf.int32)) - 1
    return self._learning_rate(step) * tf.gather(
      tf.constant(self._factors, tf.float32), part
    )

  def get_config(self):
    """The constructor's arguments."""
    return {
      "learning_rate": self._learning_rate,
      "starts": self._starts,
      "factors": self._factors,
    }


def fit(
  model: tf.keras.Model,
  timeline: Timeline,
  from_step: Callable[[int, view_batches.Share], tf.data.Dataset],
  *,
  start: int = 0,
  callbacks: Sequence[tf.keras.callbacks.Callback],
  before_part: Callable[[Part], object] = lambda part: None,
) -> None:
  """Trains to the end of the run, with a call of `Model.fit` for each part.

  The train step is traced once for each shape of a batch.

  Args:
    model: compiled model.
    timeline: parts of the run.
    from_step: function of a step and a share that returns the batches from the
      step to the end of its part.
    start: number of steps done earlier.
    callbacks: Keras callbacks; if one stops the training, no further part
      begins. `on_train_begin` is called for each part.
    before_part: called with each part before its batches are made.
  """
  traced = None
  for part in timeline.parts:
    if part.stop <= start:
      continue
    first = max(start, part.start)
    before_part(part)
    shape = (part.image_size, part.batch_size)
    if shape != traced:
      # Keras would trace its function again for any shape, with unknown sizes.
      model.train_function, traced = None, shape
    model.fit(
      distribution.distribute(
        functools.partial(_share, from_step, first),
        batch_size=part.batch_size,
      ),
      steps_per_epoch=part.stop - first,
      epochs=1,
      verbose=0,
      callbacks=callbacks,
    )
    if model.stop_training:
      return


def _share(from_step, step, number, count):
  return from_step(step, view_batches.Share(number, count))


def _is_number(value) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _with_min_area(recipe, min_area: float):
  """The recipe, or the recipes, with crops from another smallest area on."""
  if not hasattr(recipe, "finish"):
    return [_with_min_area(each, min_area) for each in recipe]
  if not isinstance(recipe, recipes.Recipe) or recipe.size is not None:
    return recipe
  largest = recipe.crop.area[1]
  errors.require(
    min_area <= largest,
    f"Phase.min_area={min_area}: expected at most {largest}, the largest area"
    " of the recipe; change `min_area`.",
  )
  crop = recipe.crop._replace(area=(min_area, largest))
  return recipe._replace(crop=crop)
