"""SGD with PyTorch's momentum, LARS, and learning-rate schedules."""

import inspect
import math
from collections.abc import Sequence

import tensorflow as tf


def sgd_update(
  weight: tf.Variable,
  velocity: tf.Variable,
  gradient: tf.Tensor,
  *,
  learning_rate: float | tf.Tensor,
  sgd_momentum: float,
  weight_decay: float = 0.0,
) -> None:
  """Updates one weight by SGD with momentum as torch.optim.SGD defines it.

    gradient += weight_decay · weight
    velocity  = sgd_momentum · velocity + gradient
    weight   -= learning_rate · velocity

  The learning rates of the papers assume this form. Keras' SGD accumulates
  learning_rate · gradient instead, which takes another path whenever the
  learning rate changes.

  Args:
    weight: variable of any shape.
    velocity: variable of the same shape and dtype, zeros at the start.
    gradient: gradient of the loss with respect to `weight`.
    learning_rate: [], or a shape that broadcasts to the weight's, such as one
      learning rate for each column.
    sgd_momentum: momentum of the velocity, 0..1.
    weight_decay: coefficient of the L2 penalty.
  """
  gradient = tf.convert_to_tensor(gradient)
  if weight_decay:
    gradient += weight_decay * weight
  rate = tf.cast(learning_rate, weight.dtype)
  if rate.shape.rank:
    velocity.assign(sgd_momentum * velocity + gradient)
    weight.assign_sub(rate * velocity)
  else:
    # Both assignments in one pass: the weights of a ResNet-50 are 100 MB.
    tf.raw_ops.ResourceApplyMomentum(
      var=weight.handle,
      accum=velocity.handle,
      lr=rate,
      grad=gradient,
      momentum=tf.cast(sgd_momentum, weight.dtype),
    )


class MomentumSgd(tf.keras.optimizers.Optimizer):
  """SGD with momentum and weight decay, as PyTorch defines them.

  `sgd_update` is the update of each variable. Several groups of variables with
  different learning rates are several optimizers; without a schedule,
  `optimizer.learning_rate.assign(rate)` changes the learning rate at any step.

  Attributes:
    velocities: one variable for each trained variable, in the order of `build`.
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
    """Creates the optimizer; the defaults are those of MoCo.

    Args:
      learning_rate: number or Keras schedule. Default: He et al. 2020, section
        4, for batches of 256.
      sgd_momentum: momentum of the velocity, 0..1.
      weight_decay: coefficient of the L2 penalty on every weight, those of
        batch norm and biases included.
      name: name of the optimizer.
      **kwargs: further options of `tf.keras.optimizers.Optimizer`.
    """
    kwargs.setdefault("jit_compile", False)
    super().__init__(name=name, **kwargs)
    self._learning_rate = self._build_learning_rate(learning_rate)
    self.sgd_momentum = sgd_momentum
    self.l2 = weight_decay  # Keras decays `weight_decay` in its own way.

  def build(self, var_list):
    """Creates a velocity for each variable of `var_list`."""
    super().build(var_list)
    if getattr(self, "_built", False):
      return
    self.velocities = [
      self.add_variable_from_reference(v, "velocity") for v in var_list
    ]
    self._built = True

  def reset(self) -> None:
    """Starts over: sets the velocities and the step count to zero."""
    for variable in (self.iterations, *self.velocities):
      variable.assign(tf.zeros_like(variable))

  def update_step(self, gradient, variable):
    """Updates one variable; called in the context of the variable's device."""
    sgd_update(
      variable,
      self.velocities[self._index_dict[self._var_key(variable)]],
      gradient,
      learning_rate=self.learning_rate,
      sgd_momentum=self.sgd_momentum,
      weight_decay=self.l2,
    )

  def get_config(self):
    """JSON values of the constructor's arguments."""
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
  """LARS (You et al. 2017) from tf-models-official; the defaults are SimCLR's.

  Args:
    learning_rate: number or Keras schedule.
    sgd_momentum: momentum of the velocity, 0..1.
    weight_decay: coefficient of the L2 penalty.
    exclude: substrings of the names of variables that have no weight decay and
      no layer-wise learning rate.
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
  """Linear warm-up, then a constant, stepped or cosine learning rate."""

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
    """Creates the schedule.

    Args:
      peak: learning rate after the warm-up.
      steps: number of steps of the run, warm-up included.
      kind: "constant", "step" or "cosine".
      warmup_steps: number of steps with a linear increase from 0.
      drops: positions of the "step" drops, as fractions of the run. The
        default is MoCo v1's: epochs 120 and 160 of 200.
      drop_factor: factor of each "step" drop.
      final: learning rate of "cosine" at the end.
      hold: number of steps between two changes after the warm-up. MoCo's code
        changes the learning rate once an epoch.
    """
    if kind not in ("constant", "step", "cosine"):
      raise ValueError(f"schedule {kind!r}: expected constant, step or cosine")
    self.peak, self.steps, self.kind = peak, steps, kind
    self.warmup_steps, self.drops = warmup_steps, tuple(drops)
    self.drop_factor, self.final, self.hold = drop_factor, final, hold

  def __call__(self, step):
    """Learning rate [] float32 at a step [], from 0."""
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
    """JSON values of the constructor's arguments."""
    names = list(inspect.signature(type(self)).parameters)
    return {name: getattr(self, name) for name in names}
