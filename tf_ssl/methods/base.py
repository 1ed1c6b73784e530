"""Base class of all methods: the train step."""

import types as types_lib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.losses import info_nce
from tf_ssl.ops import cross_replica

NON_FINITE = "the loss or its gradient is not finite"


class Setup(NamedTuple):
  """Facts about a run that the builder of a method needs.

  Attributes:
    num_images: N, number of images of the dataset.
    batch_size: global batch size.
    image_size: side of the views, pixels.
    num_classes: C, number of classes of the labels; 0 without labels.
    seed: seed of everything random in the method.
    dtype: Keras dtype policy of the encoders.
  """

  num_images: int
  batch_size: int
  image_size: int
  num_classes: int = 0
  seed: int = 0
  dtype: str | None = None


def build_pair(
  setup: Setup, encoder: Callable, projection_head: Callable, prefix: str = ""
) -> tuple[tf.keras.Model, tf.keras.layers.Layer]:
  """Builds an encoder and its projection head, variables included.

  Args:
    setup: facts about the run.
    encoder: function of dtype and name that builds an encoder.
    projection_head: function of a name that builds a projection head.
    prefix: prefix of both names, such as "key_".
  """
  pair = (
    encoder(dtype=setup.dtype, name=f"{prefix}backbone"),
    projection_head(name=f"{prefix}projection_head"),
  )
  blank = tf.zeros([1, setup.image_size, setup.image_size, 3])
  pair[1](pair[0](blank, training=False), training=False)
  return pair


def check_temperature(temperature: float) -> None:
  """Raises UsageError unless the temperature is above 0."""
  errors.require(
    temperature > 0.0,
    f"temperature={temperature}: expected above 0; change `temperature`",
  )


class Contrast(NamedTuple):
  """Result of a method's forward pass.

  Attributes:
    loss: [] float32, mean over the examples of this replica.
    logits: [B, 1+K], the positive in column 0.
    to_remember: tensors without gradient for `on_train_step_end`, or None.
    features: [B, D] of the first view, for losses on top of this one.
    embeddings: [B, E] of each view, for losses on top of this one.
    metrics: further numbers for the log by name, [] each.
  """

  loss: tf.Tensor
  logits: tf.Tensor
  to_remember: Any = None
  features: tf.Tensor | None = None
  embeddings: tuple[tf.Tensor, ...] = ()
  metrics: Mapping[str, tf.Tensor] = types_lib.MappingProxyType({})


class ContrastiveModel(tf.keras.Model):
  """Learns an encoder from views.

  A method overrides `contrast`, and both hooks if it has a memory. A step has
  the order of MoCo's Algorithm 1: hook, forward pass under the tape,
  gradients, hook.

  Attributes:
    encoder: images [B, H, W, 3] -> feature [B, D].
    projection_head: feature [B, D] -> embedding [B, E].
    finish_views: function (views, step) -> views, the photometric half of
      augmentation if it runs inside the train step, else None; set before
      `fit`.
    view_type: class of `batches` that the method learns from.
  """

  view_type = batches.ImagePair

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    *,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.encoder = encoder
    self.projection_head = projection_head
    self.finish_views: Callable | None = None
    self.distribute_reduction_method = "first"  # The logs are means already.

  def call(self, images, training=None):
    """Features for evaluation: [B, H, W, 3] normalized -> [B, D] float32."""
    return self.encoder(images, training=training)

  def embed(self, images, training=None):
    """Embeddings: [B, H, W, 3] normalized -> [B, E] float32, unit length."""
    return self.project(self.encoder(images, training=training), training)

  def project(self, features, training=None):
    """Embeddings of features: [B, D] -> [B, E] float32, unit length."""
    embeddings = self.projection_head(features, training=training)
    return tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=1)

  def contrast(self, views: NamedTuple, training: bool) -> Contrast:
    """Forward pass over one replica's share of a batch.

    Args:
      views: batch of type `view_type`, finished.
      training: whether batch norm uses and updates batch statistics.
    """
    raise NotImplementedError

  def on_encoder_initialized(self) -> None:
    """Runs after other initial weights have been given to the encoder."""

  def on_train_step_begin(self) -> None:
    """Runs before the forward pass."""

  def on_train_step_end(self, to_remember) -> None:
    """Runs after the update; receives `Contrast.to_remember`."""

  @property
  def learned_variables(self) -> Sequence[tf.Variable]:
    """Variables that the optimizer updates."""
    return (
      self.encoder.trainable_variables
      + self.projection_head.trainable_variables
    )

  @property
  def chance_loss(self) -> float | None:
    """Expected loss of random embeddings, None if unknown."""
    return None

  @property
  def checkpoint_roots(self) -> dict[str, Any]:
    """Named parts of the state, for `tf.train.Checkpoint`."""
    return {"backbone": self.encoder, "projection_head": self.projection_head}

  def train_step(self, data):
    """Trains one step on one replica's share of a batch.

    Args:
      data: batch of type `view_type`.

    Returns:
      Metrics of the global batch by name, [] each.

    Raises:
      InvalidArgumentError: the loss or its gradient is not finite; no learned
        variable has changed. It is not checked under `jit_compile`, and under
        float16 loss scaling the gradient may overflow.
    """
    step = self.optimizer.iterations
    views = data if self.finish_views is None else self.finish_views(data, step)
    self.on_train_step_begin()
    variables = self.learned_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(variables)
      contrast = self.contrast(views, training=True)
      # Gradients are summed over replicas.
      objective = self._scale(contrast.loss / cross_replica.num_replicas())
    gradients = cross_replica.total(
      self._unscale(tape.gradient(objective, variables))
    )
    norm = tf.linalg.global_norm(gradients)
    metrics = cross_replica.mean(_metrics(contrast))
    with tf.control_dependencies(self._check(metrics["loss"], norm)):
      gradients = [tf.identity(g) for g in gradients]
      self._apply(gradients, variables)
    self.on_train_step_end(contrast.to_remember)
    return {**metrics, "gradient_norm": norm}

  def test_step(self, data):
    """Metrics of a batch of finished views, without an update."""
    return cross_replica.mean(_metrics(self.contrast(data, training=False)))

  def _apply(self, gradients, variables):
    """Updates the variables by gradients that are summed over replicas."""
    pairs = zip(gradients, variables, strict=True)
    inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
    if isinstance(inner, tf.keras.optimizers.legacy.Optimizer):
      summed = {"experimental_aggregate_gradients": False}
    else:
      summed = {"skip_gradients_aggregation": True}
    self.optimizer.apply_gradients(pairs, **summed)

  @property
  def _scales_loss(self) -> bool:
    """Whether the optimizer is a LossScaleOptimizer, for float16."""
    return hasattr(self.optimizer, "get_scaled_loss")

  def _scale(self, loss):
    return self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss

  def _unscale(self, gradients):
    if self._scales_loss:
      return self.optimizer.get_unscaled_gradients(gradients)
    return gradients

  def _check(self, loss, gradient_norm):
    """Operations that fail if the loss or the gradient is not finite."""
    finite = tf.math.is_finite(loss)
    if not self._scales_loss:  # It skips steps with infinite gradients itself.
      finite &= tf.math.is_finite(gradient_norm)
    check = tf.debugging.assert_equal(finite, True, message=NON_FINITE)
    return [] if check is None else [check]


def _metrics(contrast: Contrast) -> dict[str, tf.Tensor]:
  """Metrics of this replica."""
  return {
    "loss": contrast.loss,
    "contrastive_accuracy": info_nce.contrastive_accuracy(contrast.logits),
    **contrast.metrics,
  }
