"""Which Keras a process gets, in processes of their own."""

import subprocess
import sys

import pytest

from tf_ssl.ops import compat

beside_keras_3 = pytest.mark.skipif(
  compat.KERAS == "keras", reason="TensorFlow 2.15 has only Keras 2"
)


def _run(code, **environment):
  return subprocess.run(
    [sys.executable, "-c", code],
    env={"PYTHONPATH": ":".join(sys.path), **environment},
    capture_output=True,
    text=True,
  )


@pytest.mark.parametrize(
  "code",
  [
    "import tf_ssl, tensorflow as tf",
    "import tensorflow as tf, tf_ssl",
    "import tensorflow as tf; tf.constant(0); import tf_ssl",
  ],
)
def test_tf_keras_is_keras_2_whatever_is_imported_first(code):
  code += "; print(tf.keras.layers.Dense.__module__)"
  done = _run(code)
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith(compat.KERAS + ".")


def test_tf_ssl_alone_does_not_import_tensorflow():
  code = "import sys, tf_ssl; print('tensorflow' in sys.modules)"
  assert _run(code).stdout == "False\n"


@beside_keras_3
def test_a_program_that_has_used_keras_3_is_told_what_to_change():
  done = _run("import tensorflow as tf; tf.keras.layers; import tf_ssl")
  assert done.returncode == 1
  told = done.stderr.splitlines()[-1]
  assert told.startswith("ImportError: tf_ssl needs Keras 2")
  assert "TF_USE_LEGACY_KERAS=1" in told


def test_the_version_is_that_of_keras_2():
  assert compat.keras_version().startswith("2.")


def test_modules_of_keras_2_are_found():
  module = compat.keras_module("protobuf.saved_metadata_pb2")
  assert module.SavedMetadata().nodes is not None
  with pytest.raises(ImportError):
    compat.keras_module("nowhere")


def test_a_package_of_the_other_set_is_told_how_to_get():
  told = compat.how_to_get("tensorflow-io")
  expected = "pip install" if compat.KERAS == "keras" else "Python 3.11"
  assert expected in told


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
