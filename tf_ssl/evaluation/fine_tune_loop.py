"""The training loop of all protocols that put a head on an encoder.

The head and the encoder each have a learning rate; that of the encoder may be
0, which freezes it. Runs from several seeds share one compiled step, and an
interrupted run resumes from its last checkpoint.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation import sanity
from tf_ssl.models import trainable
from tf_ssl.ops import numbered_checkpoints, optimizers, progress

_SAVE_SECONDS = 60.0  # Longest training time that a kill can cost.
_SCHEDULES = ("cosine", "step", "constant")
# Shares of the run at which "step" drops: ImageNet's 90 epochs drop at 30, 60.
_DROPS = (1 / 3, 2 / 3)
_DROP_FACTOR = 0.1

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sgd:
  """SGD with momentum, as PyTorch defines it (`optimizers.MomentumSgd`).

  Attributes:
    head_learning_rate: initial learning rate of the head.
    encoder_learning_rate: initial learning rate of the encoder; 0 freezes it,
      including the statistics of its batch norm.
    schedule: "cosine" (to 0), "step" (a tenth after one and two thirds of the
      steps), or "constant".
    sgd_momentum: momentum of the velocity.
    weight_decay: L2 penalty on all trained weights.
  """

  head_learning_rate: float
  encoder_learning_rate: float
  schedule: str = "cosine"
  sgd_momentum: float = 0.9
  weight_decay: float = 1e-4

  def __post_init__(self):
    """Checks the settings."""
    errors.require(
      self.schedule in _SCHEDULES,
      f"schedule={self.schedule!r}: expected one of {', '.join(_SCHEDULES)}; "
      "change `schedule`",
    )
    for name in ("encoder_learning_rate", "sgd_momentum", "weight_decay"):
      errors.require(
        0 <= getattr(self, name) < np.inf,
        f"{name}={getattr(self, name)}: expected a finite number of at least 0",
      )
    errors.require(
      0 < self.head_learning_rate < np.inf,
      f"head_learning_rate={self.head_learning_rate}: expected a finite number "
      "greater than 0",
    )

  @property
  def is_frozen(self) -> bool:
    """Whether the encoder stays unchanged."""
    return self.encoder_learning_rate == 0

  def rate(self, step: int, steps: int) -> float:
    """Factor on both initial learning rates at a step of a run of `steps`."""
    if self.schedule == "cosine":
      return float(0.5 * (1.0 + np.cos(np.pi * step / steps)))
    if self.schedule == "step":
      return _DROP_FACTOR ** sum(step >= drop * steps for drop in _DROPS)
    return 1.0

  def settings(self) -> dict[str, Any]:
    """JSON values for `protocol.Outcome.settings`."""
    return {
      "optimizer": "SGD with PyTorch's momentum",
      **dataclasses.asdict(self),
    }


class Head(Protocol):
  """A head on an encoder, with its loss.

  Attributes:
    head_variables: all variables of the head.
    trainable_head_variables: those that gradients change.
  """

  head_variables: Sequence[tf.Variable]
  trainable_head_variables: Sequence[tf.Variable]

  def draw_head(self, seed: int) -> None:
    """Sets the head to random initial weights."""

  def loss(self, *batch: Any) -> tf.Tensor:
    """Loss of the fields of a training batch, [] float32."""


class FineTuneLoop:
  """Trains a head and its encoder, once for each seed."""

  def __init__(self, head: Head, encoder: trainable.TrainableEncoder, sgd: Sgd):
    """Prepares the optimizers; traces nothing yet.

    Args:
      head: head to train.
      encoder: encoder that the head reads.
      sgd: settings of the optimizer.
    """
    self._head, self._encoder, self._sgd = head, encoder, sgd
    self._groups = [
      (list(head.trainable_head_variables), sgd.head_learning_rate)
    ]
    state = list(head.head_variables)
    if not sgd.is_frozen:
      self._groups.append(
        (list(encoder.trainable_variables), sgd.encoder_learning_rate)
      )
      state += encoder.variables
    self._optimizers = []
    for variables, rate in self._groups:
      optimizer = optimizers.MomentumSgd(
        rate, sgd_momentum=sgd.sgd_momentum, weight_decay=sgd.weight_decay
      )
      optimizer.build(variables)
      self._optimizers.append(optimizer)
    self._steps_done = tf.Variable(0, dtype=tf.int64, trainable=False)
    self._checkpoint = tf.train.Checkpoint(
      state=state,
      slots=[
        v for o in self._optimizers for v in (o.iterations, *o.velocities)
      ],
      step=self._steps_done,
    )
    self._step = tf.function(self._one_step, reduce_retracing=True)

  def run(
    self,
    batches: Callable[[int], tf.data.Dataset],
    test: Callable[[], T],
    *,
    seed: int,
    steps: int,
    folder: str,
    title: str,
    from_scratch: bool = False,
  ) -> tuple[float | None, T]:
    """Trains once, tests, and gives the encoder its initial weights back.

    Args:
      batches: function from a step to the training batches from there on.
      test: function called after training.
      seed: seed of the head's initial weights.
      steps: number of training steps.
      folder: folder of checkpoints; an interrupted run resumes from them.
      title: title of the progress bar.
      from_scratch: whether the encoder starts from random weights instead.

    Returns:
      The last training loss (see `fit`), None if there was no step left to
      train, and the result of `test`.

    Raises:
      UsageError: the loss became NaN or infinite, or is 0 from the start.
    """
    with self._encoder.restored():
      if from_scratch:
        self._encoder.draw_weights(seed)
      self._head.draw_head(seed)
      loss = self.fit(batches, steps=steps, folder=folder, title=title)
      return loss, test()

  def fit(
    self,
    batches: Callable[[int], tf.data.Dataset],
    *,
    steps: int,
    folder: str,
    title: str,
  ) -> float | None:
    """Trains from the current weights, or resumes from a checkpoint.

    Args:
      batches: function from a step to the training batches from there on.
      steps: number of training steps of the run.
      folder: folder of checkpoints.
      title: title of the progress bar.

    Returns:
      Mean loss over the last tenth of the steps of this call; None if no step
      was left.

    Raises:
      UsageError: the loss became NaN or infinite, or is 0 from the start.
    """
    for optimizer in self._optimizers:
      optimizer.reset()
    self._steps_done.assign(0)
    self._resume(folder)
    done, losses = int(self._steps_done), []
    saved = time.monotonic()
    with progress.bar(title, total=steps, done=done, unit="step") as bar:
      try:
        for batch in batches(done) if done < steps else ():
          rate = tf.constant(self._sgd.rate(done, steps), tf.float32)
          loss = float(self._step(batch, rate))
          losses.append(loss)
          done += 1
          sanity.check_loss(
            losses,
            step=done,
            steps=steps,
            title=title,
            remedy="lower HEAD_LEARNING_RATE "
            f"({self._sgd.head_learning_rate}) or ENCODER_LEARNING_RATE "
            f"({self._sgd.encoder_learning_rate})",
          )
          bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
          bar.update()
          if time.monotonic() - saved > _SAVE_SECONDS:
            self._save(folder)
            saved = time.monotonic()
      except KeyboardInterrupt:
        self._save(folder)
        raise
    last = losses[-max(1, len(losses) // 10) :]
    return float(np.mean(last)) if last else None

  def _resume(self, folder: str) -> None:
    """Restores the newest whole checkpoint, if there is one."""
    for path in numbered_checkpoints.found(folder):
      try:
        # Before anything is restored, so that no variable is half changed.
        numbered_checkpoints.check_whole(path)
      except numbered_checkpoints.DamagedError as error:
        progress.write(f"{path} is damaged ({error}); training without it")
        continue
      numbered_checkpoints.restore(self._checkpoint, path)
      return

  def _save(self, folder: str) -> None:
    numbered_checkpoints.write(
      self._checkpoint,
      folder,
      int(self._steps_done),
      keep=1,
      argument="--output_dir",
    )

  def _one_step(self, batch, rate: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
      loss = self._head.loss(*batch)
    variables = [each for each, _ in self._groups]
    gradients = tape.gradient(loss, variables)
    for optimizer, (group, base), found in zip(
      self._optimizers, self._groups, gradients, strict=True
    ):
      optimizer.learning_rate.assign(base * rate)
      pairs = [
        (gradient, variable)
        for gradient, variable in zip(found, group, strict=True)
        if gradient is not None  # A stage that the head does not read has none.
      ]
      optimizer.apply_gradients(pairs)
    self._steps_done.assign_add(1)
    return loss
