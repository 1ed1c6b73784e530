"""Tests of tf_ssl.memory.memory_bank."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.memory import memory_bank


@pytest.mark.parametrize(
  "dtype, tolerance", [("float32", 1e-6), ("float16", 2e-3)]
)
def test_it_starts_with_rows_of_unit_length_that_the_seed_decides(
  dtype, tolerance
):
  bank = memory_bank.MemoryBank(50, 16, dtype=dtype, seed=3)
  assert bank.embeddings.dtype == dtype
  rows = bank.embeddings.numpy().astype("d")
  np.testing.assert_allclose((rows**2).sum(1), 1, atol=tolerance)
  again = memory_bank.MemoryBank(50, 16, dtype=dtype, seed=3)
  np.testing.assert_array_equal(bank.embeddings, again.embeddings)
  other = memory_bank.MemoryBank(50, 16, dtype=dtype, seed=4)
  assert not np.allclose(bank.embeddings, other.embeddings)


def test_rows_are_uniform_before_they_are_scaled():
  rows = memory_bank.MemoryBank(4000, 8).embeddings.numpy()
  ratio = rows / np.abs(rows).max(axis=1, keepdims=True)
  inner = np.abs(ratio[np.abs(ratio) < 1])
  assert abs(np.median(inner) - 0.5) < 0.02  # a normal's would be nearer 0.4


@pytest.mark.parametrize("in_graph", [False, True])
def test_writing_mixes_old_and_new_and_leaves_the_others(in_graph):
  bank = memory_bank.MemoryBank(5, 4)
  before = bank.embeddings.numpy().astype("d")
  new = np.eye(4, dtype="f")[:2]

  def write(index, rows):
    bank.write(index, rows, momentum=0.25)

  write = tf.function(write) if in_graph else write
  write(tf.constant([3, 1], tf.int64), tf.constant(new))
  expected = before.copy()
  for row, value in zip((3, 1), new, strict=True):
    mixed = 0.25 * before[row] + 0.75 * value
    expected[row] = mixed / np.linalg.norm(mixed)
  np.testing.assert_allclose(bank.embeddings, expected, atol=1e-6)


def test_of_duplicates_in_a_batch_the_last_is_written():
  bank = memory_bank.MemoryBank(4, 3)
  index = tf.constant([2, 0, 2], tf.int64)
  bank.write(index, tf.eye(3), momentum=0.0)
  np.testing.assert_allclose(bank.embeddings[2], [0, 0, 1], atol=1e-6)
  np.testing.assert_allclose(bank.embeddings[0], [0, 1, 0], atol=1e-6)


def test_negatives_are_uniform_over_other_images():
  index = tf.constant([0, 3, 9], tf.int64)
  drawn = memory_bank.draw_negatives(
    index, tf.range(3, dtype=tf.int64), count=9000, num_images=10, seed=1
  ).numpy()
  for own, row in zip((0, 3, 9), drawn, strict=True):
    counts = np.bincount(row, minlength=10)
    assert counts[own] == 0
    others = np.delete(counts, own)
    assert ((others - 1000) ** 2 / 1000).sum() < 26  # chi², 8 degrees, p 0.001


def test_draws_depend_only_on_example_and_seed():
  def drawn(examples, seed):
    return memory_bank.draw_negatives(
      tf.zeros([len(examples)], tf.int64),
      tf.constant(examples, tf.int64),
      count=20,
      num_images=1000,
      seed=seed,
    ).numpy()

  both = drawn([7, 8], 1)
  np.testing.assert_array_equal(both[1], drawn([8], 1)[0])
  assert not np.array_equal(both[0], both[1])
  assert not np.array_equal(drawn([7], 1), drawn([7], 2))


@pytest.mark.parametrize("working_bytes", [1, 1 << 20])
def test_similarities_and_their_gradient_equal_the_plain_computation(
  monkeypatch, working_bytes
):
  monkeypatch.setattr(memory_bank, "_WORKING_BYTES", working_bytes)
  bank = memory_bank.MemoryBank(30, 4, seed=2)
  index = tf.constant([4, 8, 2], tf.int64)
  examples = tf.constant([10, 11, 12], tf.int64)
  queries = tf.random.stateless_normal([3, 2, 4], [0, 1])
  drawn = memory_bank.draw_negatives(
    index, examples, count=6, num_images=30, seed=5
  ).numpy()
  rows = bank.embeddings.numpy()[drawn]  # [3, 6, 4]

  @tf.function
  def ours(queries):
    with tf.GradientTape() as tape:
      tape.watch(queries)
      found = bank.negative_similarities(
        queries, index, examples, count=6, seed=5
      )
      loss = tf.reduce_sum(found**2)
    return found, tape.gradient(loss, queries)

  found, gradient = ours(queries)
  expected = np.einsum("bqe,bme->bqm", queries, rows)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  slope = np.einsum("bqm,bme->bqe", 2 * expected, rows)
  np.testing.assert_allclose(gradient, slope, atol=1e-5)


@pytest.mark.parametrize(
  "arguments, message",
  [((1, 4), "1 images"), ((9, 4, "int8"), "'int8'.*float32.*bank_dtype")],
)
def test_invalid_arguments_are_refused(arguments, message):
  num_images, size, dtype = (*arguments, "float32")[:3]
  with pytest.raises(errors.UsageError, match=message):
    memory_bank.MemoryBank(num_images, size, dtype=dtype)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
