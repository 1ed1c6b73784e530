"""Every method in bfloat16 beside the same method in float32."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches as types
from tf_ssl.encoders import batch_norm, convolution
from tf_ssl.methods import (
  base,
  hybrid,
  moco,
  npid,
  pirl,
  region_track_moco,
  simclr,
  supervised,
  supervised_contrastive,
  supervised_metric,
)

BATCH, SIZE, CLASSES, WIDTH = 16, 8, 3, 16


class Encoder(tf.keras.Model):
  """Convolution, batch norm in groups, ReLU, mean: [B, H, W, 3] -> [B, 16]."""

  feature_size = WIDTH

  def __init__(self, dtype, name):
    super().__init__(dtype=dtype, name=name)
    self.conv = convolution.Convolution(WIDTH, 3, dtype=dtype)
    self.norm = batch_norm.split(groups=2, dtype=dtype)

  def call(self, images, training=None):
    maps = self.conv(tf.cast(images, self.compute_dtype))
    maps = tf.nn.relu(self.norm(maps, training=training))
    return tf.reduce_mean(tf.cast(maps, tf.float32), axis=[1, 2])


def _pairwise(labels, embeddings):
  """A loss of all pairs: classes far apart, [2B]."""
  same = tf.cast(labels[:, None] == labels, tf.float32)
  similarity = tf.matmul(embeddings, embeddings, transpose_b=True)
  return tf.reduce_mean((similarity - same) ** 2, axis=1)


MOCO = functools.partial(moco.build_moco, encoder=Encoder, queue_size=24)
METHODS = {
  "moco": MOCO,
  "symmetric_moco": functools.partial(MOCO, symmetric=True),
  "region_track_moco": functools.partial(
    region_track_moco.build_region_track_moco, moco=MOCO
  ),
  "npid": functools.partial(npid.build_npid, encoder=Encoder, num_negatives=16),
  "pirl": functools.partial(pirl.build_pirl, encoder=Encoder, num_negatives=16),
  "simclr": functools.partial(simclr.build_simclr, encoder=Encoder),
  "supervised": functools.partial(supervised.build_supervised, encoder=Encoder),
  "supervised_contrastive": functools.partial(
    supervised_contrastive.build_supervised_contrastive, encoder=Encoder
  ),
  "supervised_metric": functools.partial(
    supervised_metric.build_supervised_metric, encoder=Encoder, loss=_pairwise
  ),
  "hybrid": functools.partial(hybrid.build_hybrid, contrastive=MOCO),
}


def _build(method, dtype):
  tf.keras.utils.set_random_seed(3)
  model = METHODS[method](
    base.Setup(
      num_images=40,
      num_classes=CLASSES,
      batch_size=BATCH,
      image_size=SIZE,
      seed=5,
      dtype=dtype,
    )
  )
  model.compile(tf.keras.optimizers.Adam(0.01))  # At any scale of the loss.
  model.optimizer.build(model.learned_variables)
  return model


def _batch(view_type):
  rng = np.random.default_rng(0)
  shapes = {"patches": [BATCH, 9, 6, 6, 3]}
  fields = {
    name: rng.normal(size=shapes.get(name, [BATCH, SIZE, SIZE, 3])).astype("f")
    for name in types.view_fields(view_type)
  }
  if "index" in view_type._fields:
    fields["index"] = np.arange(BATCH)
  if types.is_labeled(view_type):
    fields["label"] = (np.arange(BATCH) % CLASSES).astype("i")
  return view_type(**{name: tf.constant(v) for name, v in fields.items()})


def _rounded(value):
  """Whether all values are ones that bfloat16 holds."""
  return np.all(tf.cast(tf.cast(value, tf.bfloat16), tf.float32) == value)


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_ends_before_the_features(method):
  exact, fast = (_build(method, d) for d in ("float32", "mixed_bfloat16"))
  for mine, other in zip(fast.variables, exact.variables, strict=True):
    assert mine.dtype == other.dtype
    np.testing.assert_array_equal(mine, other)
  batch = _batch(fast.view_type)
  assert fast.encoder.compute_dtype == "bfloat16"

  with tf.GradientTape() as tape:
    found = fast.contrast(batch, training=True)
  gradients = tape.gradient(found.loss, fast.learned_variables)
  expected = exact.contrast(batch, training=True)

  remembered = [x for x in tf.nest.flatten(found.to_remember) if x is not None]
  floats = [found.loss, found.logits, found.features, *found.metrics.values()]
  floats += [x for x in remembered if x.dtype.is_floating]
  assert {x.dtype for x in floats + gradients} == {tf.float32}
  for x in (found.logits, found.features):  # Not merely cast afterwards.
    assert not _rounded(x)
  np.testing.assert_allclose(found.loss, expected.loss, rtol=0.01)
  assert np.any(found.features != expected.features)


@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_in_bfloat16_have_the_losses_of_float32(method):
  exact, fast = (
    _losses(_build(method, d)) for d in ("float32", "mixed_bfloat16")
  )
  assert abs(exact[-1] - exact[0]) > 0.05 * exact[0]
  np.testing.assert_allclose(fast, exact, atol=0.03 * exact[0])


def _losses(model):
  """The losses of ten steps on one batch, [10]."""
  batch, found = _batch(model.view_type), []
  step = tf.function(model.train_step)
  for _ in range(10):
    found.append(step(batch)["loss"])
  return np.array(found)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
