"""Tests of tf_ssl.features.feature_files."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.features import feature_files
from tf_ssl.models import load

pytestmark = pytest.mark.slow

_SIDE = 8


@pytest.fixture(scope="module", name="model")
def fixture_model():
  """Features of an image of one color are that color, 0..255."""
  return load.load_model("a=pixels")


def _paint(path, color, size=(_SIDE, _SIDE)):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new("RGB", size, (color,) * 3).save(path)


@pytest.fixture(name="classes")
def fixture_classes(tmp_path):
  """Five images of two classes; image i has the color 10 * i."""
  folder = tmp_path / "images"
  for i, name in enumerate(("cat/0", "cat/1", "dog/2", "dog/3", "dog/4")):
    _paint(folder / f"{name}.png", 10 * i)
  return folder


def _write(models, source, output, **options):
  records, _ = feature_files.open_source(str(source))
  options = {"image_size": _SIDE, "batch_size": 2, **options}
  return feature_files.write(models, records, str(output), **options)


def _colors(features):
  """The color of each row; all its units must have it."""
  assert np.ptp(features, axis=1).max() < 1e-4
  return features[:, 0]


def _of_folder(output, **options):
  about = json.loads((output / "about.json").read_text())
  arrays = {
    name: np.load(output / place, **options)
    for name, place in about["files"].items()
  }
  return arrays, about


def _of_archive(output):
  with np.load(output) as archive:
    arrays = {name: archive[name] for name in archive.files}
  return arrays, json.loads(str(arrays.pop("about")))


def test_class_folders_become_mapped_arrays_with_names_and_labels(
  classes, model, tmp_path
):
  written = _write([model], classes, tmp_path / "out", command="typed")
  arrays, about = _of_folder(tmp_path / "out", mmap_mode="r")
  assert set(arrays) == {"features/a", "index", "names", "labels"}
  assert isinstance(arrays["features/a"], np.memmap)
  np.testing.assert_allclose(
    _colors(arrays["features/a"]), np.arange(0, 50, 10), rtol=1e-5
  )
  assert arrays["names"].tolist() == [
    "cat/0.png",
    "cat/1.png",
    "dog/2.png",
    "dog/3.png",
    "dog/4.png",
  ]
  assert arrays["labels"].tolist() == [0, 0, 1, 1, 1]
  assert arrays["index"].tolist() == [0, 1, 2, 3, 4]
  assert about["class_names"] == ["cat", "dog"]
  assert about["images"]["count"] == 5
  assert about["key"]["models"] == [
    {
      k: v
      for k, v in model.description._asdict().items()
      if k not in ("path", "preprocessing_check", "layer_of")
    }
  ]
  assert about["command"] == "typed"
  assert (written.num_images, written.skipped) == (5, {})


def test_an_archive_equals_a_folder_and_leaves_no_parts(
  classes, model, tmp_path
):
  other = load.load_model("b=random:resnet18")
  _write([model, other], classes, tmp_path / "folder")
  _write([model, other], classes, tmp_path / "a.npz")
  folder, about = _of_folder(tmp_path / "folder")
  archive, about_archive = _of_archive(tmp_path / "a.npz")
  assert set(archive) == set(folder)
  for name, array in folder.items():
    np.testing.assert_array_equal(archive[name], array, strict=True)
  assert archive["features/b"].shape == (5, 512)
  assert about_archive == {k: v for k, v in about.items() if k != "files"}
  assert not (tmp_path / "a.npz.parts").exists()


def test_boxes_of_a_manifest_are_cropped_and_stored(model, tmp_path):
  left_and_right = np.zeros([_SIDE, 2 * _SIDE, 3], np.uint8)
  left_and_right[:, _SIDE:] = 200
  Image.fromarray(left_and_right).save(tmp_path / "a.png")
  _paint(tmp_path / "b.png", 100)
  manifest = tmp_path / "a.csv"
  manifest.write_text(
    "path,label,xmin,ymin,xmax,ymax\n"
    f"a.png,dark,0,0,{_SIDE},{_SIDE}\n"
    f"a.png,light,{_SIDE},0,{2 * _SIDE},{_SIDE}\n"
    "b.png,,,,,\n"
  )
  records, unlabeled = feature_files.open_source(str(manifest))
  assert "no label" in unlabeled and "line 4" in unlabeled
  with pytest.raises(errors.UsageError, match="no label"):
    feature_files.open_source(str(manifest), require_labels=True)
  feature_files.write(
    [model], records, str(tmp_path / "out.npz"), image_size=_SIDE
  )
  arrays, about = _of_archive(tmp_path / "out.npz")
  colors = _colors(arrays["features/a"])
  np.testing.assert_allclose(colors / colors[2], [0, 2, 1], atol=1e-5)
  assert arrays["labels"].tolist() == [0, 1, -1]
  assert about["class_names"] == ["dark", "light"]
  assert arrays["names"].tolist() == ["a.png", "a.png", "b.png"]
  assert arrays["boxes"].tolist() == [
    [0, 0, 8, 8],
    [8, 0, 16, 8],
    [-1, -1, -1, -1],
  ]


def test_tfrecords_give_their_labels(model, tmp_path):
  path = str(tmp_path / "a.tfrecord")
  with tf.io.TFRecordWriter(path) as writer:
    for i in (3, 1, 2):
      image = tf.io.encode_png(np.full([_SIDE, _SIDE, 3], 60 * i, np.uint8))
      values = {
        "image/encoded": tf.train.Feature(
          bytes_list=tf.train.BytesList(value=[image.numpy()])
        ),
        "image/class/label": tf.train.Feature(
          int64_list=tf.train.Int64List(value=[i])
        ),
      }
      example = tf.train.Example(features=tf.train.Features(feature=values))
      writer.write(example.SerializeToString())
  _write([model], path, tmp_path / "out")
  arrays, _ = _of_folder(tmp_path / "out")
  colors = _colors(arrays["features/a"])
  np.testing.assert_allclose(colors / colors[1], [3, 1, 2], rtol=1e-5)
  assert arrays["labels"].tolist() == [3, 1, 2]
  assert arrays["names"][0].startswith("a.tfrecord@")


def test_images_without_classes_have_no_labels(model, tmp_path):
  _paint(tmp_path / "images" / "0.png", 0)
  records, unlabeled = feature_files.open_source(str(tmp_path / "images"))
  assert "one folder per class" in unlabeled
  feature_files.write(
    [model], records, str(tmp_path / "a.npz"), image_size=_SIDE
  )
  assert "labels" not in _of_archive(tmp_path / "a.npz")[0]


def test_unreadable_images_are_listed_and_have_no_row(classes, model, tmp_path):
  (classes / "cat" / "1.png").write_bytes(b"")
  written = _write(
    [model], classes, tmp_path / "a.npz", max_skipped_fraction=0.5
  )
  arrays, about = _of_archive(tmp_path / "a.npz")
  assert arrays["index"].tolist() == [0, 2, 3, 4]
  assert arrays["labels"].tolist() == [0, 1, 1, 1]
  assert about["skipped"] == {"cat/1.png": "empty file"} == written.skipped


def test_a_lost_reason_is_restored(classes, model, tmp_path):
  (classes / "cat" / "1.png").write_bytes(b"")
  options = {"max_skipped_fraction": 0.5}
  _write([model], classes, tmp_path / "out", **options)
  (tmp_path / "out" / "features-skipped.tsv").write_text("")
  written = _write([model], classes, tmp_path / "out", **options)
  assert written.skipped == {"cat/1.png": "empty file"}


@pytest.mark.parametrize("output", ["out", "out.npz"])
def test_equal_features_are_kept_and_others_are_refused(
  classes, model, tmp_path, output, monkeypatch
):
  output = tmp_path / output
  _write([model], classes, output)
  read = _of_archive if output.suffix else _of_folder
  before = read(output)[0]
  with monkeypatch.context() as patched:
    patched.setattr(feature_files.store, "_run", None)  # not called
    assert _write([model], classes, output).num_images == 5
  with pytest.raises(errors.UsageError, match="something else.*overwrite"):
    _write([model], classes, output, image_size=6)
  after = read(output)[0]
  for name, array in before.items():
    np.testing.assert_array_equal(after[name], array)
  _write([model], classes, output, image_size=6, overwrite=True)
  assert read(output)[1]["key"]["image_size"] == 6


def test_other_files_are_never_replaced(classes, model, tmp_path):
  for name, content in (("a.npz", b"mine"), ("b.npz", None)):
    if content is None:
      np.savez(tmp_path / name, x=np.ones(2))
      content = (tmp_path / name).read_bytes()
    else:
      (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.UsageError, match=f"{name} exists and is not"):
      _write([model], classes, tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() == content
  (tmp_path / "c").write_text("a file")
  with pytest.raises(errors.UsageError, match="cannot write to .*c: "):
    _write([model], classes, tmp_path / "c")


def test_names_that_are_not_unicode_are_read_and_escaped(tmp_path, model):
  folder = tmp_path / "root \udcff" / "class \udcff\n"
  for i in range(30):
    _paint(folder / f"{i:02}.png", i)
  (folder / "\udcff\n.png").write_bytes(b"no image")
  output = tmp_path / "a.npz"
  written = _write([model], folder.parent, output)
  assert written.num_images == 30
  (name,) = written.skipped
  assert name == r"class \xff\n/\xff\n.png"
  _, about = feature_files.read(str(output))
  assert about["class_names"] == [r"class \xff\n"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
