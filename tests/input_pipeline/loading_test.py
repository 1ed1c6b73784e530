"""Tests of tf_ssl.input_pipeline.loading."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.datasets import image_folder, tfrecords
from tf_ssl.input_pipeline import loading


def read_all(records, indices):
  source = loading.Source(records)
  indices = tf.constant(indices, tf.int64)
  dataset = tf.data.Dataset.from_tensor_slices(source.locate(indices))
  return [x.numpy() for x in dataset.map(source.read)]


def test_files_are_read_by_index_whatever_their_names(tmp_path):
  contents = {"a b.jpg": b"one", "deep/ü.jpg": b"two", "z.jpg": b""}
  for name, content in contents.items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
  records = image_folder.read(str(tmp_path))
  expected = [contents[records.name(i)] for i in (2, 0, 1, 1)]
  assert read_all(records, [2, 0, 1, 1]) == expected


def test_records_are_read_in_any_order(tmp_path):
  contents = [bytes([65 + i]) * (7 * i + 1) for i in range(6)]
  for shard in range(2):
    path = str(tmp_path / f"data.tfrecord-{shard}")
    with tf.io.TFRecordWriter(path) as writer:
      for content in contents[3 * shard : 3 * shard + 3]:
        example = tf.train.Example()
        feature = example.features.feature["image/encoded"]
        feature.bytes_list.value.append(content)
        writer.write(example.SerializeToString())
  records = tfrecords.read(sorted(str(p) for p in tmp_path.iterdir()))
  order = [5, 0, 3, 2, 2, 4, 1]
  assert read_all(records, order) == [contents[i] for i in order]


def test_an_unreadable_file_fails_in_the_graph(tmp_path):
  (tmp_path / "a.jpg").write_bytes(b"1")
  records = image_folder.read(str(tmp_path))
  (tmp_path / "a.jpg").unlink()
  with pytest.raises(tf.errors.NotFoundError):
    read_all(records, [0])


def test_regions_are_boxes_clipped_to_their_image():
  boxes = [[-1, -1, -1, -1], [2, 3, 7, 9], [2, 3, 700, 900]]
  sides = [[20, 30], [20, 30], [10, 40]]
  found = loading.regions(tf.constant(boxes), tf.constant(sides))
  expected = [[0, 0, 20, 30], [3, 2, 6, 5], [3, 2, 7, 38]]
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
  "box, sides",
  [
    ([-1] * 4, [1, 30]),
    ([-1] * 4, [30, 1]),
    ([5, 5, 9, 9], [6, 9]),
    ([50, 5, 90, 9], [20, 20]),
  ],
)
def test_regions_below_two_pixels_fail(box, sides):
  with pytest.raises(tf.errors.InvalidArgumentError, match="2 px"):
    loading.regions(tf.constant([box]), tf.constant([sides]))


SUBSTITUTES = 1000


def load_all(bad, *, start=0, stop=12, chunk_size=4, attempts=3):
  """Loads example e as [e, index]; its substitute a has index 1000 a + e."""
  bad = tf.constant(sorted(bad) or [-1], tf.int64)

  def index_of(examples, attempt):
    return examples + SUBSTITUTES * tf.cast(attempt, tf.int64)

  def load(first, places, indices):
    def one(place, index):
      usable = tf.debugging.Assert(tf.reduce_all(index != bad), ["bad", index])
      with tf.control_dependencies([usable]):
        return tf.stack([first + place, index])

    return tf.data.Dataset.from_tensor_slices((places, indices)).map(one)

  dataset = loading.load_chunks(
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


def test_good_examples_keep_their_order():
  found = load_all([])
  assert [first for first, _, _ in found] == [0, 4, 8]
  assert sum((loaded for _, loaded, _ in found), []) == [
    [e, e] for e in range(12)
  ]
  assert all(failures == [0] * 4 for _, _, failures in found)


@pytest.mark.parametrize("bad", [[5], [4], [7], [4, 5, 6, 7], [0, 11]])
def test_a_bad_example_is_replaced_and_shifts_no_other(bad):
  loaded = sum((loaded for _, loaded, _ in load_all(bad)), [])
  expected = [[e, e + SUBSTITUTES * (e in bad)] for e in range(12)]
  assert loaded == expected


def test_bad_substitutes_are_replaced_too():
  first, loaded, failures = load_all([5, 1005])[1]
  assert (first, failures) == (4, [0, 2, 0, 0])
  assert loaded[1] == [5, 2005]


def test_after_the_last_attempt_an_example_is_zeros():
  _, loaded, failures = load_all([5, 1005, 2005])[1]
  assert failures == [0, 3, 0, 0]
  assert loaded == [[4, 4], [0, 0], [6, 6], [7, 7]]


def test_a_later_start_gives_the_same_examples():
  assert load_all([9], start=4) == load_all([9])[1:]


def test_the_last_chunk_may_be_short():
  found = load_all([9], stop=10)
  assert found[2] == (8, [[8, 8], [9, 1009]], [0, 1])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
