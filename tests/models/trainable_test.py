"""Tests of tf_ssl.models.trainable."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.evaluation import protocol
from tf_ssl.export import saved_model
from tf_ssl.models import load, reader, trainable
from tf_ssl.ops import pixels


def _images(count=3, size=32):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [count, size, size, 3]).astype(np.float32)


def _encoder(batch_norms=batch_norm.plain):
  tf.keras.utils.set_random_seed(1)
  encoder = resnet.resnet18(width=1 / 32, stem="small", batch_norm=batch_norms)
  encoder(tf.zeros([2, 8, 8, 3]))
  return encoder


@pytest.fixture(scope="module", name="exported")
def fixture_exported(tmp_path_factory):
  """An encoder with split batch norm, and the path of its SavedModel."""
  encoder = _encoder(lambda **kw: batch_norm.split(groups=2, **kw))
  path = str(tmp_path_factory.mktemp("exported") / "ours")
  saved_model.export_encoder(encoder, None, path, provenance={})
  return encoder, path


def _keras_file(folder):
  given = tf.keras.Input([None, None, 3])
  maps = tf.keras.layers.Rescaling(1 / 255)(given)
  for i in range(1, 6):
    maps = tf.keras.layers.Conv2D(2 * i, 3, strides=2, padding="same")(maps)
    maps = tf.keras.layers.BatchNormalization()(maps)
  pooled = tf.keras.layers.GlobalAveragePooling2D()(maps)
  scores = tf.keras.layers.Dense(2, name="scores")(pooled)
  model = tf.keras.Model(given, scores)
  model.trainable = False  # As its author saved it.
  model.save(folder / "a.keras")
  return str(folder / "a.keras")


def _moved(encoder, function):
  """Whether one step of SGD on a function's output changes each variable."""
  before = [v.numpy() for v in encoder.variables]
  with tf.GradientTape() as tape:
    output = tf.nest.flatten(function(_images(), True))[-1]
    loss = tf.reduce_sum(tf.square(output - 1.0))
  gradients = tape.gradient(loss, encoder.trainable_variables)
  assert all(g is not None for g in gradients)
  optimizer = tf.keras.optimizers.legacy.SGD(0.1)
  optimizer.apply_gradients(
    zip(gradients, encoder.trainable_variables, strict=True)
  )
  return [
    not np.array_equal(old, new)
    for old, new in zip(before, encoder.variables, strict=True)
  ]


def test_an_exported_encoder_computes_equal_maps_and_trains(exported):
  encoder, path = exported
  found = trainable.load_trainable(f"mine={path}")
  expected = encoder.endpoints(pixels.normalize(_images()), training=False)
  maps = found.endpoints(_images(), False)
  assert list(maps) == ["C2", "C3", "C4", "C5"]
  for name, values in maps.items():
    np.testing.assert_allclose(values, expected[name], atol=1e-4)
  np.testing.assert_allclose(
    found.features(_images(), False), np.mean(maps["C5"], (1, 2)), atol=1e-5
  )
  assert found.strides == {"C2": 1, "C3": 2, "C4": 4, "C5": 8}
  assert found.channels == {"C2": 2, "C3": 4, "C4": 8, "C5": 16}
  told = found.description
  assert (told.name, told.kind, told.width) == ("mine", "tf_ssl SavedModel", 16)
  assert told.digest == load.load_model(path).description.digest
  assert told.note == ""
  with found.restored():
    assert all(_moved(found, found.features))  # batch norm's averages, too
  with found.restored():
    assert all(_moved(found, found.endpoints))
  np.testing.assert_allclose(
    found.endpoints(_images(), False)["C5"], maps["C5"]
  )


def test_a_run_with_split_batch_norm_is_fine_tuned_with_plain_batch_norm(
  tmp_path,
):
  (tmp_path / "step-1.index").touch()
  encoder = _encoder(lambda **kw: batch_norm.split(groups=2, **kw))
  found = trainable.load_trainable(
    f"run={tmp_path}/step-1", restore_run=lambda path: encoder
  )
  assert found.description.kind == "tf_ssl run"
  plain = _encoder()
  images = _images(3)  # no multiple of the two groups
  np.testing.assert_allclose(
    found.features(images, True),
    plain(pixels.normalize(images), training=True),
    atol=1e-4,
  )
  assert all(_moved(found, found.endpoints))


def test_an_untrained_encoder_starts_from_its_seed():
  found = trainable.load_trainable("random:resnet18:3")
  reference = load.load_model("random:resnet18:3")
  np.testing.assert_allclose(
    found.features(_images(), False),
    reference.features(_images()),
    rtol=1e-3,
    atol=1e-4,
  )
  assert found.strides == {"C2": 4, "C3": 8, "C4": 16, "C5": 32}
  assert found.description.digest == reference.description.digest


def test_all_layers_of_a_frozen_keras_file_are_trained(tmp_path):
  path = _keras_file(tmp_path)
  found = trainable.load_trainable(path)
  assert found.strides == {"C2": 4, "C3": 8, "C4": 16, "C5": 32}
  assert found.channels == {"C2": 4, "C3": 6, "C4": 8, "C5": 10}
  assert found.description.width == 10
  np.testing.assert_allclose(
    found.features(_images(), False),
    load.load_model(path).features(_images()),
    rtol=1e-5,
    atol=1e-6,
  )
  # The bias of a convolution before batch norm gets no gradient worth a step.
  names = [v.name for v in found.variables]
  moved = dict(zip(names, _moved(found, found.endpoints), strict=True))
  assert all(
    moved[name] for name in names if "gamma" in name or "moving_mean" in name
  )
  assert not any("scores" in name for name in names)


def test_a_keras_application_has_the_maps_of_its_stages():
  found = trainable.load_trainable("keras.applications:MobileNet:random")
  maps = found.endpoints(_images(1, 64), False)
  assert {name: x.shape[1:3] for name, x in maps.items()} == {
    "C2": [16, 16],
    "C3": [8, 8],
    "C4": [4, 4],
    "C5": [2, 2],
  }
  np.testing.assert_allclose(
    found.features(_images(1, 64), False),
    np.mean(maps["C5"], (1, 2)),
    rtol=1e-4,
    atol=1e-6,
  )


class _Hub(tf.Module):
  """A reusable SavedModel without maps."""

  variables = trainable_variables = ()

  def __init__(self):
    super().__init__()
    self.scale = tf.Variable([[1.0, 2.0]] * 3)
    self.variables = self.trainable_variables = [self.scale]

  @tf.function
  def __call__(self, images, training=False):
    return tf.reduce_mean(images, [1, 2]) @ self.scale * (2 - int(training))


def _save_hub(path, modes):
  module = _Hub()
  for training in modes:
    module.__call__.get_concrete_function(
      tf.TensorSpec([None, None, None, 3], tf.float32), training
    )
  tf.saved_model.save(module, path)
  return path


def test_a_reusable_saved_model_trains_but_has_no_maps(tmp_path):
  found = trainable.load_trainable(
    _save_hub(str(tmp_path / "a"), (True, False))
  )
  sums = _images().mean((1, 2)).sum(axis=1, keepdims=True) / 255 * [1, 2]
  np.testing.assert_allclose(found.features(_images(), True), sums, rtol=1e-5)
  np.testing.assert_allclose(
    found.features(_images(), False), 2 * sums, rtol=1e-5
  )
  assert _moved(found, found.features) == [True]
  with pytest.raises(errors.UsageError, match="no maps C2 to C5"):
    found.endpoints(_images(), False)
  with pytest.raises(errors.UsageError, match="from scratch"):
    found.draw_weights(0)


def test_models_that_cannot_be_trained_are_refused(tmp_path):
  inference = _save_hub(str(tmp_path / "inference"), [False])
  for spec, reason in (
    (inference, "SavedModel without weights"),
    ("pixels", "raw pixels without weights"),
  ):
    with pytest.raises(errors.UsageError, match=f"{reason}.*; expected a run"):
      trainable.load_trainable(spec)
  given = tf.keras.Input([8, 8, 3], batch_size=4)
  fixed = tf.keras.layers.Rescaling(1.0)(given)
  tf.keras.Model(given, tf.keras.layers.Conv2D(2, 3)(fixed)).save(
    tmp_path / "fixed.keras"
  )
  with pytest.raises(errors.UsageError, match="exactly 4 images"):
    trainable.load_trainable(str(tmp_path / "fixed.keras"))


def test_drawn_weights_are_an_initialization_that_depends_on_the_seed(exported):
  found = trainable.load_trainable(exported[1])
  with found.restored():
    found.draw_weights(5)
    first = [v.numpy() for v in found.variables]
    found.draw_weights(5)
    again = [v.numpy() for v in found.variables]
    found.draw_weights(6)
    other = [v.numpy() for v in found.variables]
  names = [v.name for v in found.variables]
  for name, a, b, c in zip(names, first, again, other, strict=True):
    np.testing.assert_array_equal(a, b)
    if "kernel" in name:
      assert not np.array_equal(a, c)
    else:
      expected = 1 if "gamma" in name or "variance" in name else 0
      np.testing.assert_array_equal(a, np.full_like(a, expected))


def test_kernels_have_variance_two_over_fan_out():
  kernel = tf.Variable(tf.zeros([3, 3, 50, 80]), name="conv/kernel")
  trainable.draw_weights([kernel], 0, name="x")
  values = kernel.numpy()
  assert abs(values.std() - np.sqrt(2 / (9 * 80))) < 0.001
  assert abs(values.mean()) < 0.001


def test_a_subject_loads_the_network_once(exported):
  subject = protocol.Subject(f"mine={exported[1]}")
  assert subject.trainable is subject.trainable
  assert subject.trainable.name == "mine"
  assert subject.frozen.description.digest == (
    subject.trainable.description.digest
  )


@pytest.mark.parametrize("shape", [[1, 3], [1, -1]])
def test_a_batch_that_is_fixed_inside_cannot_be_trained(shape):
  def features(images, training):
    del training
    return tf.reshape(tf.reduce_mean(images, [1, 2]), shape)

  described = reader.Reader(
    "test",
    features,
    "output",
    "",
    "",
    preprocessing="0..255",
    network=lambda: reader.Network(features, None, [], []),
  )
  with pytest.raises(errors.UsageError, match="two images"):
    trainable.TrainableEncoder("a", described, path="a.keras")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
