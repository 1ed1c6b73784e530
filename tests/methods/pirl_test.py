"""Tests of tf_ssl.methods.pirl."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.memory import memory_bank
from tf_ssl.methods import base, npid, pirl
from tf_ssl.ops import optimizers

IMAGES, BATCH, NEGATIVES, PATCHES = 30, 6, 7, 4


class TinyEncoder(tf.keras.Model):
  """[B, 2, 2, 3] -> [B, 5]; counts its calls."""

  def __init__(self):
    super().__init__()
    self.dense = tf.keras.layers.Dense(5, activation="relu")
    self.calls = []

  def call(self, images, training=None):
    self.calls.append(tuple(images.shape))
    return self.dense(tf.reshape(images, [-1, 12]))


def tiny_pirl(**kwargs):
  tf.keras.utils.set_random_seed(1)
  small = functools.partial(heads.LinearHead, embedding_size=3)
  encoder, head = TinyEncoder(), small()
  jigsaw_head = heads.JigsawHead(patch_head=small, embedding_size=3)
  head(encoder(tf.zeros([1, 2, 2, 3])))
  jigsaw_head(tf.zeros([1, PATCHES, 5]))
  bank = memory_bank.MemoryBank(IMAGES, 3, seed=2)
  model = pirl.Pirl(
    encoder,
    head,
    jigsaw_head,
    bank,
    **{
      "num_negatives": NEGATIVES,
      "batch_size": BATCH,
      "temperature": 0.3,
      "seed": 4,
      **kwargs,
    },
  )
  model.compile(optimizers.MomentumSgd(0.1))
  encoder.calls.clear()
  return model


def batch(step):
  rng = np.random.default_rng(step)
  return batches.JigsawPair(
    tf.constant(rng.normal(size=[BATCH, 2, 2, 3]), tf.float32),
    tf.constant(rng.normal(size=[BATCH, PATCHES, 2, 2, 3]), tf.float32),
    tf.constant(rng.permutation(IMAGES)[:BATCH]),
  )


def unit(rows):
  return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Reference:
  """PIRL's losses and bank in NumPy, from the weights of the moment."""

  def __init__(self, model):
    self.model = model
    self.bank = model.bank.embeddings.numpy().astype("d")
    self.normalizers = None

  def embeddings(self, views):
    encoder, g = self.model.encoder, self.model.jigsaw_head

    def layer(dense, x):
      return x @ dense.kernel.numpy().astype("d") + dense.bias.numpy()

    def features(images):
      flat = images.numpy().astype("d").reshape(-1, 12)
      return np.maximum(layer(encoder.dense, flat), 0)

    f = layer(self.model.projection_head.output_layer, features(views.image))
    patches = layer(g.patch_head.output_layer, features(views.patches))
    joined = patches.reshape(BATCH, -1)
    return unit(layer(g.output_layer, joined)), unit(f)

  def step(self, views, number, kind, weight):
    """The loss; writes the bank."""
    index = views.index.numpy()
    drawn = memory_bank.draw_negatives(
      views.index,
      tf.range(BATCH, dtype=tf.int64) + number * BATCH,
      count=NEGATIVES,
      num_images=IMAGES,
      seed=4,
    ).numpy()
    sides = self.embeddings(views)
    logits = []
    for side in sides:
      positive = (side * self.bank[index]).sum(1, keepdims=True)
      negative = np.einsum("be,bme->bm", side, self.bank[drawn])
      logits.append(np.concatenate([positive, negative], axis=1) / 0.3)
    if self.normalizers is None:
      self.normalizers = [np.exp(x).mean() * IMAGES for x in logits]
    losses = []
    for x, normalizer in zip(logits, self.normalizers, strict=True):
      if kind == "info_nce":
        losses.append((np.log(np.exp(x).sum(1)) - x[:, 0]).mean())
        continue
      p, noise = np.exp(x) / normalizer, NEGATIVES / IMAGES
      terms = np.log(noise / (p + noise))
      terms[:, 0] = np.log(p[:, 0] / (p[:, 0] + noise))
      losses.append(-terms.sum(1).mean())
    self.bank[index] = unit(0.5 * self.bank[index] + 0.5 * sides[1])
    return weight * losses[0] + (1 - weight) * losses[1]


@pytest.mark.parametrize("kind", npid.LOSSES)
def test_five_steps_equal_an_independent_numpy_reference(kind):
  model = tiny_pirl(loss=kind, weight=0.3)
  reference = Reference(model)
  for step in range(5):
    views = batch(step)
    expected = reference.step(views, step, kind, 0.3)
    dataset = tf.data.Dataset.from_tensors(views)
    logs = model.fit(dataset, verbose=0).history
    np.testing.assert_allclose(logs["loss"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(model.bank.embeddings, reference.bank, atol=1e-5)
    if kind == "nce":
      np.testing.assert_allclose(
        model.log_normalizers, np.log(reference.normalizers), atol=1e-5
      )


def test_all_patches_are_one_call_of_the_encoder():
  model = tiny_pirl()
  model.contrast(batch(0), training=True)
  assert model.encoder.calls == [(BATCH, 2, 2, 3), (BATCH * PATCHES, 2, 2, 3)]


def test_heads_are_trained_by_gradient_and_the_bank_is_not():
  model = tiny_pirl()
  views = batch(0)
  with tf.GradientTape() as tape:
    loss = model.contrast(views, training=True).loss
  gradients = tape.gradient(loss, model.learned_variables)
  assert len(gradients) == 2 + 2 + 4
  assert all(np.abs(g).max() > 0 for g in gradients)
  assert model.bank.trainable_variables == []


def test_the_bank_and_z_are_checkpointed(tmp_path):
  model = tiny_pirl()
  model.fit(tf.data.Dataset.from_tensors(batch(0)), verbose=0)
  path = tf.train.Checkpoint(**model.checkpoint_roots).write(f"{tmp_path}/c")
  other = tiny_pirl()
  tf.train.Checkpoint(**other.checkpoint_roots).restore(path)
  np.testing.assert_array_equal(other.bank.embeddings, model.bank.embeddings)
  np.testing.assert_array_equal(other.log_normalizers, model.log_normalizers)


@pytest.mark.parametrize(
  "setting",
  [
    {"loss": "hinge"},
    {"num_negatives": 0},
    {"temperature": 0.0},
    {"bank_momentum": 1.5},
    {"weight": -0.1},
  ],
)
def test_a_setting_out_of_range_is_named(setting):
  with pytest.raises(errors.UsageError, match=next(iter(setting))):
    tiny_pirl(**setting)


def test_a_method_built_for_a_run_trains_a_step():
  setup = base.Setup(num_images=50, batch_size=4, image_size=16)
  encoder = shallow_reference.resnet10
  model = pirl.build_pirl(setup, encoder=encoder, num_negatives=5)
  model.compile(optimizers.MomentumSgd(0.01))
  assert model.view_type is batches.JigsawPair
  views = batches.JigsawPair(
    tf.random.stateless_normal([4, 16, 16, 3], [0, 0]),
    tf.random.stateless_normal([4, 9, 8, 8, 3], [0, 1]),
    tf.constant([3, 9, 2, 44], tf.int64),
  )
  logs = model.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
  assert np.isfinite(logs["loss"][0])
  assert model.bank.num_images == 50


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
