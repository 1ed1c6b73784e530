"""Child processes: environment, end with the parent, crash reports."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_SECONDS = 1.0


def environment(**changes: str) -> dict[str, str]:
  """This process's environment, in which a child finds the same modules.

  Args:
    **changes: variables to add or replace.
  """
  paths = [path or os.getcwd() for path in sys.path]
  return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **changes}


def start(
  command: Sequence[str],
  *,
  end_with_parent: bool = False,
  own_session: bool = False,
  **options,
) -> subprocess.Popen:
  """Starts a child process.

  Args:
    command: program and its arguments.
    end_with_parent: whether the child gets SIGTERM when the thread that starts
      it ends, however it ends (Linux only). It forks the whole process: for
      parents that have not imported TensorFlow. Others call `watch_parent` in
      the child, or give it a pipe as stdin, which ends with them.
    own_session: whether Ctrl-C in the terminal reaches this process alone,
      which then passes it on.
    **options: options of `subprocess.Popen`; `env` is `environment()` unless
      given.

  Raises:
    OSError: the program cannot be started.
  """
  options.setdefault("env", environment())
  if end_with_parent:
    options["preexec_fn"] = _ask_for_end_with_parent
  return subprocess.Popen(command, start_new_session=own_session, **options)


def start_python(code: str, *arguments: str, **options) -> subprocess.Popen:
  """Starts `code` in a fresh interpreter of this Python; see `start`."""
  return start([sys.executable, "-c", code, *arguments], **options)


@functools.cache  # One thread is enough.
def watch_parent(parent: int) -> None:
  """Ends this process within about a second after its parent has died.

  For children that are not started by `start`, such as a pool's workers:
  joblib's wait five minutes for more work. Nothing is flushed or closed.

  Args:
    parent: process id of the parent.
  """

  def watch() -> None:
    while os.getppid() == parent:  # An orphan gets another parent.
      time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)

  threading.Thread(target=watch, name="watch_parent", daemon=True).start()


def stop(processes: Iterable[subprocess.Popen], *, seconds: float) -> None:
  """Sends SIGTERM, waits up to `seconds` in all, then kills what still runs."""
  processes = list(processes)
  for process in processes:
    if process.poll() is None:
      process.terminate()
  deadline = time.monotonic() + seconds
  for process in processes:
    try:
      process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()


def how_it_ended(code: int) -> str:
  """An exit code in words: "exit code 2" or "killed by SIGSEGV"."""
  if code >= 0:
    return f"exit code {code}"
  try:
    return f"killed by {signal.Signals(-code).name}"
  except ValueError:
    return f"killed by signal {-code}"


def last_line(output: bytes, default: str = "it printed nothing") -> str:
  """The last line of a program's output; progress bars rewrite their line."""
  text = output[-4096:].decode("utf-8", "replace")
  lines = [line.split("\r")[-1].strip() for line in text.splitlines()]
  return next((line for line in reversed(lines) if line), default)


def _ask_for_end_with_parent() -> None:
  if _LIBC is not None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
