"""Runs one node as a process of its own, logged, and stamps what it made."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import stamps

LOCK_FILE = "lock"
_LOOK_SECONDS = 0.5  # between two looks at a process
_TIME_TO_SAVE = 120.0  # seconds that a process has after SIGTERM
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class NodeFailed(Exception):
  """A node's process ended without what was asked of it; says why and where."""


class Processes:
  """The processes that run now, to be ended together."""

  def __init__(self, tick: Callable[[], None] = lambda: None):
    """Starts with none; `tick` is called now and then while one runs."""
    self._running: set[subprocess.Popen] = set()
    self._tick = tick

  def run(self, node: plan_lib.Node, inputs: Mapping[str, str]) -> stamps.Stamp:
    """Runs a node to its end and stamps it.

    Where a process of an earlier, killed run still works on it, that one is
    waited for first.

    Args:
      node: whose inputs are all done.
      inputs: from their names to the digests of their products.

    Raises:
      NodeFailed: it failed.
    """
    try:
      node.folder.mkdir(parents=True, exist_ok=True)
      with self._alone(node) as lock:
        stamp = stamps.read(node)
        if stamp is not None and stamp.inputs == dict(inputs):
          return stamp  # another runner has been here meanwhile
        return self._run(node, inputs, lock)
    except OSError as error:
      raise NodeFailed(f"{node.name}: {error}; log: {node.log}") from error

  def end(self) -> None:
    """Asks all to save and stop, and waits for them."""
    for process in self._running.copy():
      if process.poll() is None:
        process.terminate()
    until = time.monotonic() + _TIME_TO_SAVE
    for process in self._running.copy():
      try:
        process.wait(max(until - time.monotonic(), 0.0))
      except subprocess.TimeoutExpired:
        process.kill()

  def _run(self, node, inputs, lock) -> stamps.Stamp:
    spent = stamps.begin(node, inputs)
    began = time.monotonic()
    with open(node.log, "ab") as log:
      log.write(f"$ {node.shown_command}\n".encode("utf-8", "replace"))
      log.flush()
      process = subprocess.Popen(
        node.command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=_environment(),
        pass_fds=[lock],
        # Ctrl-C reaches this process alone, which passes it on once.
        start_new_session=True,
        preexec_fn=_end_with_the_parent,
      )
      self._running.add(process)
      try:
        code = self._wait(process)
      finally:
        self._running.discard(process)
        seconds = spent + time.monotonic() - began
        stamps.note_seconds(node, inputs, seconds)
    if code:
      raise NodeFailed(_failure(node, code))
    try:
      return stamps.finish(node, inputs, seconds)
    except FileNotFoundError as error:
      raise NodeFailed(
        f"{node.name} ended without {error.filename}; log: {node.log}"
      ) from error

  def _wait(self, process: subprocess.Popen) -> int:
    while True:
      try:
        return process.wait(_LOOK_SECONDS)
      except subprocess.TimeoutExpired:
        self._tick()

  @contextlib.contextmanager
  def _alone(self, node: plan_lib.Node) -> Iterator[int]:
    """Holds the node's lock, which its process inherits, and gives its number.

    As long as one of the two lives, nobody else runs the node.
    """
    descriptor = os.open(node.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    try:
      while True:
        try:
          fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
          break
        except BlockingIOError:
          time.sleep(_LOOK_SECONDS)
          self._tick()
      yield descriptor
    finally:
      os.close(descriptor)


def _environment() -> dict[str, str]:
  """Of the process: it finds the modules that this one finds."""
  paths = [path or os.getcwd() for path in sys.path]
  return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _end_with_the_parent() -> None:
  """In the new process: to be told to stop where the runner is killed."""
  if _LIBC is not None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _failure(node: plan_lib.Node, code: int) -> str:
  how = f"exit code {code}"
  if code < 0:
    how = f"killed by {signal.Signals(-code).name}"
  return f"{node.name} failed ({how}): {_last_line(node.log)}; log: {node.log}"


def _last_line(log: pathlib.Path) -> str:
  """What a program said last; progress bars rewrite their line."""
  text = log.read_bytes()[-4096:].decode("utf-8", "replace")
  lines = [line.split("\r")[-1].strip() for line in text.splitlines()]
  return next((line for line in reversed(lines) if line), "it printed nothing")
