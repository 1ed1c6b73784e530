"""Imports TensorFlow without its three screens of known, harmless messages.

The messages are listed here; everything else, above all every error, is shown.
"""

import contextlib
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

from tf_ssl.ops import home

# TensorFlow's own levels: 1 drops information, 2 also warnings, 3 also errors.
_LOG_LEVEL = "2"

_GPU = "/dev/nvidia0"
# Printed as *errors* by the C++ half of TensorFlow when it is imported and when
# it looks for GPUs: no log level hides these without hiding real errors.
_KNOWN_LINES = (
  "Unable to register cu(DNN|FFT|BLAS) factory"
  "|All log messages before absl::InitializeLog"
)
_WITHOUT_GPU = "|failed call to cuInit"
_SECONDS_TO_END = 2.0  # That the filter has to print its last lines.
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
  with known_lines_dropped():
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
  if os.path.exists(_GPU) and not gpus:
    print(
      "This machine has a GPU that TensorFlow cannot use: is "
      "tensorflow[and-cuda] installed (pip install 'tf_ssl[gpu]')?",
      file=sys.stderr,
    )


@contextlib.contextmanager
def known_lines_dropped() -> Iterator[None]:
  """Filters standard error, also of C++ code, inside a `with` block.

  The filter is `grep`, a process of its own: if this process aborts (say,
  because the CPU lacks an instruction), its last lines still appear. Without
  `grep`, nothing is filtered.
  """
  known = _KNOWN_LINES + ("" if os.path.exists(_GPU) else _WITHOUT_GPU)
  command = ["grep", "--line-buffered", "--text", "-vE", known]
  try:
    # Its own session: Ctrl-C must not end the filter before this process.
    grep = subprocess.Popen(
      command, stdin=subprocess.PIPE, stdout=2, start_new_session=True
    )
  except OSError:
    yield
    return
  sys.stderr.flush()
  terminal = os.dup(2)
  os.dup2(grep.stdin.fileno(), 2)
  try:
    yield
  finally:
    sys.stderr.flush()
    os.dup2(terminal, 2)
    os.close(terminal)
    grep.stdin.close()
    # A process started inside, which still writes to the filter, keeps it.
    with contextlib.suppress(subprocess.TimeoutExpired):
      grep.wait(timeout=_SECONDS_TO_END)
