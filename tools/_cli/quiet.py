"""Imports TensorFlow without its three screens of known, harmless messages.

Everything else, above all every error, is shown.
"""

import logging
import os
import sys
import warnings

from tf_ssl.ops import home, known_lines

# TensorFlow's own levels: 1 drops information, 2 also warnings, 3 also errors.
_LOG_LEVEL = "2"

_GPU = "/dev/nvidia0"
_KNOWN_WARNINGS = (
  "You are using a Python version",  # google-api-core
  "pkg_resources is deprecated",  # tensorflow-hub
  r"(?s).*TensorFlow Addons \(TFA\) has ended development",
)


def import_tensorflow() -> None:
  """Imports TensorFlow; the user's own log level or warning filters win."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _LOG_LEVEL)
  # TensorFlow turns these kernels on by itself only where the CPU has AVX-512;
  # on others too they train up to three times faster.
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
  if not home.is_writable():
    # Keras would make a folder "~" in the working directory, and Matplotlib
    # warn and look for all fonts again in each run.
    for name in ("KERAS_HOME", "MPLCONFIGDIR"):
      os.environ.setdefault(name, str(home.temporary() / name.lower()))
  if not sys.warnoptions:
    for message in _KNOWN_WARNINGS:
      warnings.filterwarnings("ignore", message=message)
  # Beam warns about a storage client that is not installed.
  logging.getLogger("apache_beam.io.filesystems").setLevel(logging.ERROR)
  if "tensorflow" in sys.modules:
    return
  with known_lines.dropped():
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
  if os.path.exists(_GPU) and not gpus:
    print(
      "This machine has a GPU that TensorFlow cannot use: is "
      "tensorflow[and-cuda] installed (pip install 'tf_ssl[gpu]')?",
      file=sys.stderr,
    )
