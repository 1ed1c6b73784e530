import gzip
import pathlib
import struct
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import records, tfrecords


def _example(**features) -> bytes:
  example = tf.train.Example()
  for name, value in features.items():
    feature = example.features.feature[name.replace("__", "/")]
    if isinstance(value, bytes):
      feature.bytes_list.value.append(value)
    else:
      feature.int64_list.value.append(value)
  return example.SerializeToString()


def _write(path, *examples: bytes) -> str:
  path.parent.mkdir(parents=True, exist_ok=True)
  with tf.io.TFRecordWriter(str(path)) as writer:
    for example in examples:
      writer.write(example)
  return str(path)


def _images(first: int, count: int) -> list[bytes]:
  """Examples with images of different lengths, some of them long."""
  return [
    _example(image__encoded=b"x" * (i * 97), image__class__label=i % 5)
    for i in range(first, first + count)
  ]


def _payload(found: records.ImageRecords, index: int) -> bytes:
  with open(found.path(index), "rb") as file:
    file.seek(found.shards.offset[index])
    return file.read(found.shards.length[index])


def test_each_record_is_located(tmp_path):
  examples = _images(0, 12)
  files = [
    _write(tmp_path / "one.tfrecord", *examples[:7]),
    _write(tmp_path / "deep" / "two.tfrecord", *examples[7:]),
  ]
  found = tfrecords.read(files)
  assert [_payload(found, i) for i in range(12)] == examples
  np.testing.assert_array_equal(found.sizes, [len(e) for e in examples])
  np.testing.assert_array_equal(found.shards.file, [0] * 7 + [1] * 5)
  assert found.root == str(tmp_path)
  assert found.name(7) == "deep/two.tfrecord@12"
  assert found.labels is None
  assert found.shards.image_feature == "image/encoded"


def test_relative_paths_are_made_absolute(tmp_path, monkeypatch):
  _write(tmp_path / "one.tfrecord", *_images(0, 1))
  monkeypatch.chdir(tmp_path)
  assert tfrecords.read(["one.tfrecord"]).root == str(tmp_path)


def test_an_empty_file_among_others_is_ignored(tmp_path):
  files = [
    _write(tmp_path / "0.tfrecord"),
    _write(tmp_path / "1.tfrecord", *_images(0, 3)),
  ]
  np.testing.assert_array_equal(tfrecords.read(files).shards.file, [1, 1, 1])


def test_labels_are_read_on_request(tmp_path):
  files = [
    _write(tmp_path / "0.tfrecord", *_images(0, 300)),
    _write(tmp_path / "1.tfrecord", *_images(300, 3)),
  ]
  found = tfrecords.read(files, labeled=True)
  assert found.labels.dtype == np.int32
  np.testing.assert_array_equal(found.labels, np.arange(303) % 5)


def test_features_may_have_other_names(tmp_path):
  file = _write(tmp_path / "a.tfrecord", _example(jpeg=b"x", species=3))
  found = tfrecords.read(
    [file], labeled=True, image_feature="jpeg", label_feature="species"
  )
  np.testing.assert_array_equal(found.labels, [3])
  assert found.shards.image_feature == "jpeg"


@pytest.mark.parametrize("cut", [1, 4, 5, 40, -8])
def test_a_truncated_file_is_named(tmp_path, cut):
  path = tmp_path / "cut.tfrecord"
  _write(path, *_images(1, 3))
  whole, last = path.read_bytes(), 16 + len(_images(3, 1)[0])
  # From the end, or (-8) eight bytes into the last record's header.
  path.write_bytes(whole[:-cut] if cut > 0 else whole[: -last - cut])
  with pytest.raises(errors.UsageError, match="cut.tfrecord' is truncated"):
    tfrecords.read([str(path)])


def test_a_wrong_length_inside_the_file_is_detected(tmp_path):
  path = tmp_path / "wrong.tfrecord"
  _write(path, *_images(1, 2))
  content = bytearray(path.read_bytes())
  # The length of both records together.
  content[:8] = struct.pack("<Q", len(content) - 16)
  path.write_bytes(content)
  with pytest.raises(
    errors.UsageError, match="wrong.*at byte 0 has a wrong le"
  ):
    tfrecords.read([str(path)])


@pytest.mark.parametrize("content", [b"short", b"no records, but text" * 9])
def test_a_file_of_another_format_is_named(tmp_path, content):
  (tmp_path / "a.tfrecord").write_bytes(content)
  with pytest.raises(
    errors.UsageError, match="a.tfrecord' is .* not a TFRecord"
  ):
    tfrecords.read([str(tmp_path / "a.tfrecord")])


def test_a_compressed_file_is_named(tmp_path):
  path = tmp_path / "a.tfrecord.gz"
  path.write_bytes(gzip.compress(b"some content"))
  with pytest.raises(errors.UsageError, match="a.tfrecord.gz' is compressed"):
    tfrecords.read([str(path)])


def test_a_file_that_cannot_be_read_is_named(tmp_path):
  with pytest.raises(errors.UsageError, match="cannot read.*'/.*gone.*No such"):
    tfrecords.read([str(tmp_path / "gone")])


def test_no_record_at_all_is_refused(tmp_path):
  with pytest.raises(errors.UsageError, match="no record in .*a.tfrecord"):
    tfrecords.read([_write(tmp_path / "a.tfrecord")])


def test_records_that_are_no_examples_are_refused(tmp_path):
  file = _write(tmp_path / "a.tfrecord", b"\xff\xff\xff")
  with pytest.raises(errors.UsageError, match="holds no tf.train.Example"):
    tfrecords.read([file])


@pytest.mark.parametrize("example", [{"image": b"x"}, {"image__encoded": 3}])
def test_examples_without_an_image_are_refused(tmp_path, example):
  file = _write(tmp_path / "a.tfrecord", _example(**example, id=1))
  with pytest.raises(
    errors.UsageError, match="features id, image.*; expected .*'image/encoded'"
  ):
    tfrecords.read([file])


@pytest.mark.parametrize("label", [{}, {"image__class__label": -1}])
def test_an_example_without_a_label_is_named(tmp_path, label):
  bad = _example(image__encoded=b"x", **label)
  file = _write(tmp_path / "a.tfrecord", *_images(0, 1), bad)
  with pytest.raises(errors.UsageError, match=r"a.tfrecord@\d+ in .* no label"):
    tfrecords.read([file], labeled=True)


@pytest.mark.parametrize("labeled", [False, True])
@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_record_costs_only_itself(tmp_path, labeled, place):
  examples = [
    _example(image__encoded=b"x" * 50, image__class__label=i) for i in range(3)
  ]
  examples[place] = b"\x0a\xff\xee\xeb" + examples[place][4:]
  file = _write(tmp_path / "a.tfrecord", *examples)
  found = tfrecords.read([file], labeled=labeled)
  assert found.num_images == 3
  if labeled:
    expected = [-1 if i == place else i for i in range(3)]
    np.testing.assert_array_equal(found.labels, expected)


def test_records_that_are_all_damaged_are_refused(tmp_path):
  file = _write(tmp_path / "a.tfrecord", *[b"\x0a\xff\xee\xeb"] * 20)
  with pytest.raises(errors.UsageError, match="tf.train.Example"):
    tfrecords.read([file], labeled=True)


def test_labels_of_another_type_are_refused(tmp_path):
  bad = _example(image__encoded=b"x", image__class__label=b"cat")
  file = _write(tmp_path / "a.tfrecord", bad)
  with pytest.raises(errors.UsageError, match="cannot read labels.*an integer"):
    tfrecords.read([file], labeled=True)


def test_files_are_found_by_name_glob_and_folder(tmp_path):
  names = ["a.tfrecord", "b.tfrecord-00000-of-00002", "c/d.tfrecords"]
  for name in [*names, ".hidden.tfrecord", "e.txt"]:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  paths = [str(tmp_path / name) for name in names]
  assert tfrecords.find(str(tmp_path)) == paths
  assert tfrecords.find(f"{tmp_path}/*.tfrecord*") == paths[:2]
  assert tfrecords.find(paths[1]) == paths[1:2]
  assert tfrecords.find(str(tmp_path / "absent")) == []


def test_a_path_may_have_any_bytes(tmp_path):
  file = pathlib.Path(_write(tmp_path / "a.tfrecord", *_images(0, 3)))
  moved = file.rename(tmp_path / "\udcff\n.tfrecord")
  found = tfrecords.read([str(moved)], labeled=True)
  assert found.labels.tolist() == [0, 1, 2]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
