"""Tests of tf_ssl.input_pipeline.chunks."""

import sys

import pytest
import tensorflow as tf

from tf_ssl.input_pipeline import chunks

SUBSTITUTES = 1000


def run(bad, *, start=0, stop=12, chunk_size=4, attempts=3):
  """Loads example e as [e, index]; substitute a of it has index 1000 a + e."""
  bad = tf.constant(sorted(bad) or [-1], tf.int64)

  def index_of(examples, attempt):
    return examples + SUBSTITUTES * tf.cast(attempt, tf.int64)

  def load(first, places, indices):
    def one(place, index):
      usable = tf.debugging.Assert(tf.reduce_all(index != bad), ["bad", index])
      with tf.control_dependencies([usable]):
        return tf.stack([first + place, index])

    return tf.data.Dataset.from_tensor_slices((places, indices)).map(one)

  dataset = chunks.load_chunks(
    load,
    index_of,
    start=start,
    stop=stop,
    chunk_size=chunk_size,
    attempts=attempts,
  )
  return [
    (int(c.first), c.loaded.numpy().tolist(), c.failures.numpy().tolist())
    for c in dataset
  ]


def test_good_examples_come_in_order():
  found = run([])
  assert [first for first, _, _ in found] == [0, 4, 8]
  assert sum((loaded for _, loaded, _ in found), []) == [
    [e, e] for e in range(12)
  ]
  assert all(failures == [0] * 4 for _, _, failures in found)


@pytest.mark.parametrize("bad", [[5], [4], [7], [4, 5, 6, 7], [0, 11]])
def test_a_bad_example_is_replaced_and_moves_no_other(bad):
  loaded = sum((loaded for _, loaded, _ in run(bad)), [])
  expected = [[e, e + SUBSTITUTES * (e in bad)] for e in range(12)]
  assert loaded == expected


def test_bad_substitutes_are_replaced_too():
  first, loaded, failures = run([5, 1005])[1]
  assert (first, failures) == (4, [0, 2, 0, 0])
  assert loaded[1] == [5, 2005]


def test_after_the_last_attempt_there_are_zeros_and_a_count():
  _, loaded, failures = run([5, 1005, 2005])[1]
  assert failures == [0, 3, 0, 0]
  assert loaded == [[4, 4], [0, 0], [6, 6], [7, 7]]


def test_starting_later_gives_the_same_examples():
  assert run([9], start=4) == run([9])[1:]


def test_the_last_chunk_may_be_short():
  found = run([9], stop=10)
  assert found[2] == (8, [[8, 8], [9, 1009]], [0, 1])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
