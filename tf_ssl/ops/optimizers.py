"""Optimizers and learning-rate schedules, as the papers' code defines them."""

import math
from collections.abc import Sequence

import tensorflow as tf


class MomentumSgd(tf.keras.optimizers.Optimizer):
  """SGD as PyTorch defines it, which the papers' learning rates assume.

  gradient += weight_decay · weight; velocity = sgd_momentum · velocity +
  gradient; weight -= learning_rate · velocity. Keras' own SGD multiplies the
  learning rate into the velocity and decays weights past the momentum, which
  is another path wherever the rate changes.
  """

  def __init__(
    self,
    learning_rate=0.03,
    *,
    sgd_momentum: float = 0.9,
    weight_decay: float = 1e-4,
    name: str = "MomentumSgd",
    **kwargs,
  ):
    """Defaults are MoCo's (He et al. 2020, section 4): every weight decays."""
    kwargs.setdefault("jit_compile", False)
    super().__init__(name=name, **kwargs)
    self._learning_rate = self._build_learning_rate(learning_rate)
    self.sgd_momentum = sgd_momentum
    self.l2 = weight_decay

  def build(self, var_list):
    super().build(var_list)
    if getattr(self, "_built", False):
      return
    self.velocities = [
      self.add_variable_from_reference(v, "velocity") for v in var_list
    ]
    self._built = True

  def update_step(self, gradient, variable):
    """One variable's update; called in its own device's context."""
    velocity = self.velocities[self._index_dict[self._var_key(variable)]]
    gradient = tf.convert_to_tensor(gradient)
    if self.l2:
      gradient += self.l2 * variable
    # Both assignments in one pass: the weights of a ResNet-50 are 100 MB.
    tf.raw_ops.ResourceApplyMomentum(
      var=variable.handle,
      accum=velocity.handle,
      lr=tf.cast(self.learning_rate, variable.dtype),
      grad=gradient,
      momentum=tf.cast(self.sgd_momentum, variable.dtype),
    )

  def get_config(self):
    return {
      **super().get_config(),
      "learning_rate": self._serialize_hyperparameter(self._learning_rate),
      "sgd_momentum": self.sgd_momentum,
      "weight_decay": self.l2,
    }


def lars(
  learning_rate=0.3,
  *,
  sgd_momentum: float = 0.9,
  weight_decay: float = 1e-6,
  exclude: Sequence[str] = ("norm", "bias"),
) -> tf.keras.optimizers.legacy.Optimizer:
  """LARS (You et al. 2017), tf-models-official's; defaults are SimCLR's.

  Args:
    learning_rate: number or schedule.
    sgd_momentum: of the velocity.
    weight_decay: of the weights that `exclude` does not name.
    exclude: parts of variable names that neither decay nor adapt.
  """
  from official.modeling.optimization import lars as official_lars

  return official_lars.LARS(
    learning_rate=learning_rate,
    momentum=sgd_momentum,
    weight_decay_rate=weight_decay,
    exclude_from_weight_decay=list(exclude),
    exclude_from_layer_adaptation=list(exclude),
  )


class LearningRate(tf.keras.optimizers.schedules.LearningRateSchedule):
  """Linear warm-up, then a constant, stepped or cosine learning rate.

  With `hold`, the rate changes only every so many steps: MoCo's cosine moves
  once an epoch.
  """

  def __init__(
    self,
    peak: float,
    steps: int,
    *,
    kind: str = "cosine",
    warmup_steps: int = 0,
    drops: Sequence[float] = (0.6, 0.8),
    drop_factor: float = 0.1,
    final: float = 0.0,
    hold: int = 1,
  ):
    """Says how the rate goes.

    Args:
      peak: the rate after warm-up.
      steps: of the whole run.
      kind: "constant", "step" or "cosine".
      warmup_steps: linear from 0, included in `steps`.
      drops: for "step": the shares of the run at which the rate falls (MoCo v1:
        epochs 120 and 160 of 200).
      drop_factor: what each drop multiplies by.
      final: for "cosine": the rate at the end.
      hold: steps for which the rate stands still, 1 for none.
    """
    if kind not in ("constant", "step", "cosine"):
      raise ValueError(f"schedule {kind!r}: expected constant, step or cosine")
    self.peak, self.steps, self.kind = peak, steps, kind
    self.warmup_steps, self.drops = warmup_steps, tuple(drops)
    self.drop_factor, self.final, self.hold = drop_factor, final, hold

  def __call__(self, step):
    step = tf.cast(step, tf.float32)
    held = tf.floor(step / self.hold) * self.hold
    if self.kind == "cosine":
      span = max(self.steps - self.warmup_steps, 1)
      share = tf.clip_by_value((held - self.warmup_steps) / span, 0.0, 1.0)
      wave = 0.5 * (1.0 + tf.cos(math.pi * share))
      rate = self.final + (self.peak - self.final) * wave
    elif self.kind == "step":
      passed = [tf.cast(held >= d * self.steps, tf.float32) for d in self.drops]
      rate = self.peak * tf.pow(self.drop_factor, tf.add_n(passed))
    else:
      rate = tf.constant(self.peak, tf.float32)
    if self.warmup_steps:
      warm = self.peak * step / self.warmup_steps
      rate = tf.where(step < self.warmup_steps, warm, rate)
    return rate

  def get_config(self):
    return {
      k: getattr(self, k)
      for k in (
        "peak",
        "steps",
        "kind",
        "warmup_steps",
        "drops",
        "drop_factor",
        "final",
        "hold",
      )
    }
