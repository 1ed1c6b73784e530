"""The key queue: order of overwriting, gradients, default length."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.memory import key_queue


def rows(first, count):
  """Rows of one number each, which identifies them."""
  return tf.reshape(tf.range(first, first + count, dtype=tf.float32), [-1, 1])


def test_it_starts_with_rows_of_unit_length_that_the_seed_decides():
  queue = key_queue.KeyQueue(6, 4, seed=3)
  np.testing.assert_allclose(np.linalg.norm(queue.keys, axis=1), 1, rtol=1e-5)
  np.testing.assert_array_equal(
    queue.keys, key_queue.KeyQueue(6, 4, seed=3).keys
  )
  assert not np.allclose(queue.keys, key_queue.KeyQueue(6, 4, seed=4).keys)


@pytest.mark.parametrize("in_graph", [False, True])
def test_the_oldest_keys_are_overwritten_first_and_writing_wraps(in_graph):
  queue = key_queue.KeyQueue(5, 1)
  enqueue = tf.function(queue.enqueue) if in_graph else queue.enqueue
  for first in (10, 12, 14):
    enqueue(rows(first, 2))
  np.testing.assert_array_equal(queue.keys[:, 0], [15, 11, 12, 13, 14])
  assert int(queue.head) == 1


def test_a_batch_larger_than_the_queue_leaves_its_last_keys():
  queue = key_queue.KeyQueue(3, 1)
  queue.enqueue(rows(0, 2))
  queue.enqueue(rows(10, 7))
  assert sorted(queue.keys[:, 0].numpy()) == [14, 15, 16]
  queue.enqueue(rows(20, 1))  # Overwrites the oldest, 14.
  assert sorted(queue.keys[:, 0].numpy()) == [15, 16, 20]


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_warm_queue_knows_which_rows_are_keys(in_graph):
  queue = key_queue.KeyQueue(5, 1, warm=True)
  enqueue = tf.function(queue.enqueue) if in_graph else queue.enqueue
  assert not np.any(queue.written())
  for first, expected in ((10, 2), (12, 4), (14, 5), (16, 5)):
    enqueue(rows(first, 2))
    np.testing.assert_array_equal(queue.written(), np.arange(5) < expected)
    assert np.all(queue.keys[:expected, 0] >= 10)
  larger = key_queue.KeyQueue(3, 1, warm=True)
  larger.enqueue(rows(10, 7))
  assert np.all(larger.written()) and np.all(larger.keys >= 10)


def test_a_queue_is_not_warm_unless_asked_and_has_the_same_variables():
  queue = key_queue.KeyQueue(5, 1)
  assert queue.written() is None
  assert {v.name for v in queue.variables} == {"keys:0", "head:0"}


def test_no_gradient_reaches_the_queue():
  queue = key_queue.KeyQueue(3, 1)
  assert not queue.trainable_variables
  query = tf.Variable([[0.5]])
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.matmul(query, queue.keys, transpose_b=True))
  of_query, of_keys = tape.gradient(loss, [query, queue.keys])
  np.testing.assert_allclose(of_query, [[tf.reduce_sum(queue.keys)]], rtol=1e-5)
  assert of_keys is None


def test_an_empty_queue_is_refused():
  with pytest.raises(errors.UsageError, match="length 0.*QUEUE_SIZE"):
    key_queue.KeyQueue(0, 4)


@pytest.mark.parametrize(
  ("num_images", "batch_size", "length"),
  [
    (1_281_167, 256, 65_536),  # ImageNet, as in MoCo
    (10_000, 128, 4_096),
    (1_500, 64, 512),
    (100, 64, 64),  # at least one batch
    (10, 10, 9),  # always below the number of images
    (2, 2, 1),
  ],
)
def test_the_default_length_is_a_power_of_two_below_half_the_images(
  num_images, batch_size, length
):
  assert key_queue.default_length(num_images, batch_size) == length


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
