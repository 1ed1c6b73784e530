import hashlib
import sys

import numpy as np
import pytest

from tf_ssl.datasets import records


def _files(*names: str, sizes=None) -> records.ImageRecords:
  sizes = np.array(sizes or range(1, len(names) + 1), np.int64)
  return records.ImageRecords("/data", np.array(names, "S"), sizes)


def _shards() -> records.ImageRecords:
  return records.ImageRecords(
    "/data",
    np.array([b"x/one", b"two"]),
    np.array([5, 6, 7], np.int64),
    shards=records.Shards(
      np.array([0, 0, 1], np.int32),
      np.array([12, 33, 12], np.int64),
      np.array([5, 6, 7], np.int64),
    ),
  )


def test_images_in_single_files_are_named_after_the_files():
  found = _files("a/b.jpg", "c.jpg")
  assert found.num_images == 2
  assert found.name(1) == "c.jpg"
  assert found.path(0) == "/data/a/b.jpg"


def test_images_in_shards_are_named_by_file_and_offset():
  found = _shards()
  assert found.num_images == 3
  assert [found.name(i) for i in range(3)] == ["x/one@12", "x/one@33", "two@12"]
  assert [found.path(i) for i in (1, 2)] == ["/data/x/one", "/data/two"]


def test_the_digest_hashes_the_sorted_names_with_the_sizes():
  digest = records.digest(_files("b.jpg", "a.jpg", sizes=[30, 4]))
  expected = hashlib.sha256(b"a.jpg\x004\nb.jpg\x0030\n").hexdigest()
  assert digest == {"count": 2, "bytes": 34, "sha256": expected}


def test_the_digest_depends_on_neither_order_nor_root():
  one = _files("a", "b", sizes=[1, 2])
  other = _files("b", "a", sizes=[2, 1])._replace(root="/elsewhere")
  assert records.digest(one) == records.digest(other)


@pytest.mark.parametrize(
  "changed",
  [
    _files("a", "c", sizes=[1, 2]),
    _files("a", "b", sizes=[2, 1]),
    _files("a", sizes=[3]),
  ],
)
def test_the_digest_depends_on_each_name_and_size(changed):
  original = records.digest(_files("a", "b", sizes=[1, 2]))
  assert records.digest(changed)["sha256"] != original["sha256"]


def test_the_digest_distinguishes_images_of_one_shard():
  assert records.digest(_shards())["count"] == 3
  moved = _shards()._replace(
    shards=_shards().shards._replace(offset=np.array([12, 34, 12], np.int64))
  )
  assert records.digest(moved) != records.digest(_shards())


def test_keep_labels_keeps_a_fraction_of_each_class_for_each_seed():
  labels = np.repeat(np.int32([0, 1, 2, -1]), [100, 50, 3, 4])
  kept = records.keep_labels(labels, 0.1, seed=1)
  assert np.bincount(kept[kept >= 0]).tolist() == [10, 5, 1]
  assert (kept[kept >= 0] == labels[kept >= 0]).all()
  again = records.keep_labels(labels, 0.1, seed=1)
  np.testing.assert_array_equal(kept, again)
  other = records.keep_labels(labels, 0.1, seed=2)
  assert not np.array_equal(kept, other)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
