"""Momentum contrast (He et al. 2020; Chen et al. 2020, v2)."""

import math
from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import info_nce
from tf_ssl.memory import key_queue
from tf_ssl.memory import momentum as momentum_memory
from tf_ssl.methods import base
from tf_ssl.ops import cross_replica


class MoCo(base.ContrastiveModel):
  """A query is classified as its own key among the keys of a queue.

  In the notation of the paper, `queue.length` is K, `momentum` m and
  `temperature` τ. v1 and v2 differ in projection head, recipe, temperature and
  learning-rate schedule, not in this class.

  >>> import tensorflow as tf
  >>> from tf_ssl import batches
  >>> from tf_ssl.encoders import heads, resnet
  >>> from tf_ssl.memory import key_queue
  >>> def side():
  ...   encoder, head = resnet.resnet18(width=1 / 8), heads.MlpHead()
  ...   head(encoder(tf.zeros([1, 32, 32, 3])))
  ...   return encoder, head
  >>> method = tf_ssl.MoCo(*side(), *side(), key_queue.KeyQueue(64, 128))
  >>> method.compile(tf.keras.optimizers.SGD(0.03))
  >>> views = tf.random.stateless_normal([8, 32, 32, 3], [0, 0])
  >>> pairs = tf.data.Dataset.from_tensors(batches.ImagePair(views, views))
  >>> history = method.fit(pairs, verbose=0)
  """

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    key_encoder: tf.keras.Model,
    key_projection_head: tf.keras.layers.Layer,
    queue: key_queue.KeyQueue,
    *,
    momentum: float = 0.999,
    temperature: float = 0.07,
    symmetric: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    name: str = "moco",
  ):
    """Copies the weights of the query side, which must be built, to the key's.

    Args:
      encoder: query encoder, trained by gradient.
      projection_head: projection head of the query side.
      key_encoder: encoder of the same structure; its weights are overwritten.
      key_projection_head: projection head of the same structure; its weights
        are overwritten.
      queue: queue of keys, the negatives.
      momentum: momentum of the key encoder, 0..1.
      temperature: divisor of the similarities, above 0.
      symmetric: whether to add the loss with exchanged views, and to queue the
        keys of both, as in MoCo's CIFAR-10 notebook.
      batch_size: global batch size, if the keys of a batch's other examples are
        negatives, too (as in MoCo v3, Chen et al. 2021); None for the queue
        alone.
      seed: seed of the permutations of shuffling BN.
      name: name of the Keras model.

    Raises:
      UsageError: momentum or temperature is out of range.
    """
    super().__init__(encoder, projection_head, name=name)
    errors.require(
      0.0 <= momentum <= 1.0,
      f"momentum={momentum}: expected 0..1; change `momentum`",
    )
    base.check_temperature(temperature)
    # They stay trainable: a frozen batch norm would use its moving averages.
    self.key_encoder = key_encoder
    self.key_projection_head = key_projection_head
    self.queue = queue
    self.momentum = momentum
    self.temperature = temperature
    self.symmetric = symmetric
    self.batch_size = batch_size
    self.seed = seed
    self.on_encoder_initialized()

  @classmethod
  def like(cls, plain: "MoCo", **options) -> "MoCo":
    """Creates a MoCo of this class with the parts and settings of another.

    Args:
      plain: MoCo whose encoders, heads and queue are used, not copied.
      **options: further arguments of this class.
    """
    return cls(
      plain.encoder,
      plain.projection_head,
      plain.key_encoder,
      plain.key_projection_head,
      plain.queue,
      momentum=plain.momentum,
      temperature=plain.temperature,
      symmetric=plain.symmetric,
      batch_size=plain.batch_size,
      seed=plain.seed,
      **options,
    )

  def embed_keys(self, images, training=None):
    """Keys of images: [B, H, W, 3] -> [B, E], unit length, no gradient.

    In training the examples are shuffled across all replicas (shuffling BN), so
    that a key is not normalized together with the images of its query's batch.
    """
    if training:
      seed = tf.stack([self.seed, tf.cast(self.optimizer.iterations, tf.int32)])
      images, permutation = cross_replica.shuffle(
        images, seed=seed, compiled=bool(self.jit_compile)
      )
    features = self.key_encoder(images, training=training)
    keys = self.key_projection_head(features, training=training)
    keys = tf.math.l2_normalize(tf.cast(keys, tf.float32), axis=1)
    if training:
      keys = cross_replica.unshuffle(keys, permutation)
    return tf.stop_gradient(keys)

  def contrast(self, views: batches.ImagePair, training: bool) -> base.Contrast:
    """Equation 1: each query against its own key and the queue."""
    one = self._contrast(views.query, views.key, training)
    if not self.symmetric:
      return one
    other = self._contrast(views.key, views.query, training)
    return one._replace(
      loss=one.loss + other.loss,
      logits=tf.concat([one.logits, other.logits], axis=0),  # [2B, 1+K]
      to_remember=tf.concat([other.to_remember, one.to_remember], axis=0),
    )

  def _contrast(self, query_images, key_images, training) -> base.Contrast:
    features = self.encoder(query_images, training=training)  # [B, D]
    queries = self.project(features, training=training)  # [B, E]
    keys = self.embed_keys(key_images, training=training)  # [B, E]
    logits = info_nce.contrastive_logits(
      queries, keys, self.queue.keys, temperature=self.temperature
    )
    written = self.queue.written()
    if written is not None:
      negatives, missing = info_nce.only_written(logits[:, 1:], written)
      logits = tf.concat([logits[:, :1], negatives], axis=1)
    if self.batch_size is not None:
      others = info_nce.other_keys_logits(
        queries,
        cross_replica.gather(keys),
        cross_replica.rows_of(keys),
        temperature=self.temperature,
      )
      logits = tf.concat([logits, others], axis=1)  # [B, 1+K+B]
    loss = info_nce.info_nce(logits)
    if written is not None:
      loss += missing
    return base.Contrast(loss, logits, to_remember=keys, features=features)

  def on_encoder_initialized(self) -> None:
    momentum_memory.copy_weights(self.encoder, self.key_encoder)
    momentum_memory.copy_weights(self.projection_head, self.key_projection_head)

  def on_train_step_begin(self) -> None:
    """Equation 2, before the keys are computed: θ_k ← m θ_k + (1 - m) θ_q."""
    momentum_memory.momentum_update(
      self.learned_variables,
      self.key_encoder.trainable_variables
      + self.key_projection_head.trainable_variables,
      momentum=self.momentum,
    )

  def on_train_step_end(self, to_remember) -> None:
    self.queue.enqueue(to_remember)

  @property
  def chance_loss(self) -> float:
    """Log of 1 + negatives, twice if symmetric: of equal similarities."""
    negatives = self.queue.length + (self.batch_size or 1) - 1
    return math.log(negatives + 1) * (2 if self.symmetric else 1)

  @property
  def checkpoint_roots(self):
    return {
      **super().checkpoint_roots,
      "key_backbone": self.key_encoder,
      "key_projection_head": self.key_projection_head,
      "queue": self.queue,
    }


def build_moco(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.MlpHead,
  queue_size: int | None = None,
  momentum: float = 0.999,
  temperature: float = 0.2,
  symmetric: bool = False,
  warm_queue: bool = False,
  batch_negatives: bool = False,
) -> MoCo:
  """Builds MoCo for a run, as `Pretraining.method` does.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet18`.
    projection_head: function that builds a projection head.
    queue_size: K; None for `key_queue.default_length`.
    momentum: momentum of the key encoder, 0..1.
    temperature: divisor of the similarities, above 0. Default: MoCo v2's.
    symmetric: whether to add the loss with exchanged views.
    warm_queue: whether the random rows that the queue starts with are left out,
      so that until it is full there are fewer negatives, and none in the first
      step, which has no gradient. The chance level of the loss stays log(K+1),
      that of the contrastive accuracy is higher until then.
    batch_negatives: whether the keys of a batch's other examples are negatives,
      too. While an encoder changes fast, all keys in a queue are older than a
      query's own, and age tells them apart; these are not.

  Raises:
    UsageError: an argument is out of range, or the queue is not smaller than
      the dataset.
  """
  num_images = setup.num_images
  if queue_size is None:
    queue_size = key_queue.default_length(num_images, setup.batch_size)
  errors.require(
    queue_size < num_images,
    f"queue of {queue_size} keys for {num_images} images: expected fewer keys"
    " than images, so that no image meets its own key as a negative; change"
    " QUEUE_SIZE",
  )
  query_side = base.build_pair(setup, encoder, projection_head)
  key_side = base.build_pair(setup, encoder, projection_head, "key_")
  return MoCo(
    *query_side,
    *key_side,
    key_queue.KeyQueue(
      queue_size,
      query_side[1].embedding_size,
      warm=warm_queue,
      seed=setup.seed,
    ),
    momentum=momentum,
    temperature=temperature,
    symmetric=symmetric,
    batch_size=setup.batch_size if batch_negatives else None,
    seed=setup.seed,
  )
