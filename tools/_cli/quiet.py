"""Imports TensorFlow without its three screens of known, harmless messages.

What is silenced is listed here, line by line; everything else, above all every
error, comes through.
"""

import contextlib
import io
import os
import re
import signal
import sys
import warnings

# TensorFlow's own levels: 1 drops information, 2 also warnings, 3 also errors.
_LOG_LEVEL = "2"

# Printed as *errors* by the C++ half of TensorFlow 2.15 when it is imported,
# on every machine: no log level hides these without hiding real errors.
_KNOWN_LINES = re.compile(
  rb"Unable to register cu(DNN|FFT|BLAS) factory"
  rb"|All log messages before absl::InitializeLog"
  # and by XLA, the first times that it compiles something for a CPU
  rb"|Compiled cluster using XLA!"
  rb"|SetPriority unimplemented for this stream"
  # by Beam, where Google's storage client is not installed
  rb"|Failed to import GCSFileSystem"
)

# What is written last: the end of the filter. It must not wait until all have
# closed the pipe, for processes that libraries keep (joblib, multiprocessing)
# hold it as long as this one lives.
_END = b"\0the end of what is filtered\n"

_KNOWN_WARNINGS = (
  "You are using a Python version",  # google-api-core
  "pkg_resources is deprecated",  # tensorflow-hub
  r"(?s).*TensorFlow Addons \(TFA\) has ended development",
)


def import_tensorflow() -> None:
  """Imports TensorFlow; a log level or warning filter of the user's wins."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _LOG_LEVEL)
  # TensorFlow turns these kernels on by itself only where the CPU has AVX-512;
  # on others too they train up to three times faster.
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
  if not sys.warnoptions:
    for message in _KNOWN_WARNINGS:
      warnings.filterwarnings("ignore", message=message)
  if "tensorflow" in sys.modules:
    return
  with known_lines_dropped():
    import tensorflow as tf
  if os.path.exists("/dev/nvidia0") and not tf.config.list_physical_devices(
    "GPU"
  ):
    print(
      "This machine has a GPU that TensorFlow cannot use: is "
      "tensorflow[and-cuda] installed (pip install 'tf_ssl[gpu]')?",
      file=sys.stderr,
    )


@contextlib.contextmanager
def known_lines_dropped():
  """Inside, what C++ code prints passes through a filter for the known lines.

  The filter is a process of its own: if this one aborts (say, because the CPU
  lacks an instruction), its last words still reach the terminal. Python's own
  standard error stays the terminal, so progress bars know that it is one.
  Inside of another such block nothing changes.
  """
  if getattr(sys.stderr, "passes_the_filter_by", False):
    yield
    return
  sys.stderr.flush()
  read_end, write_end = os.pipe()
  child = os.fork()
  if child == 0:
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, signal.SIG_IGN)
    os.close(write_end)
    try:
      _forward(read_end)
    finally:
      os._exit(0)
  os.close(read_end)
  terminal = os.dup(2)
  os.dup2(write_end, 2)
  os.close(write_end)
  before = sys.stderr
  sys.stderr = _Unfiltered(terminal)
  try:
    yield
  finally:
    sys.stderr.flush()
    sys.stderr = before
    with contextlib.suppress(OSError):  # the filter was killed
      os.write(2, _END)
    os.dup2(terminal, 2)
    os.close(terminal)
    os.waitpid(child, 0)


class _Unfiltered(io.TextIOWrapper):
  """Text to a file descriptor that stays open after it."""

  passes_the_filter_by = True

  def __init__(self, descriptor: int):
    raw = io.FileIO(descriptor, "w", closefd=False)
    super().__init__(
      io.BufferedWriter(raw), errors="backslashreplace", line_buffering=True
    )


def _forward(read_end: int) -> None:
  with os.fdopen(read_end, "rb") as lines:
    for line in lines:
      at_end = line.endswith(_END)
      line = line.removesuffix(_END)
      if line and not _KNOWN_LINES.search(line):
        os.write(2, line)
      if at_end:
        return
