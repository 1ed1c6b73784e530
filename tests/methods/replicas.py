"""Trains small methods on N logical CPUs and saves their variables.

A program of its own, because a process is divided into devices only once:
python -m tests.methods.replicas --methods moco --replicas=2 --output=FOLDER
"""

import argparse
import functools

import numpy as np
import tensorflow as tf

from tf_ssl import batches as types
from tf_ssl.encoders import batch_norm, heads
from tf_ssl.memory import key_queue, memory_bank
from tf_ssl.methods import (
  emp_ssl,
  hybrid,
  moco,
  multi_crop,
  pirl,
  simclr,
  supervised_contrastive,
  supervised_metric,
)
from tf_ssl.ops import cross_replica, optimizers
from tf_ssl.training.distributed import distribution

BATCH, STEPS, IMAGES, EMBEDDING, PATCHES, CROPS = 16, 10, 40, 4, 4, 3
PARTS = 8  # of the batch that batch norm keeps apart, over all replicas


class TinyEncoder(tf.keras.Model):
  """Dense, batch norm in groups, ReLU: [B, 2, 2, 3] -> [B, 6]."""

  def __init__(self, groups, seed):
    super().__init__()
    initial = tf.keras.initializers.RandomNormal(0.0, 0.7, seed)
    self.dense = tf.keras.layers.Dense(6, kernel_initializer=initial)
    self.norm = batch_norm.split(groups=groups)

  def call(self, images, training=None):
    flat = tf.reshape(images, [-1, 12])
    return tf.nn.relu(self.norm(self.dense(flat), training=training))


def side(groups, seed):
  encoder = TinyEncoder(groups, seed)
  head = heads.MlpHead(hidden_size=5, embedding_size=EMBEDDING)
  head(encoder(tf.zeros([8, 2, 2, 3])))
  rng = np.random.default_rng(seed)
  for variable in head.trainable_variables:
    variable.assign(rng.normal(size=variable.shape, scale=0.7))
  return encoder, head


def build_warm_moco(replicas):
  return build_moco(replicas, warm=True)


def build_moco(replicas, warm=False):
  groups = PARTS // 2 // replicas
  queue = key_queue.KeyQueue(40, EMBEDDING, warm=warm, seed=5)
  return moco.MoCo(
    *side(groups, 1), *side(groups, 2), queue, momentum=0.9, seed=7
  )


def build_moco_with_batch_negatives(replicas):
  method = build_moco(replicas)
  method.batch_size = BATCH
  return method


def build_multi_crop_moco(replicas):
  return multi_crop.MultiCropMoCo.like(build_moco(replicas))


def build_pirl(replicas):
  encoder, head = side(PARTS // 2 // replicas, 1)
  jigsaw_head = heads.JigsawHead(
    patch_head=functools.partial(heads.LinearHead, embedding_size=3),
    embedding_size=EMBEDDING,
  )
  jigsaw_head(tf.zeros([1, PATCHES, 6]))
  rng = np.random.default_rng(3)
  for variable in jigsaw_head.trainable_variables:
    variable.assign(rng.normal(size=variable.shape, scale=0.7))
  bank = memory_bank.MemoryBank(IMAGES, EMBEDDING, seed=5)
  return pirl.Pirl(
    encoder, head, jigsaw_head, bank, num_negatives=12, batch_size=BATCH
  )


def build_simclr(replicas):
  return simclr.SimClr(*side(PARTS // replicas, 1), temperature=0.5)


def build_multi_crop_simclr(replicas):
  return multi_crop.MultiCropSimClr.like(build_simclr(replicas))


def build_multi_crop_pirl(replicas):
  return multi_crop.MultiCropPirl.like(build_pirl(replicas))


def build_emp_ssl(replicas):
  return emp_ssl.EmpSsl(*side(PARTS // replicas, 1), invariance_weight=2.0)


def build_supervised_contrastive(replicas):
  return supervised_contrastive.SupervisedContrastive(
    *side(PARTS // replicas, 1), temperature=0.5
  )


def build_supervised_metric(replicas):
  import tensorflow_addons as tfa  # Only beside TensorFlow 2.15.

  return supervised_metric.SupervisedMetric(
    *side(PARTS // replicas, 1), tfa.losses.TripletSemiHardLoss()
  )


def build_hybrid(replicas):
  classifier = heads.LinearHead(embedding_size=3)
  classifier(tf.zeros([1, 6]))
  rng = np.random.default_rng(4)
  for variable in classifier.trainable_variables:
    variable.assign(rng.normal(size=variable.shape))
  return hybrid.Hybrid(build_moco(replicas), classifier, weight=0.4)


def batches(view_type):
  rng = np.random.default_rng(0)
  shapes = {
    "patches": [BATCH, PATCHES, 2, 2, 3],
    "crops": [BATCH, CROPS, 2, 2, 3],
  }
  fields = {
    name: rng.normal(size=[STEPS, *shapes.get(name, [BATCH, 2, 2, 3])]).astype(
      "f"
    )
    for name in types.view_fields(view_type)
  }
  if "index" in view_type._fields:
    # an epoch ends inside of a batch, so that some come twice in one
    fields["index"] = (np.arange(STEPS * BATCH) * 7 % IMAGES).reshape(STEPS, -1)
    fields["index"][:, -1] = fields["index"][:, 0]
  if types.is_labeled(view_type):
    # most labels are known in one half of the batch alone
    labels = rng.integers(-1, 3, [STEPS, BATCH])
    labels[:, : BATCH // 2 - 1] = -1
    fields["label"] = labels.astype("i")
  return tf.data.Dataset.from_tensor_slices(view_type(**fields))


class Record(tf.keras.callbacks.Callback):
  """Every step's loss and gradient norm."""

  def __init__(self):
    super().__init__()
    self.steps = []

  def on_train_batch_end(self, batch, logs=None):
    self.steps.append([logs["loss"], logs["gradient_norm"]])


def copies(variable):
  """What each replica holds."""
  return [v.numpy() for v in getattr(variable, "values", [variable])]


class GroupMean(tf.keras.Model):
  """Nothing but what a batch norm leaks: the mean of the replica's batch."""

  def __init__(self):
    super().__init__()
    self.scale = self.add_weight("scale", [], initializer="ones")

  def call(self, images, training=None):
    flat = tf.reshape(images, [-1, 12])
    return tf.zeros_like(flat) + self.scale * tf.reduce_mean(flat, axis=0)


def leak(shuffles):
  """How surely the leak alone tells a query's own key from another; 0.5: no."""
  sides = []
  for _ in range(2):
    head = tf.keras.layers.Dense(12, kernel_initializer="identity")
    head.build([None, 12])
    sides += [GroupMean(), head]
  model = moco.MoCo(*sides, key_queue.KeyQueue(8, 12), seed=7)
  model.compile(optimizers.MomentumSgd(0.0))
  if not shuffles:
    cross_replica.shuffle = lambda local, **_: cross_replica.Shuffled(local, 0)
    cross_replica.unshuffle = lambda local, permutation: local
  now = tf.distribute.get_strategy()
  content = np.random.default_rng(0).normal(size=[256, 2, 2, 3]).astype("f")

  def embed():
    context = tf.distribute.get_replica_context()
    share = 256 // context.num_replicas_in_sync
    start = context.replica_id_in_sync_group * share
    mine = tf.constant(content)[start : start + share]
    queries = model.embed(mine, training=True)
    keys = model.embed_keys(mine + 0.01, training=True)
    return cross_replica.gather(queries), cross_replica.gather(keys)

  queries, keys = (
    now.experimental_local_results(x)[0].numpy()
    for x in now.run(tf.function(embed))
  )
  similarity = queries @ keys.T
  own = np.diagonal(similarity)[:, None]
  wins = (own > similarity + 1e-6) + 0.5 * (np.abs(own - similarity) <= 1e-6)
  return wins[~np.eye(256, dtype=bool)].mean()


def train(method, replicas):
  """What ten steps leave."""
  model = globals()[f"build_{method}"](replicas)
  model.compile(optimizers.MomentumSgd(0.05, weight_decay=0.01))
  model.optimizer.build(model.learned_variables)
  record = Record()
  model.fit(batches(model.view_type), verbose=0, callbacks=[record])
  contrastive = getattr(model, "contrastive", model)
  found = {
    "steps": record.steps,
    "learned": np.concatenate(
      [v.numpy().ravel() for v in model.learned_variables]
    ),
  }
  if hasattr(contrastive, "key_encoder"):
    found["key"] = contrastive.key_encoder.dense.kernel.numpy()
    found["queue"] = copies(contrastive.queue.keys)
  if hasattr(contrastive, "bank"):
    found["bank"] = copies(contrastive.bank.embeddings)
    found["normalizers"] = contrastive.log_normalizers.numpy()
  return found


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--methods", nargs="*", default=[])
  parser.add_argument("--leak", action="store_true")
  parser.add_argument("--replicas", type=int, required=True)
  parser.add_argument("--output", required=True, help="a folder")
  args = parser.parse_args()
  distribution.split_cpu(args.replicas)
  with distribution.strategy("auto").scope():  # one, or their messages mix
    for method in args.methods:
      found = train(method, args.replicas)
      np.savez(f"{args.output}/{method}{args.replicas}.npz", **found)
    if args.leak:
      with_it, without = (leak(shuffles=shuffles) for shuffles in (True, False))
      np.savez(
        f"{args.output}/leak.npz", shuffled=with_it, not_shuffled=without
      )


if __name__ == "__main__":
  main()
