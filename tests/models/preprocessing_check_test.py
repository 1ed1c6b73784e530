"""Tests of tf_ssl.models.preprocessing_check."""

import sys

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import helper, numpy_helper

from tf_ssl import errors
from tf_ssl.models import (
  load,
  natural_noise,
  preprocessing,
  preprocessing_check,
)

_layers = tf.keras.layers


def _photos(size=32):
  return natural_noise.images(64, (size, size), seed=1)


def _trained(name="", *, width=6, rescaling=False):
  """A network whose batch norms remember photos, preprocessed by name."""
  tf.keras.utils.set_random_seed(0)
  maps = images = _layers.Input([None, None, 3])
  if rescaling:
    maps = _layers.Rescaling(1 / 255)(maps)
  for i in range(3):
    maps = _layers.Conv2D(width + i, 3, strides=2)(maps)
    maps = _layers.BatchNormalization(momentum=0)(maps)
    maps = _layers.ReLU()(maps)
  pooled = _layers.GlobalAveragePooling2D(name="pooled")(maps)
  model = tf.keras.Model(images, _layers.Dense(5)(pooled))
  model(preprocessing.by_name(name or "0..255")(_photos()), training=True)
  return model


def _loaded(path, **options):
  return load.load_model(
    f"m={path}", check_preprocessing=True, **options
  ).description


def _warnings(caplog):
  return [each.getMessage() for each in caplog.records if each.name == "absl"]


@pytest.mark.parametrize("name", preprocessing.BY_NAME)
def test_the_preprocessing_of_training_is_found(tmp_path, name):
  """The file says nothing about it; -1..1 and (x-127)/128 are one."""
  _trained(name).save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras")
  same = {"(x-127)/128", "-1..1"}
  assert told.preprocessing == name or {told.preprocessing, name} == same
  assert told.preprocessing_chosen == "it fits best"
  assert told.preprocessing_check.startswith(
    "verified: misfit at the first batch norm 0.0"
  )
  assert told.preprocessing_check in told.text()


@pytest.mark.parametrize("kind", ["saved_model", "keras", "keras_h5"])
def test_a_wrong_convention_is_corrected(tmp_path, caplog, kind):
  """TF-Hub's is 0..1; a network called resnet50 takes Caffe's images."""
  model = _trained("imagenet")
  path = tmp_path / "a"
  if kind == "saved_model":
    tf.saved_model.save(model, str(path))
    (path / "keras_metadata.pb").unlink(missing_ok=True)
    convention = "0..1 (TF-Hub's convention for reusable SavedModels)"
  else:
    model._name = "resnet50"
    path = tmp_path / ("a.keras" if kind == "keras" else "a.h5")
    model.save(path)
    convention = "as ResNet50's preprocess_input (the model is called resnet50)"
  told = _loaded(path)
  assert told.preprocessing == "imagenet"
  assert told.preprocessing_chosen == f"it fits; {convention} does not"
  assert told.preprocessing_check.startswith("verified: ")
  [warning] = _warnings(caplog)
  assert f"model 'm': preprocessing {convention} does not fit" in warning
  assert "imagenet is taken instead" in warning


def test_a_right_statement_is_kept_without_a_warning(tmp_path, caplog):
  model = _trained("0..1", rescaling=False)
  tf.saved_model.save(model, str(tmp_path / "a"))
  (tmp_path / "a" / "keras_metadata.pb").unlink(missing_ok=True)
  told = _loaded(tmp_path / "a")
  assert told.preprocessing == "0..1"
  assert told.preprocessing_chosen.startswith("TF-Hub's convention")
  assert told.preprocessing_check.startswith("verified: ")
  assert not _warnings(caplog)


def test_a_scaling_layer_belongs_to_the_model(tmp_path, caplog):
  _trained(rescaling=True).save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras")
  assert told.preprocessing == "0..255"
  assert told.preprocessing_check.startswith("verified: ")
  assert not _warnings(caplog)


def test_the_users_choice_is_kept_and_warned_about(tmp_path, caplog):
  _trained("-1..1").save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras", preprocessing="0..255")
  assert told.preprocessing == "0..255"
  assert told.preprocessing_chosen == "by `preprocessing`"
  assert told.preprocessing_check.startswith("not verified: misfit")
  [warning] = _warnings(caplog)
  assert (
    "preprocessing 0..255 (the chosen preprocessing) does not fit; " in warning
  )
  assert " does (misfit" in warning
  caplog.clear()
  told = _loaded(tmp_path / "a.keras", preprocessing="-1..1")
  assert told.preprocessing == "-1..1" and not _warnings(caplog)


def test_statistics_that_nothing_fits_are_warned_about(tmp_path, caplog):
  model = _trained("0..1")
  model(
    30 * np.random.default_rng(0).normal(size=[9, 32, 32, 3]), training=True
  )
  model.save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras")
  assert told.preprocessing_check.startswith("not verified: misfit")
  [warning] = _warnings(caplog)
  assert f"preprocessing {told.preprocessing} is not verified" in warning


@pytest.mark.parametrize("problem", ["untrained", "no batch norm"])
def test_nothing_is_claimed_without_averages_of_training(tmp_path, problem):
  if problem == "untrained":
    told = _loaded("keras.applications:MobileNetV2:random", image_size=32)
  else:
    inputs = _layers.Input([None, None, 3])
    maps = _layers.Conv2D(3, 3)(inputs)
    tf.keras.Model(inputs, maps).save(tmp_path / "a.keras")
    told = _loaded(tmp_path / "a.keras", preprocessing="0..1")
  assert told.preprocessing_check.startswith(
    "not verified: the model has no batch norm with averages of its training"
  )


def test_a_model_that_cannot_be_checked_can_be_read(monkeypatch, tmp_path):
  def fail(*_, **__):
    raise ValueError("no such graph")

  monkeypatch.setattr(preprocessing_check.batch_norms, "of_function", fail)
  _trained("0..1").save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras", preprocessing="0..1")
  assert told.preprocessing_check == "not verified: no such graph"


def test_without_a_statement_and_a_check_the_user_must_choose(tmp_path):
  inputs = _layers.Input([None, None, 3])
  tf.keras.Model(inputs, _layers.Conv2D(3, 3)(inputs)).save(
    tmp_path / "a.keras"
  )
  with pytest.raises(errors.UsageError, match="set preprocessing to one of"):
    _loaded(tmp_path / "a.keras")


def _class_photos():
  """64 images, each all but of one of 4 colors."""
  rng = np.random.default_rng(0)
  colors = 255 * np.eye(4, 3)[np.arange(64) % 4][:, None, None]
  return (0.7 * colors + rng.uniform(0, 25, [64, 16, 16, 3])).astype("f")


def _classifier(softmax=True):
  """Tells the colors of `_class_photos` apart, 0..1, without a batch norm.

  A score grows from 0.5 on and falls from 1 on; 40 is that of no color.
  """
  images = _layers.Input([16, 16, 3])
  maps = _layers.Conv2D(6, 1, activation="relu", name="maps")(images)
  pooled = _layers.GlobalAveragePooling2D()(maps)
  scores = _layers.Dense(
    4, activation="softmax" if softmax else None, name="scores"
  )(pooled)
  model = tf.keras.Model(images, scores)
  model.get_layer("maps").set_weights(
    [np.tile(np.eye(3), 2)[None, None], np.repeat([-0.5, -1.0], 3)]
  )
  kernel = np.concatenate([200 * np.eye(3, 4), -1000 * np.eye(3, 4)])
  model.get_layer("scores").set_weights([kernel, np.array([0, 0, 0, 40.0])])
  return model


@pytest.mark.parametrize("softmax", [True, False])
def test_a_classifier_without_batch_norm_is_checked_by_predictions(
  tmp_path, caplog, softmax
):
  _classifier(softmax).save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras", photos=_class_photos())
  assert told.preprocessing == "0..1"
  assert told.preprocessing_check.startswith(
    "verified: share of the class that predictions of photos leave open "
  )
  assert not _warnings(caplog)


def test_predictions_warn_but_replace_nothing(tmp_path, caplog):
  _classifier().save(tmp_path / "a.keras")
  told = _loaded(
    tmp_path / "a.keras", photos=_class_photos(), preprocessing="-1..1"
  )
  assert told.preprocessing == "-1..1"
  assert told.preprocessing_check.startswith("not verified: share")
  [warning] = _warnings(caplog)
  assert "-1..1 (the chosen preprocessing) does not fit; 0..1 does" in warning


def test_noise_has_no_classes(tmp_path):
  _classifier().save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras", preprocessing="0..1")
  assert told.preprocessing_check.startswith(
    "not verified: the model has no batch norm with averages of its training"
  )
  with pytest.raises(errors.UsageError, match="set preprocessing to one of"):
    _loaded(tmp_path / "a.keras")


def test_the_open_share_equals_a_sum_over_images_and_classes():
  scores = 3 * np.random.default_rng(0).normal(size=[30, 7])
  p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
  information = sum(
    row[c] / 30 * np.log(row[c] / p[:, c].mean()) for row in p for c in range(7)
  )
  expected = 1 - information / np.log(7)
  for given in (scores, scores + 50, p):
    assert preprocessing_check.open_share(given) == pytest.approx(expected)
  certain = 900 * np.eye(7)[np.arange(70) % 7]
  assert preprocessing_check.open_share(certain) == pytest.approx(0)
  assert preprocessing_check.open_share(certain[[0] * 5]) == 1
  assert preprocessing_check.open_share(scores * np.nan) == 1


def test_units_that_never_change_are_counted_for_other_preprocessings(
  tmp_path, caplog
):
  """Half of the units see only pixels above 2, which 0..1 does not have."""
  inputs = _layers.Input([16, 16, 3])
  maps = _layers.Conv2D(6, 1, activation="relu", name="maps")(inputs)
  pooled = _layers.GlobalAveragePooling2D()(maps)
  model = tf.keras.Model(inputs, pooled)
  model.get_layer("maps").set_weights(
    [np.tile(np.eye(3), 2)[None, None], np.repeat([0.0, -2.0], 3)]
  )
  model.save(tmp_path / "a.keras")
  told = _loaded(tmp_path / "a.keras", preprocessing="0..1")
  assert told.preprocessing_check.endswith(
    "; 50 % of its units have one value for all images, with 0..255 0 %"
  )
  [warning] = _warnings(caplog)
  assert "50 % of its units" in warning
  told = _loaded(tmp_path / "a.keras", preprocessing="0..255")
  assert told.preprocessing_check.endswith("averages of its training")


def test_a_real_classifier_with_folded_batch_norms(shared_data, caplog):
  """ResNet-20 normalizes inside the file, so that it takes 0..255."""
  paths = sorted((shared_data / "cifar10/test").glob("*/*"))
  images = [
    tf.io.decode_image(path.read_bytes(), 3)
    for path in paths[:: len(paths) // 64][:64]
  ]
  told = _loaded(
    shared_data / "models/resnet20_cifar10_classifier.onnx",
    photos=np.stack(images).astype("f"),
  )
  assert told.preprocessing == "0..255"
  assert told.preprocessing_check.startswith("verified: share of the class")
  assert not _warnings(caplog)


def test_our_own_models_need_no_check():
  for name in ("pixels", "random:resnet18"):
    assert _loaded(name).preprocessing_check == ""


def _save_onnx(model, path, metadata):
  """The network as ONNX, channels first, with batch norms as operations."""
  nodes, constants, tensor = [], [], "images"

  def constant(name, array):
    constants.append(numpy_helper.from_array(np.asarray(array), name))
    return name

  for i, layer in enumerate(model.layers[1:-2]):
    output = f"t{i}"
    if isinstance(layer, _layers.Conv2D):
      kernel, bias = layer.get_weights()
      inputs = [
        constant(f"k{i}", kernel.transpose(3, 2, 0, 1)),
        constant(f"b{i}", bias),
      ]
      node = helper.make_node(
        "Conv", [tensor, *inputs], [output], strides=[2, 2]
      )
    elif isinstance(layer, _layers.BatchNormalization):
      inputs = [
        constant(f"w{i}_{j}", w) for j, w in enumerate(layer.get_weights())
      ]
      node = helper.make_node(
        "BatchNormalization", [tensor, *inputs], [output], epsilon=layer.epsilon
      )
    else:
      node = helper.make_node("Relu", [tensor], [output])
    nodes.append(node)
    tensor = output
  nodes.append(helper.make_node("GlobalAveragePool", [tensor], ["pooled"]))
  nodes.append(helper.make_node("Flatten", ["pooled"], ["features"]))
  graph = helper.make_graph(
    nodes,
    "graph",
    [helper.make_tensor_value_info("images", 1, ["B", 3, "H", "W"])],
    [onnx.ValueInfoProto(name="features")],
    constants,
  )
  opset = [helper.make_opsetid("", 17)]
  saved = helper.make_model(graph, opset_imports=opset, ir_version=8)
  helper.set_model_props(saved, metadata)
  onnx.save(saved, path)


def test_an_onnx_file_is_checked_and_its_metadata_corrected(tmp_path, caplog):
  model = _trained("imagenet")
  path = tmp_path / "a.onnx"
  _save_onnx(model, path, {"Image.NominalPixelRange": "Normalized_0_1"})
  told = _loaded(path)
  assert told.preprocessing == "imagenet"
  assert told.preprocessing_check.startswith("verified: misfit at the first")
  assert "Image.NominalPixelRange in the file) does not" in (
    told.preprocessing_chosen
  )
  assert len(_warnings(caplog)) == 1
  model.save(tmp_path / "a.keras")
  assert _loaded(tmp_path / "a.keras").preprocessing_check == (
    told.preprocessing_check
  )


def test_keras_3s_batch_norm_is_checked_in_a_saved_model(tmp_path):
  """Its layers write batch norm as products and sums."""

  class Module(tf.Module):
    def __init__(self):
      super().__init__()
      photos = _photos() / 127.5 - 1
      rng = np.random.default_rng(0)
      self.kernel = tf.Variable(rng.normal(size=[3, 3, 3, 8]).astype("f"))
      mean, variance = tf.nn.moments(self._maps(photos), [0, 1, 2])
      self.mean, self.variance = tf.Variable(mean), tf.Variable(variance)
      self.gamma, self.beta = tf.Variable(2 * tf.ones(8)), tf.Variable(mean)

    def _maps(self, images):
      return tf.nn.conv2d(images, self.kernel, 2, "SAME")

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def serve(self, images):
      maps = tf.nn.batch_normalization(
        self._maps(images),
        self.mean,
        self.variance,
        self.beta,
        self.gamma,
        1e-3,
      )
      return {"features": tf.reduce_mean(tf.nn.relu(maps), [1, 2])}

  module = Module()
  tf.saved_model.save(
    module, str(tmp_path / "a"), signatures={"serving_default": module.serve}
  )
  told = _loaded(tmp_path / "a")
  assert told.preprocessing in ("-1..1", "(x-127)/128")
  assert told.preprocessing_check.startswith(
    "verified: misfit at the first batch norm"
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
