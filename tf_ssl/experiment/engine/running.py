"""Runs one node as a child process with a log, and stamps its product."""

import subprocess
import sys
import time
from collections.abc import Mapping

from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import stamps
from tf_ssl.ops import child_process, workdir

LOCK_FILE = "lock"
_LOCK_SECONDS = 0.5  # Between two attempts to take a lock.
_SAVE_SECONDS = 120.0  # For a process to save its state after SIGTERM.


class NodeFailed(Exception):
  """A node's process failed; the message says how and where its log is."""


class Processes:
  """The running child processes, to be stopped together."""

  def __init__(self):
    """Starts without a process."""
    self._running: set[subprocess.Popen] = set()
    self._stopped = False

  def run(self, node: plan_lib.Node, inputs: Mapping[str, str]) -> stamps.Stamp:
    """Runs a node to its end and stamps it; may be called in several threads.

    If a process of an earlier, killed run still works on the node, waits for
    it first.

    Args:
      node: node whose inputs are done.
      inputs: {name of an input: digest of its product}.

    Raises:
      NodeFailed: its process failed, or `stop` was called.
    """
    try:
      node.folder.mkdir(parents=True, exist_ok=True)
      # The child inherits the lock: while it or this process lives, no other
      # process runs the node.
      with workdir.locked(
        node.folder,
        "--output_dir",
        name=LOCK_FILE,
        wait=lambda: self._wait(node),
      ) as lock:
        stamp = stamps.read(node)
        if stamp is not None and stamp.inputs == dict(inputs):
          return stamp  # Another process has finished it meanwhile.
        return self._run(node, inputs, lock)
    except OSError as error:
      raise NodeFailed(f"{node.name}: {error}; log: {node.log}") from error

  def stop(self) -> None:
    """Asks all processes to save their state and stop, and waits for them."""
    self._stopped = True
    child_process.stop(self._running.copy(), seconds=_SAVE_SECONDS)

  def _wait(self, node: plan_lib.Node) -> None:
    time.sleep(_LOCK_SECONDS)
    self._check(node)

  def _check(self, node: plan_lib.Node) -> None:
    if self._stopped:
      raise NodeFailed(f"{node.name} was stopped")

  def _run(self, node, inputs, lock) -> stamps.Stamp:
    self._check(node)
    spent = stamps.begin(node, inputs)
    began = time.monotonic()
    with open(node.log, "ab") as log:
      log.write(f"$ {node.shown_command}\n".encode("utf-8", "replace"))
      log.flush()
      process = child_process.start(
        node.command,
        end_with_parent=True,
        own_session=True,
        # Else a child's buffered output follows its last words in the log.
        env=child_process.environment(PYTHONUNBUFFERED="1")
        if node.command[0] == sys.executable
        else None,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[lock],
      )
      self._running.add(process)
      try:
        code = process.wait()
      finally:
        self._running.discard(process)
        seconds = spent + time.monotonic() - began
        stamps.note_seconds(node, inputs, seconds)
    if code:
      how = child_process.how_it_ended(code)
      line = child_process.last_line(node.log.read_bytes())
      raise NodeFailed(f"{node.name} failed ({how}): {line}; log: {node.log}")
    try:
      return stamps.finish(node, inputs, seconds)
    except FileNotFoundError as error:
      raise NodeFailed(
        f"{node.name} ended without {error.filename}; log: {node.log}"
      ) from error
