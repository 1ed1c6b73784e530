import sys
import zipfile

import pytest

from tf_ssl import errors
from tf_ssl.datasets import (
  image_folder,
  manifest,
  open_images,
  tfds_images,
  tfrecords,
)


@pytest.fixture
def opened(monkeypatch):
  """The arguments of the readers, which read nothing."""
  calls = []
  for module in (image_folder, manifest, tfds_images, tfrecords):
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setattr(
      module,
      "read",
      lambda source, *, labeled, name=name: calls.append(
        (name, source, labeled)
      ),
    )
  return calls


@pytest.mark.parametrize(
  "files, source, expected",
  [
    (["a/b.jpg"], "", ("image_folder", "")),
    (["a/b.jpg", "a.tfrecord", "a.csv"], "", ("image_folder", "")),
    ([], "", ("image_folder", "")),
    (["list.CSV"], "list.CSV", ("manifest", "list.CSV")),
    (["a.tfrecord"], "a.tfrecord", ("tfrecords", ["a.tfrecord"])),
    (["train-0-of-1"], "train-0-of-1", ("tfrecords", ["train-0-of-1"])),
    (["a-1", "a-0", "b"], "a-*", ("tfrecords", ["a-0", "a-1"])),
    (["x/a.tfrecord-0-of-1"], "", ("tfrecords", ["x/a.tfrecord-0-of-1"])),
  ],
)
@pytest.mark.parametrize("labeled", [False, True])
def test_each_source_is_read_by_its_reader(
  tmp_path, opened, files, source, expected, labeled
):
  for file in files:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
  open_images.open_images(str(tmp_path / source), labeled=labeled)
  reader, what = expected
  if isinstance(what, list):
    what = [str(tmp_path / name) for name in what]
  else:
    what = str(tmp_path / what)
  assert opened == [(reader, what, labeled)]


def test_a_prefix_means_tensorflow_datasets(opened):
  open_images.open_images("tfds:cifar10:test")
  assert opened == [("tfds_images", "tfds:cifar10:test", False)]


def test_the_home_folder_may_be_abbreviated(tmp_path, opened, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path))
  (tmp_path / "photos").mkdir()
  open_images.open_images("~/photos")
  assert opened == [("image_folder", str(tmp_path / "photos"), False)]


@pytest.mark.parametrize("source", ["photos/", "gone.csv", "gone/*.tfrecord"])
def test_a_missing_source_is_named_with_its_absolute_path(
  tmp_path, monkeypatch, source
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(errors.UsageError) as caught:
    open_images.open_images(source)
  message = str(caught.value)
  assert f"no file or folder {str(tmp_path / source)!r}" in message
  assert "a folder of images, a manifest FILE.csv, TFRecords" in message
  assert message.endswith("; change IMAGES")
  assert "\n" not in message


def test_an_empty_name_is_refused():
  with pytest.raises(errors.UsageError, match="images '': .*empty.* IMAGES$"):
    open_images.open_images("")


def test_errors_name_the_setting_of_the_source(tmp_path):
  (tmp_path / "a.jpg").touch()
  for source in ("", "gone", str(tmp_path / "a.jpg")):
    with pytest.raises(errors.UsageError, match="; change --images$"):
      open_images.open_images(source, named_by="--images")


def test_a_single_image_is_refused(tmp_path):
  (tmp_path / "a.jpg").touch()
  with pytest.raises(errors.UsageError, match="a.jpg' is a single image"):
    open_images.open_images(str(tmp_path / "a.jpg"))


def test_an_archive_is_named_as_one(tmp_path):
  with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
    archive.writestr("a.jpg", b"a")
  with pytest.raises(
    errors.UsageError, match="photos.zip' is a Zip archive; unpack it"
  ):
    open_images.open_images(str(tmp_path / "photos.zip"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
