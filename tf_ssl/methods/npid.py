"""Instance discrimination with a memory bank (Wu et al. 2018): NPID."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import info_nce, nce
from tf_ssl.memory import memory_bank
from tf_ssl.methods import base
from tf_ssl.ops import cross_replica

LOSSES = ("nce", "info_nce")


class ToRemember(NamedTuple):
  """Content of `Contrast.to_remember`.

  Attributes:
    index: [B] int64, rows of the bank.
    embeddings: [B, E], embeddings of the images.
    log_normalizers: [S], log Z, one for each kind of embedding.
  """

  index: tf.Tensor
  embeddings: tf.Tensor
  log_normalizers: tf.Tensor


class Npid(base.ContrastiveModel):
  """An image is classified as its own row of the bank among other rows.

  In the notation of the papers, `bank.num_images` is N, `num_negatives` M and
  `temperature` τ. The first batch sets Z of noise-contrastive estimation.
  """

  view_type = batches.IndexedImage
  _kinds_of_embeddings = 1  # S

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    bank: memory_bank.MemoryBank,
    *,
    num_negatives: int,
    temperature: float = 0.07,
    bank_momentum: float = 0.5,
    loss: str = "nce",
    batch_size: int,
    seed: int = 0,
    name: str = "npid",
  ):
    """Creates the method.

    Args:
      encoder: images [B, H, W, 3] -> feature [B, D].
      projection_head: feature [B, D] -> embedding [B, E]; the embeddings of
        images are written to the bank.
      bank: memory bank with one row for each image.
      num_negatives: M, number of rows drawn from the bank for each example.
      temperature: divisor of the similarities, above 0.
      bank_momentum: weight of the old row when a row is written, 0..1.
      loss: "nce" or "info_nce".
      batch_size: global batch size, which numbers the examples of a run.
      seed: seed of the negatives.
      name: name of the Keras model.

    Raises:
      UsageError: a number is out of range, or the loss is unknown.
    """
    super().__init__(encoder, projection_head, name=name)
    errors.require(
      loss in LOSSES,
      f"loss={loss!r}: expected one of {', '.join(LOSSES)}; change `loss`",
    )
    errors.require(
      num_negatives >= 1,
      f"num_negatives={num_negatives}: expected at least 1; change"
      " `num_negatives`",
    )
    base.check_temperature(temperature)
    errors.require(
      0.0 <= bank_momentum <= 1.0,
      f"bank_momentum={bank_momentum}: expected 0..1; change `bank_momentum`",
    )
    self.bank = bank
    self.num_negatives = num_negatives
    self.temperature = temperature
    self.bank_momentum = bank_momentum
    self.loss_kind = loss
    self.batch_size = batch_size
    self.seed = seed
    self.log_normalizers = tf.Variable(
      [float("nan")] * self._kinds_of_embeddings,  # Until the first batch.
      trainable=False,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      name="log_normalizers",
    )

  def contrast(self, views: batches.IndexedImage, training: bool):
    """Each image against its own row of the bank and M other rows."""
    features = self.encoder(views.image, training=training)
    embeddings = self.project(features, training=training)  # [B, E]
    losses, logits, normalizers = self.compare(
      [embeddings[:, None]], views.index, training
    )
    return base.Contrast(
      losses[0],
      logits[:, 0],
      to_remember=ToRemember(views.index, embeddings, normalizers),
      features=features,
    )

  def compare(
    self, kinds: Sequence[tf.Tensor], index: tf.Tensor, training: bool
  ) -> tuple[Sequence[tf.Tensor], tf.Tensor, tf.Tensor]:
    """Compares all embeddings of each example with the bank.

    Args:
      kinds: kinds of embeddings, such as those of images and of patches; of
        each kind one or several for an example, [B, Q, E], unit length.
      index: [B] int64, the examples' own rows.
      training: whether the negatives depend on the step; otherwise they are
        those of step 0.

    Returns:
      Loss of each kind, []; logits [B, ΣQ, 1+M] of all, in this order; log Z,
      [S].
    """
    embeddings = tf.concat(kinds, axis=1)  # [B, ΣQ, E]
    own = self.bank.read(index)  # [B, E]
    positive = tf.reduce_sum(embeddings * own[:, None], axis=2, keepdims=True)
    step = self.optimizer.iterations if training else 0
    rows = cross_replica.rows_of(index)
    examples = tf.cast(step, tf.int64) * self.batch_size
    negative = self.bank.negative_similarities(
      embeddings,
      index,
      examples + tf.cast(rows, tf.int64),
      count=self.num_negatives,
      seed=self.seed,
    )  # [B, ΣQ, M]
    logits = tf.concat([positive, negative], axis=2) / self.temperature
    sides = [
      tf.reshape(side, [-1, logits.shape[2]])  # [B·Q, 1+M]
      for side in tf.split(logits, [kind.shape[1] for kind in kinds], axis=1)
    ]
    if self.loss_kind == "info_nce":
      losses = [info_nce.info_nce(side) for side in sides]
      return losses, logits, tf.identity(self.log_normalizers)
    count = self.bank.num_images
    normalizers = self._normalizers(sides, count)
    losses = [
      nce.nce(side, log_z, num_images=count)
      for side, log_z in zip(
        sides, tf.unstack(normalizers)[: len(sides)], strict=True
      )
    ]
    return losses, logits, normalizers

  def _normalizers(self, sides, count):
    """[S], log Z of the first batch of the run, which may be this one."""
    known, rest = tf.split(
      tf.identity(self.log_normalizers),
      [len(sides), self._kinds_of_embeddings - len(sides)],
    )  # The rest: of kinds that this batch has none of.
    is_first = tf.math.is_nan(known[0])

    def estimate():
      return tf.stack([nce.log_normalizer(s, num_images=count) for s in sides])

    # Replicas average Z, not log Z.
    here = tf.cond(is_first, estimate, lambda: known)
    everywhere = tf.math.log(cross_replica.mean(tf.exp(here)))
    found = tf.where(is_first, everywhere, known)
    return tf.stop_gradient(tf.concat([found, rest], axis=0))

  def on_train_step_end(self, to_remember: ToRemember) -> None:
    """Writes the rows of the images, after they were read."""
    index, embeddings, normalizers = to_remember
    self.bank.write(
      index, tf.stop_gradient(embeddings), momentum=self.bank_momentum
    )
    self.log_normalizers.assign(normalizers)

  @property
  def checkpoint_roots(self):
    return {
      **super().checkpoint_roots,
      "bank": self.bank,
      "log_normalizers": self.log_normalizers,
    }


def build_npid(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.LinearHead,
  num_negatives: int = 4096,
  temperature: float = 0.07,
  bank_momentum: float = 0.5,
  bank_dtype: str = "float32",
  loss: str = "nce",
) -> Npid:
  """Builds NPID for a run; the defaults are the paper's (section 3.4).

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet18`.
    projection_head: function that builds a projection head.
    num_negatives: M, number of negatives for each example.
    temperature: τ, divisor of the similarities.
    bank_momentum: weight of the old row when a row is written, 0..1.
    bank_dtype: "float32", or "float16" for half of the memory.
    loss: "nce" or "info_nce".

  Raises:
    UsageError: an argument is out of range.
  """
  pair = base.build_pair(setup, encoder, projection_head)
  return Npid(
    *pair,
    memory_bank.MemoryBank(
      setup.num_images,
      pair[1].embedding_size,
      dtype=bank_dtype,
      seed=setup.seed,
    ),
    num_negatives=num_negatives,
    temperature=temperature,
    bank_momentum=bank_momentum,
    loss=loss,
    batch_size=setup.batch_size,
    seed=setup.seed,
  )
