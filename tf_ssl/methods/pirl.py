"""PIRL (Misra & van der Maaten 2020): images agree with their patches."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.memory import memory_bank
from tf_ssl.methods import base, npid


class Pirl(npid.Npid):
  """Patches and image are classified as the image's row of the bank.

  Loss = λ L(m, g(patches)) + (1 - λ) L(m, f(image)), equation 5; `weight` is λ.
  Both losses have the same negatives; with NCE, each has its own Z.

  >>> import tensorflow as tf
  >>> from tf_ssl import batches
  >>> from tf_ssl.encoders import heads, resnet
  >>> from tf_ssl.memory import memory_bank
  >>> encoder, head = resnet.resnet18(width=1 / 8), heads.LinearHead()
  >>> head(encoder(tf.zeros([1, 32, 32, 3]))).shape
  TensorShape([1, 128])
  >>> jigsaw_head = heads.JigsawHead()
  >>> jigsaw_head(tf.zeros([1, 9, 64])).shape
  TensorShape([1, 128])
  >>> bank = memory_bank.MemoryBank(num_images=100, embedding_size=128)
  >>> method = tf_ssl.Pirl(
  ...   encoder, head, jigsaw_head, bank, num_negatives=50, batch_size=4
  ... )
  >>> method.compile(tf.keras.optimizers.SGD(0.03))
  >>> images = tf.random.stateless_normal([4, 32, 32, 3], [0, 0])
  >>> patches = tf.random.stateless_normal([4, 9, 16, 16, 3], [0, 1])
  >>> batch = batches.JigsawPair(images, patches, tf.range(4, dtype=tf.int64))
  >>> history = method.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
  """

  view_type = batches.JigsawPair
  _kinds_of_embeddings = 2

  def __init__(
    self,
    encoder: tf.keras.Model,
    projection_head: tf.keras.layers.Layer,
    jigsaw_head: tf.keras.layers.Layer,
    bank: memory_bank.MemoryBank,
    *,
    weight: float = 0.5,
    name: str = "pirl",
    **kwargs,
  ):
    """Creates the method.

    Args:
      encoder: images or patches [B, H, W, 3] -> feature [B, D].
      projection_head: f, feature of an image [B, D] -> embedding [B, E].
      jigsaw_head: g, features of patches [B, P, D] -> embedding [B, E].
      bank: memory bank with one row for each image.
      weight: λ, 0..1.
      name: name of the Keras model.
      **kwargs: further arguments of `Npid`.

    Raises:
      UsageError: a number is out of range.
    """
    super().__init__(encoder, projection_head, bank, name=name, **kwargs)
    errors.require(
      0.0 <= weight <= 1.0, f"weight={weight}: expected 0..1; change `weight`"
    )
    self.jigsaw_head = jigsaw_head
    self.weight = weight

  @classmethod
  def like(cls, plain: "Pirl", **options) -> "Pirl":
    """Creates a PIRL of this class with the parts and settings of another.

    Args:
      plain: PIRL whose encoder, heads and bank are used, not copied.
      **options: further arguments of this class.
    """
    return cls(
      plain.encoder,
      plain.projection_head,
      plain.jigsaw_head,
      plain.bank,
      weight=plain.weight,
      num_negatives=plain.num_negatives,
      temperature=plain.temperature,
      bank_momentum=plain.bank_momentum,
      loss=plain.loss_kind,
      batch_size=plain.batch_size,
      seed=plain.seed,
      **options,
    )

  def embed_patches(self, patches, training=None):
    """Embeddings of patches: [B, P, h, w, 3] -> [B, E], unit length."""
    count = patches.shape[1]
    flat = tf.reshape(patches, [-1, *patches.shape[2:]])  # [B·P, h, w, 3]
    features = self.encoder(flat, training=training)  # [B·P, D]
    features = tf.reshape(features, [-1, count, features.shape[1]])
    embeddings = self.jigsaw_head(features, training=training)
    return tf.math.l2_normalize(tf.cast(embeddings, tf.float32), axis=1)

  def contrast(
    self, views: batches.JigsawPair, training: bool
  ) -> base.Contrast:
    """Patches and image against the bank; `logits` are the patches'."""
    return self._contrast(views, [], training)[0]

  def _contrast(self, views, further, training):
    """Returns `Contrast` without, and the losses of, further embeddings.

    Args:
      views: batch with `image`, `patches` and `index`.
      further: kinds of embeddings for `compare`.
      training: whether batch norm uses and updates batch statistics.
    """
    features = self.encoder(views.image, training=training)
    of_image = self.project(features, training=training)  # [B, E]
    of_patches = self.embed_patches(views.patches, training=training)
    kinds = [of_patches[:, None], of_image[:, None], *further]
    (patch_loss, image_loss, *further_losses), logits, normalizers = (
      self.compare(kinds, views.index, training)
    )
    contrast = base.Contrast(
      self.weight * patch_loss + (1.0 - self.weight) * image_loss,
      logits[:, 0],
      to_remember=npid.ToRemember(views.index, of_image, normalizers),
      features=features,
    )
    return contrast, further_losses

  @property
  def learned_variables(self):
    return super().learned_variables + self.jigsaw_head.trainable_variables

  @property
  def checkpoint_roots(self):
    return {**super().checkpoint_roots, "jigsaw_head": self.jigsaw_head}


def build_pirl(
  setup: base.Setup,
  *,
  encoder: Callable,
  projection_head: Callable = heads.LinearHead,
  patches: int = 9,
  num_negatives: int | None = None,
  temperature: float = 0.07,
  weight: float = 0.5,
  bank_momentum: float = 0.5,
  bank_dtype: str = "float32",
  loss: str = "nce",
) -> Pirl:
  """Builds PIRL for a run; the defaults are VISSL's.

  Args:
    setup: facts about the run.
    encoder: function that builds an encoder, such as `resnet.resnet50`.
    projection_head: function that builds f and the head that g applies to each
      patch.
    patches: P, number of patches of the recipe.
    num_negatives: M; None for VISSL's 32,000, at most N - 1.
    temperature: τ, divisor of the similarities; 0.1 in the stronger variant.
    weight: λ, weight of the loss of the patches, 0..1.
    bank_momentum: weight of the old row when a row is written, 0..1.
    bank_dtype: "float32", or "float16" for half of the memory.
    loss: "nce"; "info_nce" in the stronger variant.

  Raises:
    UsageError: an argument is out of range.
  """
  pair = base.build_pair(setup, encoder, projection_head)
  size = pair[1].embedding_size
  jigsaw_head = heads.JigsawHead(
    patch_head=projection_head, embedding_size=size
  )
  jigsaw_head(tf.zeros([1, patches, pair[0].feature_size]), training=False)
  return Pirl(
    *pair,
    jigsaw_head,
    memory_bank.MemoryBank(
      setup.num_images, size, dtype=bank_dtype, seed=setup.seed
    ),
    weight=weight,
    num_negatives=num_negatives or min(32000, setup.num_images - 1),
    temperature=temperature,
    bank_momentum=bank_momentum,
    loss=loss,
    batch_size=setup.batch_size,
    seed=setup.seed,
  )
