"""Files of Keras 3 against what Keras 3 itself computes."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.models import load
from tf_ssl.ops import compat

pytestmark = pytest.mark.slow

# Makes a file and the outputs of two of its layers for seeded images.
_MAKE = """
import sys
import keras
import numpy as np
folder, suffix = sys.argv[1:]
keras.utils.set_random_seed(3)
inputs = keras.Input([16, 16, 3])
maps = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
maps = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(maps)
maps = keras.layers.BatchNormalization(name="norm")(maps)
if suffix == ".keras":  # Keras cannot read its own operations from .h5.
  maps = keras.ops.relu(maps) + 0.5 * maps
pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(maps)
model = keras.Model(inputs, keras.layers.Dense(4, name="logits")(pooled))
model.save(f"{folder}/model{suffix}")
images = np.random.default_rng(0).integers(0, 256, [5, 16, 16, 3], np.uint8)
outputs = [model.get_layer(name).output for name in ("pooled", "norm")]
pooled, norm = keras.Model(inputs, outputs).predict(images, verbose=0)
np.savez(f"{folder}/expected.npz", images=images, pooled=pooled, norm=norm)
"""


@pytest.fixture(name="python", scope="module")
def fixture_python():
  """The path of a Python with Keras 3."""
  other = (
    os.environ.get("TF_SSL_OTHER_PYTHON") if compat.KERAS == "keras" else ""
  )
  found = compat.keras_3_python() or other
  if not found:
    pytest.skip(f"needs the path of a Python in {compat.KERAS_3_PYTHON}")
  return found


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_features_are_those_of_keras_3(python, suffix, tmp_path, monkeypatch):
  monkeypatch.setenv(compat.KERAS_3_PYTHON, python)
  done = subprocess.run(
    [python, "-c", _MAKE, str(tmp_path), suffix],
    env=compat.keras_3_environment(),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  path = str(tmp_path / f"model{suffix}")
  with np.load(tmp_path / "expected.npz") as saved:
    expected = dict(saved)
  model = load.load_model(path)
  assert model.description.kind == "Keras 3 file"
  assert model.description.layer == "pooled"
  assert model.description.preprocessing == "0..255"
  assert expected["pooled"].std() > 0.01
  np.testing.assert_allclose(
    model.features(expected["images"]), expected["pooled"], atol=1e-5
  )
  maps = load.load_model(path, layer="norm")
  np.testing.assert_allclose(
    maps.features(expected["images"]),
    expected["norm"].mean(axis=(1, 2)),
    atol=1e-5,
  )
  with pytest.raises(errors.UsageError, match="no layer 'nrm'.*pooled"):
    load.load_model(path, layer="nrm")


def _h5(path, config="{}"):
  with h5py.File(path, "w") as file:
    file.attrs["keras_version"] = "3.5.0"
    file.attrs["model_config"] = config
  return str(path)


def test_without_keras_3_one_line_says_how_to_name_one(tmp_path, monkeypatch):
  monkeypatch.setattr(compat, "keras_3_python", lambda: None)
  with pytest.raises(
    errors.UsageError,
    match=f"saved by Keras 3.5.0.*{compat.KERAS_3_PYTHON}.*SavedModel",
  ):
    load.load_model(_h5(tmp_path / "a.h5"))


def test_a_python_that_cannot_read_it_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setenv(compat.KERAS_3_PYTHON, "/bin/false")
  with pytest.raises(
    errors.UsageError, match="a.h5 was saved by Keras 3.5.0 and .*exit code 1"
  ) as failed:
    load.load_model(_h5(tmp_path / "a.h5"))
  assert "\n" not in str(failed.value)


def test_a_config_that_could_run_code_never_reaches_keras(
  tmp_path, monkeypatch
):
  monkeypatch.setenv(compat.KERAS_3_PYTHON, "/bin/false")
  config = '{"class_name": "Lambda", "module": "keras.layers", "config": {}}'
  with pytest.raises(errors.UsageError, match="Lambda"):
    load.load_model(_h5(tmp_path / "a.h5", config))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
