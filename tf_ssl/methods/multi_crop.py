"""Methods that also learn from small crops of each image (multi-crop).

SwAV (Caron et al. 2020, section 3.2) compares many small crops, which cost
little, with two full views. Targets come from the full views alone.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.losses import info_nce
from tf_ssl.methods import base
from tf_ssl.methods import moco as moco_lib
from tf_ssl.methods import pirl as pirl_lib
from tf_ssl.methods import simclr as simclr_lib
from tf_ssl.ops import cross_replica

TARGETS = ("views", "mean")


def embed_crops(
  method: base.ContrastiveModel, crops: tf.Tensor, training: bool
) -> tf.Tensor:
  """Embeds all crops in one call: [B, V, h, w, 3] -> [B, V, E], unit length.

  Batch norm averages over the B * V crops. In split batch norm, all crops of an
  image are in one group.
  """
  count = crops.shape[1]
  flat = tf.reshape(crops, [-1, *crops.shape[2:]])  # [B·V, h, w, 3]
  embeddings = method.embed(flat, training=training)  # [B·V, E]
  return tf.reshape(embeddings, [-1, count, embeddings.shape[1]])


def targets_of(views: tf.Tensor, target: str) -> tf.Tensor:
  """What a crop is compared with.

  Args:
    views: [B, F, E], embeddings of the F full views of each image, unit length.
    target: "views" for each of them, "mean" for their mean.

  Returns:
    [B, F, E], or the mean [B, 1, E], unit length.
  """
  if target == "views":
    return views
  mean = tf.reduce_mean(views, axis=1, keepdims=True)
  return tf.math.l2_normalize(mean, axis=2)


def check_options(crop_weight: float, crop_target: str = "views") -> None:
  """Raises UsageError unless both arguments are in range."""
  errors.require(
    crop_weight >= 0.0,
    f"crop_weight={crop_weight}: expected at least 0; change `crop_weight`",
  )
  errors.require(
    crop_target in TARGETS,
    f"crop_target={crop_target!r}: expected one of {', '.join(TARGETS)}; change"
    " `crop_target`",
  )


class MultiCropMoCo(moco_lib.MoCo):
  """Loss = L_views + crop_weight · L_crops, with MoCo's negatives.

  L_views is MoCo's loss of the two full views. L_crops is the mean of
  equation 1 over all pairs of a crop, as the query, and a key of its image. The
  keys and the negatives are MoCo's: the key encoder sees the `key` view, and
  the `query` view too if the loss is symmetric.
  """

  view_type = batches.MultiCropPair

  def __init__(
    self,
    *parts,
    crop_weight: float = 1.0,
    crop_target: str = "views",
    name: str = "multi_crop_moco",
    **options,
  ):
    """Creates the method.

    Args:
      *parts: encoders, projection heads and queue, as in `MoCo`.
      crop_weight: weight of the loss of crops; 0 skips its computation.
      crop_target: "views" to compare a crop with each key of its image, "mean"
        for the mean of the keys.
      name: name of the Keras model.
      **options: further arguments of `MoCo`.

    Raises:
      UsageError: an argument is out of range.
    """
    super().__init__(*parts, name=name, **options)
    check_options(crop_weight, crop_target)
    self.crop_weight = crop_weight
    self.crop_target = crop_target

  def contrast(self, views: batches.MultiCropPair, training: bool):
    """Both losses; `logits` are those of the full views."""
    pair = batches.ImagePair(views.query, views.key)
    full = super().contrast(pair, training)
    if not self.crop_weight or not views.crops.shape[1]:
      return full
    queries = embed_crops(self, views.crops, training)  # [B, V, E]
    sides = tf.split(full.to_remember, self._sides)  # [B, E] each
    positive, others = info_nce.crop_logits(
      queries,
      targets_of(tf.stack(sides, axis=1), self.crop_target),
      tf.stack([cross_replica.gather(side) for side in sides]),
      cross_replica.rows_of(sides[0]),
      temperature=self.temperature,
    )
    queued = tf.tensordot(queries, self.queue.keys, [[2], [1]])  # [B, V, K]
    negative, missing = info_nce.only_written(
      queued / self.temperature, self.queue.written()
    )
    if self.batch_size is not None:
      negative = tf.concat([negative, others], axis=2)
    crop_loss = missing + info_nce.info_nce_of_each(positive, negative)
    return full._replace(
      loss=full.loss + self.crop_weight * crop_loss,
      metrics={"view_loss": full.loss, "crop_loss": crop_loss},
    )

  @property
  def _sides(self) -> int:
    """Number of keys of an image."""
    return 2 if self.symmetric else 1

  @property
  def chance_loss(self) -> float:
    """MoCo's, and crop_weight times the log of 1 + negatives of a crop."""
    negatives = self.queue.length
    if self.batch_size is not None:
      negatives += self._sides * (self.batch_size - 1)
    return super().chance_loss + self.crop_weight * math.log(1 + negatives)


def build_multi_crop_moco(
  setup: base.Setup,
  *,
  moco: Callable,
  crop_weight: float = 1.0,
  crop_target: str = "views",
) -> MultiCropMoCo:
  """Builds MoCo with small crops for a run.

  Args:
    setup: facts about the run.
    moco: function that builds MoCo, such as `moco.build_moco`.
    crop_weight: weight of the loss of crops; 0 skips its computation.
    crop_target: "views" or "mean", what a crop is compared with.

  Raises:
    UsageError: an argument is out of range.
  """
  return MultiCropMoCo.like(
    moco(setup), crop_weight=crop_weight, crop_target=crop_target
  )


class MultiCropSimClr(simclr_lib.SimClr):
  """Loss = L_views + crop_weight · L_crops, with negatives from the batch.

  L_views is NT-Xent of the two full views. L_crops is the mean of -log softmax
  over all pairs of a crop and a full view of its image, among the 2B - 2 full
  views of the other images of the global batch.
  """

  view_type = batches.MultiCropPair

  def __init__(
    self,
    *parts,
    crop_weight: float = 1.0,
    crop_target: str = "views",
    name: str = "multi_crop_simclr",
    **options,
  ):
    """Creates the method.

    Args:
      *parts: encoder and projection head, as in `SimClr`.
      crop_weight: weight of the loss of crops; 0 skips its computation.
      crop_target: "views" to compare a crop with both full views of its image,
        "mean" for their mean.
      name: name of the Keras model.
      **options: temperature of `SimClr`.

    Raises:
      UsageError: an argument is out of range.
    """
    super().__init__(*parts, name=name, **options)
    check_options(crop_weight, crop_target)
    self.crop_weight = crop_weight
    self.crop_target = crop_target

  def contrast(self, views: batches.MultiCropPair, training: bool):
    """Both losses; `logits` are those of the full views."""
    full = super().contrast(views, training)
    if not self.crop_weight or not views.crops.shape[1]:
      return full
    both = full.embeddings  # Queries and keys, [b, E] each.
    logits = info_nce.crop_logits(
      embed_crops(self, views.crops, training),
      targets_of(tf.stack(both, axis=1), self.crop_target),
      tf.stack([cross_replica.gather(view) for view in both]),
      cross_replica.rows_of(both[0]),
      temperature=self.temperature,
    )
    crop_loss = info_nce.info_nce_of_each(*logits)
    return full._replace(
      loss=full.loss + self.crop_weight * crop_loss,
      metrics={"view_loss": full.loss, "crop_loss": crop_loss},
    )


class MultiCropPirl(pirl_lib.Pirl):
  """Loss = L_pirl + crop_weight · L(m, f(crops)).

  Each crop is classified as its image's row of the bank, as the image and its
  patches are, with the same negatives. With NCE, the crops have a Z of their
  own. Only the full view is written to the bank.
  """

  view_type = batches.MultiCropJigsaw
  _kinds_of_embeddings = 3

  def __init__(
    self,
    *parts,
    crop_weight: float = 1.0,
    name: str = "multi_crop_pirl",
    **options,
  ):
    """Creates the method.

    Args:
      *parts: encoder, both heads and bank, as in `Pirl`.
      crop_weight: weight of the loss of crops; 0 skips its computation.
      name: name of the Keras model.
      **options: further arguments of `Pirl`.

    Raises:
      UsageError: an argument is out of range.
    """
    super().__init__(*parts, name=name, **options)
    check_options(crop_weight)
    self.crop_weight = crop_weight

  def contrast(self, views: batches.MultiCropJigsaw, training: bool):
    """Patches, image and crops against the bank; `logits` are the patches'."""
    if not self.crop_weight or not views.crops.shape[1]:
      return super().contrast(views, training)
    crops = embed_crops(self, views.crops, training)  # [B, V, E]
    full, [crop_loss] = self._contrast(views, [crops], training)
    return full._replace(
      loss=full.loss + self.crop_weight * crop_loss,
      metrics={"view_loss": full.loss, "crop_loss": crop_loss},
    )


def build_multi_crop_simclr(
  setup: base.Setup,
  *,
  simclr: Callable,
  crop_weight: float = 1.0,
  crop_target: str = "views",
) -> MultiCropSimClr:
  """Builds SimCLR with small crops for a run.

  Args:
    setup: facts about the run.
    simclr: function that builds SimCLR, such as `simclr.build_simclr`.
    crop_weight: weight of the loss of crops; 0 skips its computation.
    crop_target: "views" or "mean", what a crop is compared with.

  Raises:
    UsageError: an argument is out of range.
  """
  return MultiCropSimClr.like(
    simclr(setup), crop_weight=crop_weight, crop_target=crop_target
  )


def build_multi_crop_pirl(
  setup: base.Setup, *, pirl: Callable, crop_weight: float = 1.0
) -> MultiCropPirl:
  """Builds PIRL with small crops for a run.

  Args:
    setup: facts about the run.
    pirl: function that builds PIRL, such as `pirl.build_pirl`.
    crop_weight: weight of the loss of crops; 0 skips its computation.

  Raises:
    UsageError: an argument is out of range.
  """
  return MultiCropPirl.like(pirl(setup), crop_weight=crop_weight)
