import io
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_ssl import errors
from tf_ssl.datasets import tfds_images

_COUNTS = {"train": 7, "test": 4}


def _pixels(value: int) -> np.ndarray:
  return np.full([2, 3, 3], value, np.uint8)


def _prepare(data_dir, name="tiny", image="image") -> None:
  """Image i of train has value i, of test 100 + i; labels alternate."""
  features = tfds.features.FeaturesDict(
    {
      image: tfds.features.Image(shape=[None, None, 3], encoding_format="png"),
      "label": tfds.features.ClassLabel(names=["zebra", "ape"]),
    }
  )
  tfds.dataset_builders.store_as_tfds_dataset(
    name=name,
    version="1.2.3",
    features=features,
    split_datasets={
      split: [
        (i, {image: _pixels(first + i), "label": i % 2}) for i in range(count)
      ]
      for first, (split, count) in zip((0, 100), _COUNTS.items(), strict=True)
    },
    data_dir=str(data_dir),
    disable_shuffling=True,
  )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tfds")
  _prepare(folder)
  _prepare(folder, "pictures", "picture")
  return str(folder)


def _values(found) -> list[int]:
  """Reads each image at its recorded location."""
  values, shards = [], found.shards
  for i in range(found.num_images):
    with open(found.path(i), "rb") as file:
      file.seek(shards.offset[i])
      serialized = file.read(shards.length[i])
    features = tf.train.Example.FromString(serialized).features.feature
    encoded = features[shards.image_feature].bytes_list.value[0]
    values.append(int(np.array(PIL.Image.open(io.BytesIO(encoded)))[0, 0, 0]))
  return values


@pytest.mark.parametrize(
  "source, expected",
  [
    ("tfds:tiny", list(range(7))),
    ("tfds:tiny:train", list(range(7))),
    ("tfds:tiny:test", list(range(100, 104))),
    ("tfds:tiny:1.2.3", list(range(7))),
    ("tfds:tiny:1.*.*:test", list(range(100, 104))),
    ("tfds:tiny:train[2:5]", [2, 3, 4]),
    ("tfds:tiny:test[:50%]", [100, 101]),
    ("tfds:tiny:train[5:]+test[3:]", [5, 6, 103]),
  ],
)
def test_a_source_names_dataset_and_split(data_dir, source, expected):
  found = tfds_images.read(source, data_dir=data_dir)
  assert _values(found) == expected
  assert found.labels is None and found.class_names == ()


def test_labels_have_class_names(data_dir):
  found = tfds_images.read(
    "tfds:tiny:train[1:4]", labeled=True, data_dir=data_dir
  )
  np.testing.assert_array_equal(found.labels, [1, 0, 1])
  assert found.class_names == ("zebra", "ape")


def test_datasets_are_found_in_the_default_folder_of_tfds(
  data_dir, monkeypatch
):
  # TFDS reads TFDS_DATA_DIR when it is imported.
  monkeypatch.setattr(tfds.core.constants, "DATA_DIR", data_dir)
  assert tfds_images.read("tfds:tiny").num_images == 7


def test_an_unprepared_dataset_is_not_downloaded(tmp_path, monkeypatch):
  def refuse(*_, **__):
    raise AssertionError("a download")

  monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", refuse)
  with pytest.raises(
    errors.UsageError,
    match=r"not prepared 'mnist' in .*TFDS_DATA_DIR.*tfds.builder\(.mnist., "
    rf"data_dir=.{tmp_path}.\).download_and_prepare\(\)",
  ):
    tfds_images.read("tfds:mnist", data_dir=str(tmp_path))


@pytest.mark.parametrize("split", ["valid", "train[", "train[:x]"])
def test_an_unknown_split_is_named_with_the_known_ones(data_dir, split):
  with pytest.raises(errors.UsageError, match="no split .*one of test, train"):
    tfds_images.read(f"tfds:tiny:{split}", data_dir=data_dir)


def test_a_split_without_images_is_refused(data_dir):
  with pytest.raises(errors.UsageError, match=r"'train\[7:\]' .*is empty"):
    tfds_images.read("tfds:tiny:train[7:]", data_dir=data_dir)


def test_a_dataset_without_images_is_refused(data_dir):
  with pytest.raises(errors.UsageError, match="label, picture; expected an im"):
    tfds_images.read("tfds:pictures", data_dir=data_dir)


def test_another_file_format_is_refused(data_dir, monkeypatch):
  monkeypatch.setattr(
    tfds.core.DatasetInfo, "file_format", tfds.core.FileFormat.RIEGELI
  )
  with pytest.raises(errors.UsageError, match="as riegeli .*expected tfrecord"):
    tfds_images.read("tfds:tiny", data_dir=data_dir)


@pytest.mark.parametrize("source", ["tfds:", "tfds:[x]", "tfds::train"])
def test_a_malformed_source_is_refused(source):
  with pytest.raises(errors.UsageError, match="expected tfds:NAME"):
    tfds_images.read(source)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
