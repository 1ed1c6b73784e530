"""Drops lines that TensorFlow and Beam print as errors and that are none.

They are listed here; everything else is shown.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_GPU = "/dev/nvidia0"
# Printed as *errors*, most by the C++ half of TensorFlow when it is imported,
# when it looks for GPUs and when it compiles a function for CPUs: no log level
# hides these without hiding real errors.
_KNOWN_LINES = (
  "Unable to register cu(DNN|FFT|BLAS) factory"
  "|All log messages before absl::InitializeLog"
  "|Compiled cluster using XLA!"
  "|SetPriority unimplemented for this stream"
  "|Failed to import GCSFileSystem"  # Beam, without Google's storage client.
)
_WITHOUT_GPU = "|failed call to cuInit"
_SECONDS_TO_END = 2.0  # That the filter has to print its last lines.


@contextlib.contextmanager
def dropped() -> Iterator[None]:
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
