"""Tests of tf_ssl.models.keras_models and keras_config."""

import json
import pathlib
import sys
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import keras_config, keras_models, load

_layers = tf.keras.layers


def _images(count=3, size=6):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [count, size, size, 3], np.uint8)


def _classifier(*, size=None, rescaling=True, pooling=True):
  """Images -> scores of two classes, as people build it."""
  tf.keras.utils.set_random_seed(1)
  given = tf.keras.Input([size, size, 3])
  x = _layers.Rescaling(1 / 255)(given) if rescaling else given
  maps = _layers.Conv2D(4, 3, activation="relu", name="maps")(x)
  maps = tf.nn.relu(maps) + 1.0  # such ops become TFOpLambda layers
  if pooling:
    x = _layers.GlobalAveragePooling2D(name="pool")(maps)
  else:
    x = _layers.Dense(5, name="hidden")(_layers.Flatten()(maps))
  x = _layers.Dropout(0.5)(x)
  scores = _layers.Dense(2, activation="softmax", name="scores")(x)
  return tf.keras.Model(given, scores)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_layer_before_the_classifier_is_read(tmp_path, suffix):
  model = _classifier()
  model.save(tmp_path / f"a.{suffix}")
  found = load.load_model(str(tmp_path / f"a.{suffix}"))
  pooled = tf.keras.Model(model.input, model.get_layer("pool").output)
  np.testing.assert_allclose(
    found.features(_images()), pooled(_images()), rtol=1e-5
  )
  told = found.description
  assert (told.name, told.kind, told.width) == ("a", "Keras file", 4)
  assert (told.layer, told.layer_chosen) == ("pool", "the last global pooling")
  assert told.preprocessing == "0..255"
  assert "rescaling" in told.preprocessing_chosen
  json.dumps(told._asdict())


def test_without_pooling_the_input_of_the_last_dense_layer_is_read(tmp_path):
  model = _classifier(size=6, pooling=False)
  model.save(tmp_path / "a.keras")
  found = load.load_model(str(tmp_path / "a.keras"))
  hidden = tf.keras.Model(model.input, model.get_layer("hidden").output)
  np.testing.assert_allclose(
    found.features(_images()), hidden(_images()), rtol=1e-5
  )
  assert found.description.layer == "input of scores"
  assert found.description.image_size == [6, 6]


def test_a_map_is_averaged_with_a_note(tmp_path):
  model = _classifier()
  model.save(tmp_path / "a.keras")
  found = load.load_model(str(tmp_path / "a.keras"), layer="maps")
  maps = tf.keras.Model(model.input, model.get_layer("maps").output)(_images())
  np.testing.assert_allclose(
    found.features(_images()), np.mean(maps, axis=(1, 2)), rtol=1e-5
  )
  assert "a map [B, h, w, C], is averaged" in found.description.note
  assert "is averaged" in found.description.text()


def test_images_of_another_size_are_resized_for_a_model_of_one_size(tmp_path):
  model = _classifier(size=6)
  model.save(tmp_path / "a.keras")
  found = load.load_model(str(tmp_path / "a.keras"), layer="output")
  images = _images(size=9)
  small = tf.image.resize(images, [6, 6], antialias=True)
  np.testing.assert_allclose(found.features(images), model(small), rtol=1e-5)
  with pytest.raises(errors.UsageError, match="6x6 px .*image_size=8"):
    load.load_model(str(tmp_path / "a.keras"), image_size=8)


def test_a_batch_of_a_fixed_size_is_padded(tmp_path):
  given = tf.keras.Input([None, None, 3], batch_size=2)
  model = tf.keras.Model(given, _layers.GlobalMaxPooling2D()(given))
  model.save(tmp_path / "a.keras")
  found = load.load_model(str(tmp_path / "a.keras"), preprocessing="0..255")
  expected = _images(5).max(axis=(1, 2))
  np.testing.assert_allclose(found.features(_images(5)), expected)
  assert found.description.batch_size == 2


def test_the_file_or_the_user_must_specify_the_preprocessing(tmp_path):
  model = _classifier(rescaling=False)
  path = str(tmp_path / "a.keras")
  model.save(path)
  with pytest.raises(errors.UsageError, match="a.keras.*set preprocessing"):
    load.load_model(path)
  found = load.load_model(path, layer="output", preprocessing="-1..1")
  expected = model(_images() / 127.5 - 1)
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-4)
  with pytest.raises(errors.UsageError, match="preprocessing='0-1'.*imagenet"):
    load.load_model(path, preprocessing="0-1")


def test_a_keras_application_is_recognized_by_its_name(tmp_path):
  given = tf.keras.Input([None, None, 3])
  output = _layers.GlobalAveragePooling2D()(given)
  tf.keras.Model(given, output, name="vgg16").save(tmp_path / "a.h5")
  found = load.load_model(str(tmp_path / "a.h5"))
  mean = _images().mean(axis=(1, 2))[:, ::-1] - [103.939, 116.779, 123.68]
  np.testing.assert_allclose(found.features(_images()), mean, atol=1e-3)
  assert found.description.preprocessing_chosen == "the model is called vgg16"


def test_nan_is_an_error(tmp_path):
  given = tf.keras.Input([None, None, 3])
  scaled = _layers.Rescaling(1e38)(_layers.Rescaling(1e38)(given))
  model = tf.keras.Model(given, _layers.GlobalAveragePooling2D()(scaled))
  model.save(tmp_path / "a.keras")
  found = load.load_model(str(tmp_path / "a.keras"))
  with pytest.raises(errors.UsageError, match="'a' .*NaN .* 3 of 3"):
    found.features(_images())


def test_damaged_files_and_unknown_layers_are_refused(tmp_path):
  model = _classifier()
  model.save(tmp_path / "a.keras")
  with pytest.raises(errors.UsageError, match="'pol'.*pool.*change `layer`"):
    load.load_model(str(tmp_path / "a.keras"), layer="pol")
  (tmp_path / "b.keras").write_bytes(b"no zip")
  with pytest.raises(errors.UsageError, match="b.keras .*model.save"):
    load.load_model(str(tmp_path / "b.keras"))
  model.save_weights(tmp_path / "c.weights.h5")
  with pytest.raises(errors.UsageError, match="c.weights.h5 .*model.save"):
    load.load_model(str(tmp_path / "c.weights.h5"))


@pytest.fixture(name="trap")
def fixture_trap(tmp_path):
  """Files whose Lambda layer writes a file when it is run, and that file."""
  sign = tmp_path / "executed"
  code = f"lambda x: (open({str(sign)!r}, 'w').close(), x)[1]"
  model = tf.keras.Sequential(
    [_layers.Lambda(eval(code), input_shape=[None, None, 3])]
  )
  model.save(tmp_path / "a.keras")
  model.save(tmp_path / "a.h5")
  model.save(tmp_path / "a", save_format="tf")
  sign.unlink()
  return tmp_path, sign


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_code_in_a_file_is_refused_and_does_not_run(trap, name):
  folder, sign = trap
  with pytest.raises(errors.UsageError, match="Lambda layer.*model.export"):
    load.load_model(str(folder / name), preprocessing="0..255")
  assert not sign.exists()
  if name == "a.h5":  # the trap works: Keras itself runs it
    tf.keras.models.load_model(str(folder / name))(np.zeros([1, 4, 4, 3]))
    assert sign.exists()


def test_a_saved_model_with_code_is_read_as_a_graph_without_it(trap):
  folder, sign = trap
  found = load.load_model(str(folder / "a"), preprocessing="0..255")
  np.testing.assert_allclose(
    found.features(_images()), _images().mean(axis=(1, 2)), rtol=1e-5
  )
  assert not sign.exists()
  assert "Lambda" in found.description.layer_chosen


def _with_layer(tmp_path, layer):
  """A .keras file with a forged layer."""
  path = tmp_path / "forged.keras"
  config = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"name": "s", "layers": [layer]},
  }
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("config.json", json.dumps(config))
    archive.writestr("metadata.json", "{}")
    archive.writestr("model.weights.h5", b"")
  return str(path)


@pytest.mark.parametrize(
  ("layer", "message"),
  [
    (
      {"module": "os", "class_name": "system", "config": "true"},
      "system of os",
    ),
    (
      {"module": "keras.utils", "class_name": "get_file", "config": {}},
      "get_file of keras.utils",
    ),
    (
      {"module": "keras.models", "class_name": "load_model", "config": {}},
      "load_model of keras.models",
    ),
    (
      {"module": "builtins", "class_name": "function", "config": "exec"},
      "the function exec of builtins",
    ),
    (
      {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"activation": {"class_name": "__lambda__", "config": {}}},
      },
      "Lambda layer",
    ),
    (
      {"class_name": "TFOpLambda", "config": {"function": "io.write_file"}},
      "TFOpLambda io.write_file",
    ),
    (
      {"class_name": "TFOpLambda", "config": {"function": "load_op_library"}},
      "TFOpLambda load_op_library",
    ),
    (
      {"class_name": "RNN", "config": {"cell_type": "lambda"}},
      "Lambda layer",
    ),
  ],
)
def test_forged_configurations_are_refused(tmp_path, layer, message):
  with pytest.raises(errors.UsageError, match=message):
    load.load_model(_with_layer(tmp_path, layer))


def test_layers_larger_than_the_weights_are_not_built(tmp_path):
  path = tmp_path / "a.keras"
  _classifier().save(path)
  with zipfile.ZipFile(path) as archive:
    parts = {name: archive.read(name) for name in archive.namelist()}
  config = json.loads(parts["config.json"])
  config["config"]["layers"][-1]["config"]["units"] = 10**10
  parts["config.json"] = json.dumps(config)
  with zipfile.ZipFile(path, "w") as archive:
    for name, content in parts.items():
      archive.writestr(name, content)
  with pytest.raises(errors.UsageError, match="a.keras has weights of .*build"):
    load.load_model(str(path))


def test_a_layer_that_is_used_twice_is_no_obstacle(tmp_path):
  given = tf.keras.Input([6, 6, 3])
  shared = _layers.Dense(3, name="shared")
  pooled = _layers.GlobalAveragePooling2D(name="pool")(given)
  model = tf.keras.Model(given, shared(shared(pooled)))
  model.save(tmp_path / "a.keras")
  path = str(tmp_path / "a.keras")
  found = load.load_model(path, preprocessing="0..255")
  np.testing.assert_allclose(
    found.features(_images()), _images().mean(axis=(1, 2)), rtol=1e-5
  )


@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a"])
def test_weights_that_are_nan_are_refused(tmp_path, name):
  # Convolution and ReLU, fused on a CPU, turn NaN into 0.
  given = tf.keras.Input([6, 6, 3])
  maps = _layers.Conv2D(4, 3, activation="relu", name="maps")(given)
  model = tf.keras.Model(given, _layers.GlobalAveragePooling2D()(maps))
  kernel, bias = model.get_layer("maps").get_weights()
  kernel[0, 0] = np.nan
  model.get_layer("maps").set_weights([kernel, bias])
  model.save(tmp_path / name)
  with pytest.raises(errors.UsageError, match="12 of 108 .*maps/kernel.* NaN"):
    load.load_model(str(tmp_path / name), preprocessing="0..255")


def test_a_name_that_is_no_text_is_no_obstacle(tmp_path):
  path = tmp_path / "a.h5"
  _classifier().save(path)
  with h5py.File(path, "a") as file:
    config = json.loads(file.attrs["model_config"])
    config["config"]["name"] = 7
    file.attrs["model_config"] = json.dumps(config)
  assert load.load_model(str(path)).features(_images()).shape == (3, 4)


def test_the_suffix_in_capitals_is_named(tmp_path):
  path = tmp_path / "a.KERAS"
  _classifier().save(tmp_path / "a.keras")
  (tmp_path / "a.keras").rename(path)
  with pytest.raises(errors.UsageError, match="a.KERAS.*rename"):
    load.load_model(str(path))


def test_weights_of_a_known_network_are_checked_before_they_are_read(tmp_path):
  path = str(tmp_path / "a.h5")
  with h5py.File(path, "w") as file:
    file["kernel"] = h5py.ExternalLink("/etc/hostname", "/")
  with pytest.raises(errors.UsageError, match="another file"):
    keras_models.read_application("ResNet50", path)


def test_what_keras_itself_writes_is_allowed(tmp_path):
  model = tf.keras.applications.MobileNetV3Small(weights=None)
  config = tf.keras.utils.serialize_keras_object(model)
  keras_config.check(json.loads(json.dumps(config)), "MobileNetV3Small")
  path = pathlib.Path(tmp_path / "a.h5")
  _classifier().save(path)
  with h5py.File(path) as file:
    keras_config.check(json.loads(file.attrs["model_config"]), "a")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
