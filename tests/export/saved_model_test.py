"""Exported SavedModels, used without this project."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tf_ssl import errors
from tf_ssl.encoders import batch_norm
from tf_ssl.export import model_card, saved_model
from tf_ssl.ops import pixels


class _TinyEncoder(tf.keras.Model):
  """Two strided convolutions; batch norm split into two groups."""

  feature_size = 6

  def __init__(self):
    super().__init__()
    self.stem = tf.keras.layers.Conv2D(4, 3, strides=4, padding="same")
    self.norm = batch_norm.split(groups=2)
    self.last = tf.keras.layers.Conv2D(6, 3, strides=2, padding="same")

  def endpoints(self, images, training=None):
    c2 = tf.nn.relu(self.norm(self.stem(images), training=training))
    return {"C2": c2, "C3": self.last(c2)}

  def call(self, images, training=None):
    return tf.reduce_mean(self.endpoints(images, training)["C3"], [1, 2])


@pytest.fixture(scope="module", name="model")
def fixture_model():
  tf.keras.utils.set_random_seed(3)
  encoder = _TinyEncoder()
  head = tf.keras.layers.Dense(5)
  head(
    encoder(pixels.normalize(_images(4)), training=True)
  )  # Builds, moves BN.
  return encoder, head


def _images(batch, height=8, width=8):
  rng = np.random.default_rng(batch)
  return rng.integers(0, 256, [batch, height, width, 3], dtype=np.uint8)


@pytest.fixture(scope="module", name="path")
def fixture_path(model, tmp_path_factory):
  path = str(tmp_path_factory.mktemp("export") / "saved_model")
  provenance = {"run": {"seed": 7}}
  return saved_model.export_encoder(*model, path, provenance=provenance)


@pytest.fixture(scope="module", name="loaded")
def fixture_loaded(path):
  return tf.saved_model.load(path)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 17, 30)])
@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_every_function_equals_the_encoder(model, loaded, shape, dtype):
  encoder, head = model
  images = tf.cast(_images(*shape), dtype)
  expected = encoder(pixels.normalize(images), training=False)
  suffix = "_uint8" if dtype == tf.uint8 else ""

  def signature(name):
    return loaded.signatures[name + suffix](images)

  for features in (
    loaded(images),
    loaded(images, training=False),
    loaded.features(images),
    signature("features")["features"],
  ):
    np.testing.assert_allclose(features, expected, atol=1e-5)
  unit = tf.math.l2_normalize(head(expected), axis=1)
  np.testing.assert_allclose(loaded.embedding(images), unit, atol=1e-5)
  np.testing.assert_allclose(
    signature("embedding")["embedding"], unit, atol=1e-5
  )
  maps = encoder.endpoints(pixels.normalize(images), training=False)
  for found in (loaded.endpoints(images), signature("endpoints")):
    assert set(found) == {"C2", "C3"}
    for name in found:
      np.testing.assert_allclose(found[name], maps[name], atol=1e-5)


def test_numpy_bytes_reach_the_float_signature_by_name(loaded):
  images = _images(2)
  np.testing.assert_allclose(
    loaded.signatures["features"](images=images)["features"],
    loaded.features(images),
    atol=1e-6,
  )


def test_training_updates_statistics_with_any_batch_size(path):
  loaded = tf.saved_model.load(path)
  images = tf.cast(_images(3), tf.float32)  # Not a multiple of the two groups.
  before = [v.numpy() for v in loaded.variables]

  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(loaded(images, training=True)))
  gradients = tape.gradient(loss, loaded.trainable_variables)

  assert all(g is not None for g in gradients)
  moved = [
    not np.array_equal(old, new)
    for old, new in zip(before, loaded.variables, strict=True)
  ]
  assert sum(moved) == 2  # Mean and variance.
  assert loaded.regularization_losses == []
  assert len(loaded.projection_head_variables) == 2


def test_exporting_does_not_change_split_batch_norm(model, path):
  del path  # Only asked for so that the export has happened.
  assert model[0].norm.groups == 2


def test_provenance_describes_how_to_call_the_model(path):
  text = pathlib.Path(path, "provenance.json").read_text(encoding="utf-8")
  provenance = json.loads(text)
  assert provenance["run"] == {"seed": 7}
  assert provenance["preprocessing"]["mean"] == list(pixels.IMAGENET_MEAN)
  signatures = provenance["signatures"]
  assert signatures["features_uint8"]["images"] == "uint8"
  assert signatures["embedding"]["outputs"] == {"embedding": [None, 5]}
  assert set(signatures["endpoints"]["outputs"]) == {"C2", "C3"}


def test_it_has_a_model_card(path):
  text = pathlib.Path(path, "README.md").read_text(encoding="utf-8")
  front = yaml.safe_load(text.split("---\n")[1])
  assert front["library_name"] == "tf-keras"
  assert "-> [B, 6]" in text and "| `embedding` |" in text
  assert "| seed | 7 |" in text
  assert saved_model.has_nothing_else(path)


def test_a_license_is_checked_before_anything_is_written(model, tmp_path):
  path = tmp_path / "licensed"
  with pytest.raises(errors.UsageError, match="license='My own'"):
    saved_model.export_encoder(
      *model, str(path), provenance={}, license="My own"
    )
  assert not path.exists()


def test_an_export_survives_a_card_that_cannot_be_made(
  model, tmp_path, monkeypatch, caplog
):
  def fail(*arguments, **keywords):
    raise RuntimeError("no card")

  monkeypatch.setattr(model_card, "card", fail)
  path = str(tmp_path / "cardless")
  saved_model.export_encoder(model[0], None, path, provenance={})
  assert saved_model.is_whole(path)
  assert not pathlib.Path(path, "README.md").exists()
  assert "no README.md is written: RuntimeError('no card')" in caplog.text


def test_an_existing_output_is_replaced_only_if_asked(model, tmp_path):
  (tmp_path / "precious").write_text("kept")
  with pytest.raises(errors.UsageError, match="overwrite"):
    saved_model.export_encoder(*model, str(tmp_path), provenance={})
  assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize(
  "file", ["saved_model.pb", "variables/variables.index", "provenance.json"]
)
def test_an_export_with_an_empty_or_a_lost_file_is_not_whole(
  path, tmp_path, file
):
  assert saved_model.is_whole(path)
  assert not saved_model.is_whole(str(tmp_path / "missing"))
  copy = tmp_path / "copy"
  shutil.copytree(path, copy)
  (copy / file).write_bytes(b"")
  assert not saved_model.is_whole(str(copy))
  (copy / file).unlink()
  assert not saved_model.is_whole(str(copy))


def test_an_encoder_without_a_head_has_no_embedding(model, tmp_path):
  path = str(tmp_path / "headless")
  saved_model.export_encoder(model[0], None, path, provenance={})
  assert sorted(tf.saved_model.load(path).signatures) == [
    "endpoints",
    "endpoints_uint8",
    "features",
    "features_uint8",
  ]


# Runs where tf_ssl cannot be imported, on two logical CPUs, once for all the
# checks that need a process of their own.
_STRANGER = """
import json, sys
sys.modules["tf_ssl"] = None  # From here on, `import tf_ssl` fails.
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
path, images_path = sys.argv[1:]
images = np.load(images_path)
loaded = tf.saved_model.load(path)
report = {"features": loaded.features(images).numpy().tolist()}

def fine_tune(strategy):
  with strategy.scope():
    encoder = hub.KerasLayer(path, trainable=True)
    model = tf.keras.Sequential([
        tf.keras.layers.InputLayer(images.shape[1:]), encoder,
        tf.keras.layers.Dense(2)])
    model.compile(
        tf.keras.optimizers.SGD(0.05),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  before = [w.numpy() for w in encoder.weights]
  dark = np.arange(len(images)) % 2
  data = tf.data.Dataset.from_tensor_slices(
      (images * (1 - 0.8 * dark[:, None, None, None]), dark)).batch(10)
  losses = model.fit(data, epochs=6, verbose=0).history["loss"]
  moved = [not np.array_equal(b, w.numpy())
           for b, w in zip(before, encoder.weights)]
  return {"losses": losses, "weights": len(moved), "moved": sum(moved),
          "trainable": len(encoder.trainable_weights),
          "replicas": strategy.num_replicas_in_sync}

report["one"] = fine_tune(tf.distribute.get_strategy())
report["two"] = fine_tune(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
print(json.dumps(report))
"""


def test_it_is_fine_tuned_without_this_project_on_one_and_two_devices(
  model, path, tmp_path
):
  images = _images(30).astype(np.float32)
  np.save(tmp_path / "images.npy", images)

  done = subprocess.run(
    [sys.executable, "-I", "-c", _STRANGER, path, tmp_path / "images.npy"],
    cwd=tmp_path,
    env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 0, done.stderr[-3000:]
  report = json.loads(done.stdout.splitlines()[-1])
  expected = model[0](pixels.normalize(images), training=False)
  np.testing.assert_allclose(report["features"], expected, atol=1e-5)
  for key, replicas in (("one", 1), ("two", 2)):
    run = report[key]
    assert run["replicas"] == replicas
    assert run["losses"][-1] < 0.7 * run["losses"][0]
    # Two convolutions and batch norm: kernel, bias, scale, offset learn; mean
    # and variance follow the data.
    assert (run["trainable"], run["weights"]) == (6, 8)
    assert run["moved"] == 8


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
