"""Tests of tf_ssl.input_pipeline.order."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.input_pipeline import order


def indices(start, stop, num_images=10, seed=0):
  examples = tf.range(start, stop, dtype=tf.int64)
  return (
    order.image_index(examples, seed=seed, num_images=num_images)
    .numpy()
    .tolist()
  )


@pytest.mark.parametrize("num_images", [1, 2, 10, 1000])
def test_every_image_appears_once_per_epoch(num_images):
  n = num_images
  for epoch in range(3):
    found = indices(epoch * n, (epoch + 1) * n, n)
    assert sorted(found) == list(range(n))


def test_orders_differ_by_epoch_and_seed():
  orders = [
    indices(0, 50, 50),
    indices(50, 100, 50),
    indices(0, 50, 50, seed=1),
  ]
  assert len({tuple(o) for o in orders} | {tuple(range(50))}) == 4


def test_an_example_does_not_depend_on_the_start():
  whole = indices(0, 30)
  assert indices(13, 21) == whole[13:21]
  one = order.image_index(tf.constant(17, tf.int64), seed=0, num_images=10)
  assert int(one) == whole[17]


def test_substitutes_are_drawn_from_all_images():
  draw = [
    int(
      order.image_index(
        tf.constant(e, tf.int64), tf.constant(a, tf.int64), seed=0, num_images=6
      )
    )
    for e in range(40)
    for a in (1, 2)
  ]
  assert set(draw) == set(range(6))
  first = order.image_index(
    tf.constant(3, tf.int64), tf.constant(0, tf.int64), seed=0, num_images=6
  )
  assert int(first) == indices(3, 4, 6)[0]


def test_seeds_differ_by_step_view_and_purpose():
  seeds = [
    tuple(order.view_seed(seed, tf.constant(step), view).numpy())
    for seed in (0, 1)
    for step in (0, 1)
    for view in (0, 1)
  ]
  assert len(set(seeds)) == 8
  assert order.view_seed(0, tf.constant(5, tf.int64), 0).dtype == tf.int32
  crops = [
    tuple(order.crop_seed(0, tf.constant(i, tf.int64)).numpy()) for i in (0, 8)
  ]
  assert len({s[0] for s in seeds} | {c[0] for c in crops}) == 5
  assert crops[0] != crops[1]


def test_view_seed_is_the_same_in_a_graph():
  graph = tf.function(lambda step: order.view_seed(7, step, 1))
  step = tf.constant(123)
  np.testing.assert_array_equal(graph(step), order.view_seed(7, step, 1))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
