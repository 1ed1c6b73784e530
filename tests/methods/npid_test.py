"""Tests of tf_ssl.methods.npid against a NumPy reference."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.memory import memory_bank
from tf_ssl.methods import base, npid
from tf_ssl.ops import optimizers

IMAGES, BATCH, NEGATIVES, TEMPERATURE, MOMENTUM = 30, 6, 7, 0.3, 0.25


class TinyEncoder(tf.keras.Model):
  """[B, 2, 2, 3] -> [B, 5]."""

  def __init__(self):
    super().__init__()
    self.dense = tf.keras.layers.Dense(5, activation="relu")

  def call(self, images, training=None):
    return self.dense(tf.reshape(images, [-1, 12]))


def tiny(**changes):
  tf.keras.utils.set_random_seed(1)
  encoder, head = TinyEncoder(), heads.LinearHead(embedding_size=3)
  head(encoder(tf.zeros([1, 2, 2, 3])))
  model = npid.Npid(
    encoder,
    head,
    memory_bank.MemoryBank(IMAGES, 3, seed=2),
    **{
      "num_negatives": NEGATIVES,
      "batch_size": BATCH,
      "temperature": TEMPERATURE,
      "bank_momentum": MOMENTUM,
      "seed": 4,
      **changes,
    },
  )
  model.compile(optimizers.MomentumSgd(0.1))
  return model


def batch(step):
  rng = np.random.default_rng(step)
  return batches.IndexedImage(
    tf.constant(rng.normal(size=[BATCH, 2, 2, 3]), tf.float32),
    tf.constant(rng.permutation(IMAGES)[:BATCH]),
  )


def unit(rows):
  return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def slow_embeddings(model, images):
  """The embeddings, from the weights of the moment."""

  def layer(dense, x):
    return x @ dense.kernel.numpy().astype("d") + dense.bias.numpy()

  flat = images.numpy().astype("d").reshape(-1, 12)
  hidden = np.maximum(layer(model.encoder.dense, flat), 0)
  return unit(layer(model.projection_head.output_layer, hidden))


def slow_logits(model, bank, views, step):
  """[B, 1+M]: the image's own row, then M others, one by one."""
  drawn = memory_bank.draw_negatives(
    views.index,
    tf.range(BATCH, dtype=tf.int64) + step * BATCH,
    count=NEGATIVES,
    num_images=IMAGES,
    seed=4,
  ).numpy()
  embeddings = slow_embeddings(model, views.image)
  rows = np.concatenate([views.index.numpy()[:, None], drawn], axis=1)
  logits = [
    [embeddings[i] @ bank[row] / TEMPERATURE for row in rows[i]]
    for i in range(BATCH)
  ]
  return np.array(logits), embeddings


def slow_nce(logits, normalizer):
  """Wu et al. (2018), equation 6, for P_n = 1 / N."""
  noise = NEGATIVES / IMAGES
  total = 0.0
  for row in logits:
    p = np.exp(row) / normalizer
    total -= np.log(p[0] / (p[0] + noise))
    total -= np.log(noise / (p[1:] + noise)).sum()
  return total / len(logits)


@pytest.mark.parametrize("kind", npid.LOSSES)
def test_five_steps_equal_an_independent_numpy_reference(kind):
  model = tiny(loss=kind)
  bank = model.bank.embeddings.numpy().astype("d")
  normalizer = None
  for step in range(5):
    views = batch(step)
    logits, embeddings = slow_logits(model, bank, views, step)
    if normalizer is None:  # Equation 8: estimated from the first batch.
      normalizer = np.exp(logits).mean() * IMAGES
    if kind == "nce":
      expected = slow_nce(logits, normalizer)
    else:
      expected = (np.log(np.exp(logits).sum(1)) - logits[:, 0]).mean()
    logs = model.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
    np.testing.assert_allclose(logs["loss"][0], expected, rtol=1e-5)
    accuracy = np.mean(logits[:, 0] > logits[:, 1:].max(1))
    assert logs["contrastive_accuracy"][0] == pytest.approx(accuracy)
    index = views.index.numpy()
    bank[index] = unit(MOMENTUM * bank[index] + (1 - MOMENTUM) * embeddings)
    np.testing.assert_allclose(model.bank.embeddings, bank, atol=1e-5)
  if kind == "nce":
    np.testing.assert_allclose(
      model.log_normalizers, [np.log(normalizer)], atol=1e-5
    )


def test_validation_has_the_negatives_of_step_0_and_writes_nothing():
  model = tiny()
  model.fit(tf.data.Dataset.from_tensors(batch(0)), verbose=0)
  bank = model.bank.embeddings.numpy()
  normalizer = np.exp(model.log_normalizers.numpy()[0])
  model.optimizer.iterations.assign(8)
  found = model.evaluate(
    tf.data.Dataset.from_tensors(batch(1)), verbose=0, return_dict=True
  )
  logits, _ = slow_logits(model, bank.astype("d"), batch(1), 0)
  np.testing.assert_allclose(
    found["loss"], slow_nce(logits, normalizer), rtol=1e-5
  )
  np.testing.assert_array_equal(model.bank.embeddings, bank)


def test_the_bank_and_z_are_checkpointed(tmp_path):
  model = tiny()
  model.fit(tf.data.Dataset.from_tensors(batch(0)), verbose=0)
  path = tf.train.Checkpoint(**model.checkpoint_roots).write(f"{tmp_path}/c")
  other = tiny()
  assert np.isnan(other.log_normalizers).all()
  tf.train.Checkpoint(**other.checkpoint_roots).restore(path)
  np.testing.assert_array_equal(other.bank.embeddings, model.bank.embeddings)
  np.testing.assert_array_equal(other.log_normalizers, model.log_normalizers)


@pytest.mark.parametrize(
  ("setting", "value"),
  [
    ("loss", "hinge"),
    ("num_negatives", 0),
    ("temperature", 0.0),
    ("bank_momentum", 1.5),
    ("bank_momentum", -0.5),
  ],
)
def test_a_setting_out_of_range_is_named(setting, value):
  with pytest.raises(errors.UsageError, match=f"{setting}={value!r}"):
    tiny(**{setting: value})


def test_the_bank_of_a_run_has_a_row_for_each_image():
  setup = base.Setup(num_images=50, batch_size=4, image_size=16)
  model = npid.build_npid(
    setup,
    encoder=shallow_reference.resnet10,
    num_negatives=5,
    bank_dtype="float16",
  )
  model.compile(optimizers.MomentumSgd(0.01))
  assert model.view_type is batches.IndexedImage
  assert model.bank.num_images == 50
  assert model.bank.embeddings.dtype == tf.float16
  views = batches.IndexedImage(
    tf.random.stateless_normal([4, 16, 16, 3], [0, 0]),
    tf.constant([3, 9, 2, 44], tf.int64),
  )
  before = model.bank.embeddings.numpy()
  logs = model.fit(tf.data.Dataset.from_tensors(views), verbose=0).history
  assert np.isfinite(logs["loss"][0])
  changed = (model.bank.embeddings.numpy() != before).any(axis=1)
  assert np.flatnonzero(changed).tolist() == [2, 3, 9, 44]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
