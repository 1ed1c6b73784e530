"""Trains a head on an encoder, or both, each with its own learning rate."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from tf_ssl import errors

_SAVE_SECONDS = 60.0  # what a kill costs at most
_SCHEDULES = ("cosine", "step", "constant")
# Of the whole run, as ImageNet's 90 epochs with drops at 30 and 60 have it.
_DROPS = (1 / 3, 2 / 3)
_DROP_FACTOR = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sgd:
  """SGD with momentum.

  Attributes:
    head_learning_rate: of what is new.
    encoder_learning_rate: of the encoder; 0 leaves it frozen, batch norm's
      statistics included.
    schedule: "cosine" to 0, "step" (a tenth after one and after two thirds), or
      "constant".
    sgd_momentum: of the velocity.
    weight_decay: L2, added to the gradient of every weight that is trained.
  """

  head_learning_rate: float
  encoder_learning_rate: float
  schedule: str = "cosine"
  sgd_momentum: float = 0.9
  weight_decay: float = 1e-4

  def __post_init__(self):
    """Refuses values that make no sense."""
    if self.schedule not in _SCHEDULES:
      raise errors.UsageError(
        f"schedule={self.schedule!r}: expected one of {', '.join(_SCHEDULES)}; "
        "change `schedule`"
      )
    for name in ("encoder_learning_rate", "sgd_momentum", "weight_decay"):
      if not 0 <= getattr(self, name) < np.inf:
        raise errors.UsageError(
          f"{name}={getattr(self, name)}: expected a number from 0 up"
        )
    if not 0 < self.head_learning_rate < np.inf:
      raise errors.UsageError(
        f"head_learning_rate={self.head_learning_rate}: expected a number "
        "greater than 0"
      )

  @property
  def is_frozen(self) -> bool:
    """Whether the encoder stays as it is."""
    return self.encoder_learning_rate == 0

  def rate(self, step: int, steps: int) -> float:
    """What both learning rates are multiplied by at a step of a run."""
    if self.schedule == "cosine":
      return float(0.5 * (1.0 + np.cos(np.pi * step / steps)))
    if self.schedule == "step":
      return _DROP_FACTOR ** sum(step >= drop * steps for drop in _DROPS)
    return 1.0

  def report(self) -> dict[str, Any]:
    """For `protocol.Outcome.settings`."""
    return {"optimizer": "SGD", **dataclasses.asdict(self)}


class Fitter:
  """A train step, compiled once, that may run again from other weights."""

  def __init__(
    self,
    loss: Callable[..., tf.Tensor],
    *,
    head: Sequence[tf.Variable],
    encoder: Sequence[tf.Variable],
    state: Sequence[tf.Variable],
    sgd: Sgd,
  ):
    """Prepares the optimizers; traces nothing yet.

    Args:
      loss: from the fields of a batch to a mean [] over its examples.
      head: what learns with the head's rate.
      encoder: what learns with the encoder's; not touched where that is frozen.
      state: all variables, those of batch norm included, that a step may
        change: what a checkpoint needs.
      sgd: how.
    """
    self._loss, self._sgd = loss, sgd
    self._groups = [(list(head), sgd.head_learning_rate)]
    if not sgd.is_frozen:
      self._groups.append((list(encoder), sgd.encoder_learning_rate))
    self._optimizers = []
    for variables, rate in self._groups:
      optimizer = tf.keras.optimizers.SGD(
        rate, momentum=sgd.sgd_momentum, jit_compile=False
      )
      optimizer.build(variables)
      self._optimizers.append(optimizer)
    self._slots = [v for o in self._optimizers for v in o.variables]
    self._steps_done = tf.Variable(0, dtype=tf.int64, trainable=False)
    self._checkpoint = tf.train.Checkpoint(
      state=list(state), slots=self._slots, step=self._steps_done
    )
    self._step = tf.function(self._one_step, reduce_retracing=True)

  def fit(
    self,
    batches: Callable[[int], tf.data.Dataset],
    *,
    steps: int,
    folder: str,
    title: str,
  ) -> float:
    """Trains from the weights as they are, or goes on from a checkpoint.

    Args:
      batches: from the first step to the batches from there on.
      steps: of the whole run.
      folder: for checkpoints; those of a run that was stopped are taken up.
      title: for the progress bar.

    Returns:
      The loss, averaged over the last tenth of the steps of this call; NaN if
      it had none left to do.

    Raises:
      UsageError: the loss became NaN or infinite.
    """
    for slot in self._slots:
      if slot.shape.rank or slot.dtype == tf.int64:  # not the learning rate
        slot.assign(tf.zeros_like(slot))
    self._steps_done.assign(0)
    manager = tf.train.CheckpointManager(self._checkpoint, folder, 1)
    if manager.latest_checkpoint:
      self._checkpoint.restore(
        manager.latest_checkpoint
      ).assert_existing_objects_matched()
    done, losses = int(self._steps_done), []
    saved = time.monotonic()
    bar = tqdm.tqdm(
      total=steps, initial=done, desc=title, unit="step", mininterval=0.5
    )
    with bar:
      try:
        for batch in batches(done) if done < steps else ():
          rate = tf.constant(self._sgd.rate(done, steps), tf.float32)
          loss = float(self._step(batch, rate))
          if not np.isfinite(loss):
            raise errors.UsageError(
              f"{title}: the loss is {loss} at step {done + 1} of {steps}: "
              "training has diverged; lower HEAD_LEARNING_RATE "
              f"({self._sgd.head_learning_rate}) or ENCODER_LEARNING_RATE "
              f"({self._sgd.encoder_learning_rate})"
            )
          losses.append(loss)
          done += 1
          bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
          bar.update()
          if time.monotonic() - saved > _SAVE_SECONDS:
            manager.save(done)
            saved = time.monotonic()
      except KeyboardInterrupt:
        os.makedirs(folder, exist_ok=True)
        manager.save(int(self._steps_done))
        raise
    last = losses[-max(1, len(losses) // 10) :]
    return float(np.mean(last)) if last else float("nan")

  def _one_step(self, batch, rate: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
      loss = self._loss(*batch)
    variables = [each for each, _ in self._groups]
    gradients = tape.gradient(loss, variables)
    for optimizer, (group, base), found in zip(
      self._optimizers, self._groups, gradients, strict=True
    ):
      optimizer.learning_rate.assign(base * rate)
      pairs = [
        (gradient + self._sgd.weight_decay * variable, variable)
        for gradient, variable in zip(found, group, strict=True)
        if gradient is not None  # such as a stage that the head does not read
      ]
      optimizer.apply_gradients(pairs)
    self._steps_done.assign_add(1)
    return loss
