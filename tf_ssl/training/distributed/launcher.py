"""Runs several worker processes on one machine as one training run."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.ops import child_process

_POLL_SECONDS = 0.1
_SECONDS_TO_SAVE = 120.0  # That a worker has after SIGTERM.


def launch(
  command: Sequence[str],
  *,
  workers: int,
  restarts: int,
  say: Callable[[str], None] = print,
) -> int:
  """Runs `command` once for each worker, with TF_CONFIG set.

  If a worker is killed or loses another one, all are started again and resume
  from the last checkpoint. SIGTERM, SIGHUP and SIGINT are passed on as SIGTERM.

  Args:
    command: command of one worker, as words.
    workers: number of processes.
    restarts: number of restarts before giving up.
    say: function that prints a line.

  Returns:
    0 if all workers succeeded, else the exit code of the first that failed.

  Raises:
    UsageError: there is less than one worker, or the command cannot be started.
  """
  errors.require(
    workers >= 1, f"--workers={workers}: expected at least 1; change --workers."
  )
  errors.require(
    command,
    "no command: expected what to run after --, such as"
    " -- --gin_file=gin_configs/pretrain/quickstart.gin --model_dir=runs/a",
  )
  for attempt in range(restarts + 1):
    code = _Group(command, workers).run()
    if code >= 0 and code != errors.WorkerLostError.exit_code:
      return code
    lost = code >= 0
    reason = "a lost worker" if lost else child_process.how_it_ended(code)
    if attempt < restarts:
      say(f"launch: stopped ({reason}); starting all {workers} workers again")
  say(f"launch: stopped {restarts + 1} times ({reason}); giving up")
  return errors.WorkerLostError.exit_code


def tf_config(addresses: Sequence[str], index: int) -> str:
  """Returns the TF_CONFIG of worker `index` of the workers at `addresses`."""
  return json.dumps(
    {
      "cluster": {"worker": list(addresses)},
      "task": {"type": "worker", "index": index},
    }
  )


class _Group:
  """The processes of one attempt."""

  def __init__(self, command: Sequence[str], workers: int):
    addresses = [f"localhost:{port}" for port in _free_ports(workers)]
    self._stop_requested = False
    self._processes: list[subprocess.Popen] = []
    for index in range(workers):
      try:
        process = child_process.start(
          command,
          own_session=True,
          env=child_process.environment(TF_CONFIG=tf_config(addresses, index)),
          stdout=None if index == 0 else subprocess.PIPE,
          stderr=None if index == 0 else subprocess.STDOUT,
        )
      except OSError as error:
        raise errors.UsageError(
          f"{command[0]!r} cannot be started ({error.strerror}); change the"
          " command after --"
        ) from error
      self._processes.append(process)
      if index:
        threading.Thread(
          target=_relay, args=(process, index), daemon=True
        ).start()

  def run(self) -> int:
    """Waits; returns the first exit code other than 0, negative for signals."""
    before = {
      number: signal.signal(number, self._pass_on)
      for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
      # nohup sets SIGHUP to ignore; the run then outlives its terminal.
      if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
      code = self._wait()
      # Without a request to stop, the others only wait for one that has ended.
      self._end(_SECONDS_TO_SAVE if self._stop_requested else 0.0)
      return code
    finally:
      self._end(0.0)
      for number, handler in before.items():
        signal.signal(number, handler)

  def _wait(self) -> int:
    while True:
      codes = [process.poll() for process in self._processes]
      failed = [code for code in codes if code]
      if failed:
        # A signal that killed one worker says more than the others' errors.
        return min(failed)
      if all(code == 0 for code in codes):
        return 0
      time.sleep(_POLL_SECONDS)

  def _pass_on(self, number, frame):
    del number, frame
    self._stop_requested = True
    for process in self._processes:
      if process.poll() is None:
        process.terminate()

  def _end(self, seconds: float) -> None:
    """Kills the workers that still run after `seconds`.

    `child_process.stop` would send a second SIGTERM, which could interrupt an
    export.
    """
    deadline = time.monotonic() + seconds
    for process in self._processes:
      try:
        process.wait(max(deadline - time.monotonic(), 0.0))
      except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _relay(process: subprocess.Popen, index: int) -> None:
  for line in process.stdout:
    text = line.decode("utf-8", "replace").rstrip()
    with contextlib.suppress(OSError):  # Else the worker waits for a reader.
      print(f"[worker {index}] {text}", file=sys.stderr, flush=True)


def _free_ports(count: int) -> list[int]:
  sockets = [socket.socket() for _ in range(count)]
  try:
    for each in sockets:
      each.bind(("localhost", 0))
    return [each.getsockname()[1] for each in sockets]
  finally:
    for each in sockets:
      each.close()
