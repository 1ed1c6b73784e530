"""Tests of tf_ssl.models.load, encoder_models and image_model."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.models import image_model, load, reader
from tf_ssl.ops import compat, pixels


def _images(count=3, size=32):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [count, size, size, 3], np.uint8)


@pytest.mark.parametrize(
  ("spec", "name", "path"),
  [
    ("a=b/c.keras", "a", "b/c.keras"),
    ("b/c.keras", "c", "b/c.keras"),
    ("runs/a/", "a", "runs/a/"),
    ("runs/x=1/a", "a", "runs/x=1/a"),
    ("a=b=c", "a", "b=c"),
    ("net.v2.onnx", "net.v2", "net.v2.onnx"),
    ("random:resnet50:1", "random:resnet50:1", "random:resnet50:1"),
  ],
)
def test_a_model_is_a_path_with_an_optional_name(spec, name, path):
  assert load.split(spec) == (name, path)


@pytest.mark.parametrize("spec", ["=path", "name="])
def test_an_empty_name_or_path_is_refused(spec):
  with pytest.raises(errors.UsageError, match=f"{spec}.*NAME=PATH"):
    load.split(spec)


def test_an_untrained_encoder_has_the_weights_of_its_seed():
  found = load.load_model("random:resnet18")
  tf.keras.utils.set_random_seed(0)
  encoder = resnet.resnet18()
  expected = encoder(pixels.normalize(_images()), training=False)
  np.testing.assert_allclose(
    found.features(_images()), expected, rtol=1e-4, atol=1e-4
  )
  assert found.description.width == 512
  other = load.load_model("other=random:resnet18:1", layer="C3")
  assert other.description.digest != found.description.digest
  assert other.description.width == 128
  assert np.abs(other.features(_images())).max() > 0


def _reader(run, **fields):
  return reader.Reader(
    "test", run, "output", "", "", preprocessing="0..255", **fields
  )


def _mean(images):
  return np.asarray(images).mean(axis=(1, 2))


def test_a_model_that_takes_one_image_although_it_allows_more_gets_one(
  caplog,
):
  def run(images):
    if len(images) > 1:
      raise RuntimeError("reshape to [1, 3]")
    return _mean(images)

  found = image_model.ImageModel("a", _reader(run, is_numpy=True))
  np.testing.assert_allclose(found.features(_images()), _mean(_images()))
  np.testing.assert_allclose(found.features(_images(2)), _mean(_images(2)))
  assert "one by one" in caplog.text and caplog.text.count("reshape") == 1


def test_a_model_that_merges_the_images_of_a_batch_gets_one():
  def run(images):
    return _mean(images).reshape([1, -1])

  found = image_model.ImageModel("a", _reader(run, is_numpy=True))
  np.testing.assert_allclose(found.features(_images()), _mean(_images()))


def test_what_a_model_raises_later_is_one_line_with_its_cause():
  def run(images):
    if images.shape[1] < 16:
      raise RuntimeError("too small\nfor the pyramid")
    return _mean(images)

  found = image_model.ImageModel("a", _reader(run, is_numpy=True))
  with pytest.raises(errors.UsageError, match="8x9 px: too small for") as info:
    found.features(np.zeros([1, 9, 8, 3], np.uint8))
  assert isinstance(info.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
  "fields",
  [
    {"image_size": (100_000, 100_000)},
    {"image_size": (0, 8)},
    {"image_size": (1024, 1024), "batch_size": 65},
  ],
)
def test_impossible_image_sizes_are_refused_before_the_model_runs(fields):
  def run(images):
    raise AssertionError("it ran")

  with pytest.raises(errors.UsageError, match="67108864 pixels"):
    image_model.ImageModel("a", _reader(run, **fields))


def test_pixels_are_the_resized_image():
  found = load.load_model("pixels")
  blocks = _images().reshape(3, 16, 2, 16, 2, 3)
  image = found.features(_images()).reshape(3, 16, 16, 3)
  # Antialiasing also reads pixels outside a block.
  assert abs(image.mean() - blocks.mean()) < 1
  flat = np.full([1, 32, 32, 3], 7, np.uint8)
  np.testing.assert_allclose(found.features(flat), 7, rtol=1e-5)
  with pytest.raises(errors.UsageError, match="layer='C2'"):
    load.load_model("pixels", layer="C2")


def test_a_keras_application_has_its_own_preprocessing():
  found = load.load_model("keras.applications:MobileNet:random")
  tf.keras.utils.set_random_seed(0)
  model = tf.keras.applications.MobileNet(
    weights=None, include_top=False, pooling="avg"
  )
  expected = model(_images() / 127.5 - 1, training=False)
  np.testing.assert_allclose(
    found.features(_images()), expected, rtol=1e-3, atol=1e-5
  )
  assert "preprocess_input" in found.description.preprocessing
  assert found.description.width == 1024


def test_a_failed_download_names_the_alternative(monkeypatch):
  def fail(*_, **__):
    raise OSError("URL fetch failure on https://example.org")

  monkeypatch.setattr(
    f"{compat.KERAS}.src.applications.mobilenet.data_utils.get_file", fail
  )
  with pytest.raises(
    errors.UsageError,
    match="URL fetch failure.*MobileNet:PATH",
  ):
    load.load_model("keras.applications:MobileNet")


def test_weights_of_another_network_are_refused(tmp_path):
  model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=[3])])
  model.save_weights(str(tmp_path / "w.h5"))
  with pytest.raises(errors.UsageError, match="w.h5.*MobileNet"):
    load.load_model(f"keras.applications:MobileNet:{tmp_path}/w.h5")


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("nowhere/model.keras", "nowhere/model.keras .*SavedModel"),
    (__file__, "load_test.py .*SavedModel"),
    ("random:resnet99", "random:resnet99: .*resnet18"),
    ("random:resnet18:-1", "random:resnet18:-1: .*SEED"),
    ("keras.applications:ResNet51", "'ResNet51'.*VGG"),
  ],
)
def test_unknown_models_are_refused(spec, message):
  with pytest.raises(errors.UsageError, match=message):
    load.load_model(spec)


def _mean_model(**changes):
  described = reader.Reader(
    kind="function",
    run=lambda images: tf.reduce_mean(images, [1, 2]),
    layer="mean",
    layer_chosen="all there is",
    digest="0",
    preprocessing="0..255",
  )
  return image_model.ImageModel("mean", described._replace(**changes))


def test_images_may_be_uint8_or_float_arrays_or_tensors():
  model = _mean_model()
  expected = _images().mean(axis=(1, 2))
  for images in (
    _images(),
    _images().astype(np.float64),
    tf.constant(_images()),
  ):
    found = model.features(images)
    assert found.dtype == np.float32 and isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8, 3), (0, 8, 8, 3), (2, 8, 8, 1)])
def test_arrays_of_another_shape_are_refused(shape):
  with pytest.raises(errors.UsageError, match=r"\[B, H, W, 3\]"):
    _mean_model().features(np.zeros(shape))


def test_tokens_are_averaged_with_a_note():
  model = _mean_model(
    run=lambda images: tf.reshape(images[:, :4, :4], [-1, 16, 3])
  )
  np.testing.assert_allclose(
    model.features(_images()), _images()[:, :4, :4].mean(axis=(1, 2)), rtol=1e-5
  )
  assert model.description.note == "its output [B, T, C] is averaged over T"


def test_a_run_needs_restore_run(tmp_path):
  with pytest.raises(errors.UsageError, match="tools.export_encoder"):
    load.load_model(str(tmp_path))


@pytest.mark.parametrize("name", ["dino.pth", "moco.pth.tar", "a.safetensors"])
def test_weights_instead_of_a_model_get_a_hint(tmp_path, name):
  (tmp_path / name).write_bytes(b"PK")
  path = tmp_path / name
  with pytest.raises(errors.UsageError) as failed:
    load.load_model(str(path))
  assert f"tools.import_weights --weights={path}" in str(failed.value)


def test_names_of_models_fit_every_report():
  assert load.split("a\n\udcff=pixels") == (r"a\n\xff", "pixels")
  assert load.split("runs/\udcff.keras") == (r"\xff", "runs/\udcff.keras")
  (model,) = load.load_models(["a\t=pixels"], preprocessing=["a\t=0..1"])
  assert model.description.name == r"a\t"


def test_a_path_that_no_reader_can_open_is_named(tmp_path):
  path = tmp_path / "\udcff" / "a.keras"
  path.parent.mkdir()
  path.touch()
  with pytest.raises(errors.UsageError, match=r"\\xff/a.keras: .*UTF-8"):
    load.load_model(str(path))


def test_several_layers_of_a_model_become_one_model_each():
  found = load.load_models(
    ["m=random:resnet18", "pixels"], layer=["m=C2,features"]
  )
  assert [model.name for model in found] == ["m C2", "m features", "pixels"]
  images = np.zeros([1, 32, 32, 3], np.uint8)
  assert [model.features(images).shape[1] for model in found] == [64, 512, 768]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
