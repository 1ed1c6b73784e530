"""Several worker processes on one machine, kept alive as one run."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from tf_ssl import errors

_PAUSE = 0.1  # seconds between two looks at the processes
_TIME_TO_SAVE = 120.0  # seconds that a worker has after SIGTERM


def launch(
  command: Sequence[str], *, workers: int, restarts: int, say=print
) -> int:
  """Runs `command` once for each worker, with TF_CONFIG set, until it is done.

  Where a worker is killed or loses another, all are started again and go on
  from the last checkpoint. SIGTERM and SIGINT are passed on.

  Args:
    command: of one worker, as words.
    workers: how many processes.
    restarts: how often to start again before giving up.
    say: prints a line.

  Returns:
    0 where all workers were done, else the exit code of the one that was not.

  Raises:
    UsageError: fewer than one worker, or a command that cannot be started.
  """
  if workers < 1:
    raise errors.UsageError(
      f"--workers={workers}: expected at least 1; change --workers."
    )
  if not command:
    raise errors.UsageError(
      "no command: expected what to run after --, such as"
      " -- --gin_file=gin_configs/pretrain/quickstart.gin --model_dir=runs/a"
    )
  for attempt in range(restarts + 1):
    code = _Group(command, workers).run()
    again = code < 0 or code == errors.WorkerLostError.exit_code
    if not again:
      return code
    reason = signal.Signals(-code).name if code < 0 else "a lost worker"
    if attempt < restarts:
      say(f"launch: stopped by {reason}; starting all {workers} workers again")
  say(f"launch: stopped by {reason} for the {restarts + 1}. time; giving up")
  return errors.WorkerLostError.exit_code


def tf_config(addresses: Sequence[str], index: int) -> str:
  """The TF_CONFIG of one worker."""
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
    self._asked = None
    self._processes = []
    for index in range(workers):
      environment = {**os.environ, "TF_CONFIG": tf_config(addresses, index)}
      try:
        process = subprocess.Popen(
          command,
          env=environment,
          stdout=None if index == 0 else subprocess.PIPE,
          stderr=None if index == 0 else subprocess.STDOUT,
          # Ctrl-C reaches this process alone, which passes it on once.
          start_new_session=True,
        )
      except OSError as error:
        raise errors.UsageError(
          f"{command[0]!r} cannot be started ({error.strerror}); change what"
          " stands after --"
        ) from error
      self._processes.append(process)
      if index:
        threading.Thread(
          target=_relay, args=(process, index), daemon=True
        ).start()

  def run(self) -> int:
    """Waits; the first exit code that is not 0, negative for a signal."""
    before = {
      number: signal.signal(number, self._pass_on)
      for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
      code = self._wait()
      self._end(_TIME_TO_SAVE if self._asked else 0.0)
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
        # A worker that was killed tells more than those who then lost it.
        return min(failed)
      if all(code == 0 for code in codes):
        return 0
      time.sleep(_PAUSE)

  def _pass_on(self, number, frame):
    del frame
    self._asked = number
    for process in self._processes:
      if process.poll() is None:
        process.send_signal(signal.SIGTERM)

  def _end(self, seconds: float) -> None:
    """Ends those that still run, most likely in wait for one that is gone."""
    until = time.monotonic() + seconds
    for process in self._processes:
      try:
        process.wait(max(until - time.monotonic(), 0.0))
      except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _relay(process: subprocess.Popen, index: int) -> None:
  for line in process.stdout:
    text = line.decode("utf-8", "replace").rstrip()
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
