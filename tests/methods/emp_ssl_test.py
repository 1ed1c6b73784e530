"""Tests of tf_ssl.methods.emp_ssl."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.losses import coding_rate
from tf_ssl.methods import base, emp_ssl
from tf_ssl.ops import optimizers

BATCH, CROPS = 6, 4
ENCODER = shallow_reference.resnet10
HEAD = functools.partial(heads.BatchNormMlpHead, embedding_size=16)
SETUP = base.Setup(num_images=50, batch_size=BATCH, image_size=8)


def build(**options):
  tf.keras.utils.set_random_seed(0)
  options = {"encoder": ENCODER, "projection_head": HEAD, **options}
  return emp_ssl.build_emp_ssl(SETUP, **options)


def crops_of(count=CROPS):
  shape = [BATCH, count, 8, 8, 3]
  return batches.Crops(tf.random.stateless_normal(shape, [1, 0]))


def test_the_loss_is_the_weighted_cosine_and_the_mean_rate_of_the_crops():
  model = build(invariance_weight=3.0, squared_precision=0.4)
  views = crops_of()
  found = model.contrast(views, training=True)
  flat = tf.reshape(views.crops, [-1, 8, 8, 3])
  rows = model.embed(flat, training=True).numpy().reshape(BATCH, CROPS, -1)
  rows = rows.astype("d")
  cosines = [
    row @ image.mean(0) / np.linalg.norm(image.mean(0))
    for image in rows
    for row in image
  ]
  rates = []
  for v in range(CROPS):
    z = rows[:, v].T  # [E, B], as in the paper.
    matrix = np.eye(16) + 16 / (BATCH * 0.4) * z @ z.T
    rates.append(0.5 * np.linalg.slogdet(matrix)[1])
  expected = -3.0 * np.mean(cosines) - np.mean(rates)
  np.testing.assert_allclose(found.loss, expected, rtol=1e-4)
  np.testing.assert_allclose(
    found.metrics["similarity"], np.mean(cosines), rtol=1e-4
  )
  np.testing.assert_allclose(
    found.metrics["coding_rate"], np.mean(rates), rtol=1e-4
  )


def test_logits_compare_first_crops_with_the_means_of_images():
  model = build()
  views = crops_of()
  logits = model.contrast(views, training=False).logits.numpy()
  flat = tf.reshape(views.crops, [-1, 8, 8, 3])
  rows = model.embed(flat, training=False).numpy().reshape(BATCH, CROPS, -1)
  means = rows.mean(axis=1)
  means /= np.linalg.norm(means, axis=1, keepdims=True)
  similarity = rows[:, 0] @ means.T
  assert logits.shape == (BATCH, 1 + BATCH)
  np.testing.assert_allclose(logits[:, 0], np.diag(similarity), atol=1e-5)
  np.fill_diagonal(similarity, -1)
  np.testing.assert_allclose(logits[:, 1:], similarity, atol=1e-5)


def test_identical_crops_leave_only_the_rate():
  model = build(invariance_weight=3.0)
  crops = tf.repeat(crops_of(1).crops, CROPS, axis=1)
  found = model.contrast(batches.Crops(crops), training=False)
  rate = coding_rate.total_coding_rate(model.embed(crops[:, 0]))
  np.testing.assert_allclose(found.loss, -3.0 - rate, rtol=1e-5)


def test_training_lowers_the_loss():
  model = build()
  model.compile(optimizers.MomentumSgd(1e-3))
  dataset = tf.data.Dataset.from_tensors(crops_of()).repeat(20)
  before = float(model.contrast(crops_of(), training=True).loss)
  model.fit(dataset, verbose=0)
  assert float(model.contrast(crops_of(), training=True).loss) < before - 1


@pytest.mark.parametrize(
  "options", [{"invariance_weight": 0.0}, {"squared_precision": -1.0}]
)
def test_arguments_out_of_range_are_refused(options):
  with pytest.raises(errors.UsageError, match="expected both above 0"):
    build(**options)


def test_a_single_crop_is_refused():
  with pytest.raises(errors.UsageError, match="got 1 crops.*CROPS"):
    build().contrast(crops_of(1), training=False)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
