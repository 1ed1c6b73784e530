"""Tests of tf_ssl.methods.moco."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tests.methods import moco_reference
from tf_ssl import batches, errors
from tf_ssl.encoders import batch_norm, heads
from tf_ssl.memory import key_queue
from tf_ssl.methods import base, moco
from tf_ssl.ops import optimizers

BATCH, SIDE, FEATURE, EMBEDDING, QUEUE, GROUPS = 8, 2, 6, 4, 20, 2


class TinyEncoder(tf.keras.Model):
  """Dense, batch norm in groups, ReLU: [B, 2, 2, 3] -> [B, 6]."""

  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.dense = tf.keras.layers.Dense(FEATURE, use_bias=False)
    self.norm = batch_norm.split(groups=GROUPS)

  def call(self, images, training=None):
    flat = tf.reshape(images, [-1, SIDE * SIDE * 3])
    return tf.nn.relu(self.norm(self.dense(flat), training=training))


def tiny_side(seed):
  encoder = TinyEncoder()
  head = heads.MlpHead(hidden_size=5, embedding_size=EMBEDDING)
  head(encoder(tf.zeros([2, SIDE, SIDE, 3])))
  rng = np.random.default_rng(seed)
  for v in encoder.trainable_variables + head.trainable_variables:
    v.assign(rng.normal(size=v.shape, scale=0.7))
  return encoder, head


def tiny_moco(*, warm=False, **kwargs):
  return moco.MoCo(
    *tiny_side(1),
    *tiny_side(2),
    key_queue.KeyQueue(QUEUE, EMBEDDING, warm=warm, seed=5),
    seed=7,
    **kwargs,
  )


def parameters(encoder, head):
  return {
    "w1": encoder.dense.kernel.numpy(),
    "gamma": encoder.norm.gamma.numpy(),
    "beta": encoder.norm.beta.numpy(),
    "w2": head.hidden_layer.kernel.numpy(),
    "b2": head.hidden_layer.bias.numpy(),
    "w3": head.output_layer.kernel.numpy(),
    "b3": head.output_layer.bias.numpy(),
  }


def train(model, pair):
  """One step; returns its logs."""
  dataset = tf.data.Dataset.from_tensors(pair)
  history = model.fit(dataset, verbose=0).history
  return {name: values[0] for name, values in history.items()}


def close(actual, expected):
  np.testing.assert_allclose(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch_negatives", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("warm", [False, True])
def test_five_steps_equal_an_independent_numpy_reference(
  symmetric, batch_negatives, warm
):
  rng = np.random.default_rng(0)
  views = rng.normal(size=[5, 2, BATCH, SIDE, SIDE, 3]).astype("f")
  model = tiny_moco(
    momentum=0.9,
    temperature=0.2,
    symmetric=symmetric,
    batch_size=BATCH if batch_negatives else None,
    warm=warm,
  )
  settings = {"sgd_momentum": 0.9, "weight_decay": 0.01}
  model.compile(optimizers.MomentumSgd(0.1, **settings))
  model.optimizer.build(model.learned_variables)
  reference = moco_reference.Reference(
    parameters(model.encoder, model.projection_head),
    model.queue.keys.numpy(),
    groups=GROUPS,
    momentum=0.9,
    temperature=0.2,
    learning_rate=0.1,
    symmetric=symmetric,
    warm=warm,
    batch_negatives=batch_negatives,
    **settings,
  )
  for step in range(5):
    pair = batches.ImagePair(*map(tf.constant, views[step]))
    logs = train(model, pair)
    permutation = tf.random.experimental.stateless_shuffle(
      tf.range(BATCH), seed=[7, step]
    ).numpy()
    loss = reference.step(*views[step].astype("d"), permutation)
    close(logs["loss"], loss)
    close(model.queue.keys, reference.queue)
    assert int(model.queue.head) == reference.head
    sides = [
      (model.encoder, model.projection_head, reference.query),
      (model.key_encoder, model.key_projection_head, reference.key),
    ]
    for encoder, head, expected in sides:
      for name, value in parameters(encoder, head).items():
        close(value, expected[name])
    slots = {
      v.ref(): s.numpy()
      for v, s in zip(
        model.learned_variables, model.optimizer.velocities, strict=True
      )
    }
    close(slots[model.encoder.dense.kernel.ref()], reference.velocity["w1"])
    close(slots[model.encoder.norm.gamma.ref()], reference.velocity["gamma"])
    last = model.projection_head.output_layer
    close(slots[last.kernel.ref()], reference.velocity["w3"])
    close(slots[last.bias.ref()], reference.velocity["b3"])


def test_the_key_side_starts_as_a_copy_of_the_query_side():
  model = tiny_moco()
  query = parameters(model.encoder, model.projection_head)
  key = parameters(model.key_encoder, model.key_projection_head)
  for name, value in query.items():
    np.testing.assert_array_equal(key[name], value)


def test_the_optimizer_updates_only_the_query_side():
  model = tiny_moco()
  learned = {v.ref() for v in model.learned_variables}
  assert not learned & {v.ref() for v in model.key_encoder.weights}
  assert not learned & {v.ref() for v in model.queue.weights}


def test_the_key_encoder_normalizes_by_the_batch_in_training():
  model = tiny_moco()
  model.compile(optimizers.MomentumSgd(0.0, weight_decay=0.0))
  before = model.key_encoder.norm.moving_mean.numpy()
  images = tf.random.stateless_normal([BATCH, SIDE, SIDE, 3], [0, 1]) + 3
  train(model, batches.ImagePair(images, images))
  assert not np.allclose(model.key_encoder.norm.moving_mean, before)


def test_a_step_that_is_not_finite_changes_no_learned_weight():
  model = tiny_moco()
  model.compile(optimizers.MomentumSgd(0.1))
  model.optimizer.build(model.learned_variables)
  before = [v.numpy() for v in model.learned_variables]
  images = tf.fill([BATCH, SIDE, SIDE, 3], float("nan"))
  with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
    train(model, batches.ImagePair(images, images))
  for variable, value in zip(model.learned_variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)
  assert int(model.optimizer.iterations) == 0


def test_steps_compiled_by_xla_have_the_losses_of_others():
  losses = {}
  views = tf.random.stateless_normal([2, BATCH, SIDE, SIDE, 3], [0, 1])
  for compiled in (False, True):
    model = tiny_moco(warm=True)
    model.key_encoder.norm.groups = 1  # Its groups depend on the shuffle.
    model.compile(optimizers.MomentumSgd(0.1), jit_compile=compiled)
    pair = batches.ImagePair(*tf.unstack(views))
    losses[compiled] = [train(model, pair)["loss"] for _ in range(3)]
  close(losses[True], losses[False])


def test_the_first_step_with_a_warm_queue_has_the_loss_of_chance_alone():
  model = tiny_moco(warm=True)
  model.compile(optimizers.MomentumSgd(0.1, weight_decay=0.0))
  images = tf.random.stateless_normal([BATCH, SIDE, SIDE, 3], [0, 1])
  pair = batches.ImagePair(images, images)
  logs = train(model, pair)
  close(logs["loss"], model.chance_loss)
  assert logs["gradient_norm"] < 1e-6
  assert train(model, pair)["gradient_norm"] > 1e-3


def test_a_checkpoint_has_what_a_warm_queue_knows(tmp_path):
  model, restored = tiny_moco(warm=True), tiny_moco(warm=True)
  model.queue.enqueue(tf.ones([3, EMBEDDING]))
  path = tf.train.Checkpoint(**model.checkpoint_roots).write(f"{tmp_path}/a")
  tf.train.Checkpoint(**restored.checkpoint_roots).read(path)
  np.testing.assert_array_equal(restored.queue.written(), np.arange(QUEUE) < 3)


@pytest.mark.parametrize("setting", ["momentum", "temperature"])
def test_a_setting_out_of_range_is_named(setting):
  with pytest.raises(errors.UsageError, match=setting):
    tiny_moco(**{setting: -0.5})


def build(*, dtype=None, **kwargs):
  return moco.build_moco(
    base.Setup(num_images=100, batch_size=8, image_size=8, dtype=dtype),
    encoder=shallow_reference.resnet10,
    **kwargs,
  )


def test_the_queue_is_warm_on_request():
  assert build(queue_size=20).queue.written() is None
  assert not np.any(build(queue_size=20, warm_queue=True).queue.written())


def test_a_queue_as_long_as_the_dataset_is_refused():
  with pytest.raises(errors.UsageError, match="100 keys for 100.*QUEUE_SIZE"):
    build(queue_size=100)


def test_views_can_be_finished_inside_the_train_step():
  seen = []

  def finish(views, step):
    seen.append(views.query.dtype)
    scaled = [tf.cast(v, tf.float32) / 255 for v in views]
    return batches.ImagePair(*scaled)

  model = build()
  model.finish_views = finish
  model.compile(optimizers.MomentumSgd(0.1))
  images = tf.cast(tf.random.uniform([8, 8, 8, 3], 0, 256, tf.int32), tf.uint8)
  logs = train(model, batches.ImagePair(images, images))
  assert seen[0] == tf.uint8
  assert np.isfinite(logs["loss"])


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_the_loss_is_float32_under_any_precision(dtype):
  model = build(dtype=dtype)
  optimizer = optimizers.MomentumSgd(0.1)
  if dtype == "mixed_float16":
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
  model.compile(optimizer, run_eagerly=True)
  images = tf.random.normal([8, 8, 8, 3])
  contrast = model.contrast(batches.ImagePair(images, images), training=False)
  assert contrast.logits.dtype == contrast.loss.dtype == tf.float32
  before = model.learned_variables[0].numpy()
  logs = train(model, batches.ImagePair(images, images))
  assert np.isfinite(logs["gradient_norm"])
  assert not np.array_equal(model.learned_variables[0], before)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
