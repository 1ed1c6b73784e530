"""Tests of tf_ssl.models.saved_models."""

import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.export import saved_model
from tf_ssl.models import load
from tf_ssl.ops import pixels

_IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32)


def _images(count=3, size=6):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [count, size, size, 3], np.uint8)


@pytest.fixture(scope="module", name="exported")
def fixture_exported(tmp_path_factory):
  """An encoder, and the path of its SavedModel."""
  encoder = resnet.resnet18(width=1 / 32, stem="small")
  encoder(tf.zeros([1, 8, 8, 3]))
  path = str(tmp_path_factory.mktemp("exported") / "ours")
  saved_model.export_encoder(encoder, None, path, provenance={})
  return encoder, path


def test_an_exported_encoder_normalizes_inside(exported):
  encoder, path = exported
  found = load.load_model(f"mine={path}")
  expected = encoder(pixels.normalize(_images()), training=False)
  np.testing.assert_allclose(found.features(_images()), expected, atol=1e-5)
  told = found.description
  assert (told.name, told.kind) == ("mine", "tf_ssl SavedModel")
  assert (told.layer, told.width) == ("features", 16)
  assert told.preprocessing == "0..255"
  assert "normalizes by itself" in told.preprocessing_chosen
  assert told.note == ""


def test_an_endpoint_of_an_exported_encoder_is_averaged(exported):
  encoder, path = exported
  found = load.load_model(path, layer="endpoints:C3")
  maps = encoder.endpoints(pixels.normalize(_images()), training=False)["C3"]
  np.testing.assert_allclose(
    found.features(_images()), np.mean(maps, axis=(1, 2)), atol=1e-5
  )
  assert found.description.layer == "endpoints:C3"
  assert "is averaged" in found.description.note
  assert load.load_model(path).description.digest == found.description.digest


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_damaged_provenance_is_an_error(exported, tmp_path, text):
  path = tmp_path / "ours"
  shutil.copytree(exported[1], path)
  (path / "provenance.json").write_text(text)
  with pytest.raises(errors.UsageError, match="provenance.json .*JSON"):
    load.load_model(str(path))


class _Hub(tf.Module):
  """Follows TF-Hub's common SavedModel API for images."""

  def __init__(self):
    super().__init__()
    self.scale = tf.Variable([[1.0, 2.0, 3.0, 4.0]] * 3)
    self.variables = [self.scale]
    self.trainable_variables = [self.scale]
    self.regularization_losses = []

  variables = trainable_variables = ()

  @tf.function
  def __call__(self, images, training=False):
    dropped = 0.0 if training else 1.0
    return tf.reduce_mean(images, [1, 2]) @ self.scale * dropped


def test_a_reusable_saved_model_takes_0_to_1(tmp_path):
  module = _Hub()
  for training in (True, False):
    module.__call__.get_concrete_function(_IMAGES, training)
  tf.saved_model.save(module, str(tmp_path / "hub"))
  found = load.load_model(str(tmp_path / "hub"))
  layer = tensorflow_hub.KerasLayer(str(tmp_path / "hub"))
  expected = layer(_images().astype(np.float32) / 255)
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-5)
  assert found.description.preprocessing == "0..1"
  assert "TF-Hub" in found.description.preprocessing_chosen


class _Plain(tf.Module):
  """A SavedModel with signatures only."""

  def __init__(self):
    super().__init__()
    self.scale = tf.Variable(2.0)

  @tf.function(input_signature=[_IMAGES])
  def pooled(self, images):
    pooled = tf.reduce_mean(images, [1, 2]) * self.scale
    return {"logits": pooled[:, :1], "pooled": pooled}

  @tf.function(input_signature=[tf.TensorSpec([2, 4, 5, 3], tf.uint8)])
  def fixed(self, images):
    return {"a": tf.cast(images, tf.float32), "b": tf.zeros([2, 1])}

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
  def text(self, words):
    return {"length": tf.strings.length(words)}


@pytest.fixture(scope="module", name="plain")
def fixture_plain(tmp_path_factory):
  path = str(tmp_path_factory.mktemp("plain") / "model")
  module = _Plain()
  signatures = {
    "default": module.pooled,
    "fixed": module.fixed,
    "text": module.text,
  }
  tf.saved_model.save(module, path, signatures=signatures)
  return path


def test_the_pooled_output_is_preferred(plain):
  found = load.load_model(plain, preprocessing="0..1")
  expected = _images().mean(axis=(1, 2)) / 255 * 2
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-5)
  assert found.description.layer == "default:pooled"


def test_a_uint8_signature_of_a_fixed_size_gets_its_input(plain):
  found = load.load_model(plain, layer="fixed:a")
  images = np.random.default_rng(0).integers(0, 256, [3, 4, 5, 3], np.uint8)
  np.testing.assert_allclose(
    found.features(images), images.mean(axis=(1, 2)), rtol=1e-5
  )
  assert found.description.batch_size == 2
  assert found.description.image_size == [4, 5]
  assert found.description.preprocessing_chosen == "its images are uint8"


def test_the_error_lists_signatures_or_outputs(plain, tmp_path):
  with pytest.raises(errors.UsageError) as refused:
    load.load_model(plain, layer="text", preprocessing="0..1")
  for part in (
    "'text'",
    "default (float32(None, None, None, 3))",
    "fixed (uint8(2, 4, 5",
  ):
    assert part in str(refused.value)
  with pytest.raises(errors.UsageError, match="'c'.* a, b; change `layer`"):
    load.load_model(plain, layer="fixed:c", preprocessing="0..1")
  with pytest.raises(errors.UsageError, match="fixed gives a, b; set `layer`"):
    load.load_model(plain, layer="fixed", preprocessing="0..1")
  tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
  with pytest.raises(errors.UsageError, match="no signatures"):
    load.load_model(str(tmp_path / "empty"))


@pytest.mark.parametrize(
  ("specs", "listed"),
  [
    ([tf.TensorSpec([None], tf.string)], "a (string(None,)) -> y (None,)"),
    (
      [tf.TensorSpec([None, 28, 28, 1], tf.float32)],
      "a (float32(None, 28, 28, 1)) -> y",
    ),
    (
      [_IMAGES, tf.TensorSpec([], tf.bool)],
      "a (float32(None, None, None, 3), bool()) -> y",
    ),
  ],
)
def test_unusable_signatures_are_listed(tmp_path, specs, listed):
  module = tf.Module()
  module.function = tf.function(
    lambda *given: {"y": tf.identity(given[0])}, input_signature=specs
  )
  function = module.function.get_concrete_function()
  # One signature, then two with unknown names.
  for names in (["a"], ["a", "b"]):
    path = str(tmp_path / str(len(names)))
    signatures = dict.fromkeys(names, function)
    tf.saved_model.save(module, path, signatures=signatures)
    with pytest.raises(errors.UsageError) as refused:
      load.load_model(path, preprocessing="0..1")
    message = str(refused.value)
    assert path in message and "images [B, H, W, 3]" in message
    assert listed in message and "`layer`" in message


class _SimClr(tf.Module):
  """Exported like google-research/simclr's tf2/run.py: without signatures."""

  def __init__(self):
    super().__init__()
    self.scale = tf.Variable(2.0)

  @tf.function
  def __call__(self, inputs, trainable):
    pooled = tf.reduce_mean(inputs, [1, 2]) * self.scale
    return {
      "block_group1": inputs,
      "final_avg_pool": pooled if not trainable else pooled * 0,
      "logits_sup": pooled[:, :1],
    }


def test_simclrs_export_is_read_before_its_heads(tmp_path):
  module = _SimClr()
  for trainable in (True, False):
    module.__call__.get_concrete_function(_IMAGES, trainable)
  tf.saved_model.save(module, str(tmp_path / "a"))
  with pytest.raises(errors.UsageError, match="set preprocessing"):
    load.load_model(str(tmp_path / "a"))
  found = load.load_model(str(tmp_path / "a"), preprocessing="0..1")
  expected = _images().mean(axis=(1, 2)) / 255 * 2
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-5)


def _keras_model():
  given = tf.keras.Input([None, None, 3])
  maps = tf.keras.layers.Conv2D(4, 3)(tf.keras.layers.Rescaling(1 / 255)(given))
  pooled = tf.keras.layers.GlobalAveragePooling2D(name="pool")(maps)
  return tf.keras.Model(given, tf.keras.layers.Dense(2, name="scores")(pooled))


def test_a_keras_saved_model_is_read_before_its_classifier(tmp_path):
  model = _keras_model()
  model.save(tmp_path / "a", save_format="tf")
  found = load.load_model(str(tmp_path / "a"))
  pooled = tf.keras.Model(model.input, model.get_layer("pool").output)
  np.testing.assert_allclose(
    found.features(_images()), pooled(_images()), rtol=1e-5
  )
  assert found.description.kind == "Keras SavedModel"
  assert found.description.layer == "pool"


def test_a_keras_export_is_read_at_its_signature(tmp_path):
  model = _keras_model()
  model.export(tmp_path / "a")
  found = load.load_model(str(tmp_path / "a"), preprocessing="0..255")
  np.testing.assert_allclose(
    found.features(_images()), model(_images()), rtol=1e-5, atol=1e-6
  )
  assert found.description.layer == "serving_default:output_0"


def test_a_damaged_saved_model_is_refused(tmp_path):
  (tmp_path / "a").mkdir()
  (tmp_path / "a" / "saved_model.pb").write_bytes(b"no protocol buffer")
  with pytest.raises(errors.UsageError, match="a cannot be loaded"):
    load.load_model(str(tmp_path / "a"))


class _Writing(tf.Module):
  """A SavedModel that writes or prints when it runs."""

  def __init__(self, how, path):
    super().__init__()
    self.path, self.how = path, how

  @tf.function(input_signature=[_IMAGES])
  def pooled(self, images):
    if self.how == "write":
      tf.io.write_file(self.path, "x")
    elif self.how == "print":
      tf.print("x", output_stream=f"file://{self.path}")
    else:
      tf.print("x")
    return {"pooled": tf.reduce_mean(images, [1, 2])}


@pytest.mark.parametrize(
  ("how", "operation"), [("write", "WriteFile"), ("print", "PrintV2")]
)
def test_operations_that_write_files_are_refused(tmp_path, how, operation):
  module = _Writing(how, str(tmp_path / "written"))
  tf.saved_model.save(module, str(tmp_path / "a"))
  with pytest.raises(errors.UsageError, match=f"a has .*{operation}"):
    load.load_model(str(tmp_path / "a"), preprocessing="0..1")
  assert not (tmp_path / "written").exists()


def test_a_graph_that_prints_is_read(tmp_path):
  tf.saved_model.save(_Writing("", ""), str(tmp_path / "a"))
  found = load.load_model(str(tmp_path / "a"), preprocessing="0..255")
  assert found.features(_images()).shape == (3, 3)


def test_variables_that_are_nan_are_refused(tmp_path):
  module = _Plain()
  module.scale.assign(np.nan)
  signatures = {"default": module.pooled.get_concrete_function()}
  tf.saved_model.save(module, str(tmp_path / "a"), signatures)
  with pytest.raises(errors.UsageError, match="a: 1 of 1 .*scale are NaN"):
    load.load_model(str(tmp_path / "a"), preprocessing="0..1")


@pytest.fixture(scope="module", name="from_keras")
def fixture_from_keras(tmp_path_factory):
  """Path of a SavedModel that Keras wrote."""
  given = tf.keras.Input([None, None, 3])
  output = tf.keras.layers.GlobalAveragePooling2D()(given)
  path = tmp_path_factory.mktemp("keras") / "saved"
  tf.keras.Model(given, tf.keras.layers.Dense(2)(output)).save(path)
  return path


@pytest.mark.parametrize(
  "content", [b"", b"\xff no message", b"\n\x05\x1a\x03{{{"]
)
def test_damaged_metadata_of_keras_leaves_the_graph(
  from_keras, tmp_path, content
):
  path = tmp_path / "a"
  shutil.copytree(from_keras, path)
  (path / "keras_metadata.pb").write_bytes(content)
  found = load.load_model(str(path), preprocessing="0..255")
  whole = load.load_model(
    str(from_keras), preprocessing="0..255", layer="output"
  )
  np.testing.assert_allclose(
    found.features(_images()), whole.features(_images()), rtol=1e-5
  )
  assert found.description.kind == "SavedModel"
  assert "as a Keras model it cannot be read" in found.description.layer_chosen


@pytest.mark.parametrize(
  "name",
  [
    "saved_model.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
  ],
)
@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:99] + b[104:]])
def test_a_damaged_part_is_one_line(from_keras, tmp_path, name, damage):
  path = tmp_path / "a"
  shutil.copytree(from_keras, path)
  (path / name).write_bytes(damage((path / name).read_bytes()))
  with pytest.raises(errors.UsageError, match="a cannot be loaded") as info:
    load.load_model(str(path), preprocessing="0..255")
  assert "\n" not in str(info.value) and info.value.__cause__ is not None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
