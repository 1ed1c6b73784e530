"""The processes of a tf.data service on one machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.ops import addresses

_PAUSE = 0.2  # seconds between two looks at the workers
_HEARTBEAT_MS = 1000
_PROCESS = (
  "from tf_ssl.input_pipeline import data_service_host;"
  " data_service_host.main()"
)
_LOST_AFTER_MS = 10_000  # without a heartbeat


def serve(
  *,
  port: int,
  workers: int,
  host: str = "localhost",
  dispatcher: str | None = None,
  say: Callable[[str], None] = print,
) -> None:
  """Runs workers, and a dispatcher if none is given, until SIGTERM or Ctrl-C.

  A process that dies is started again at the same address.

  Args:
    port: the dispatcher listens there; workers at any free ones.
    workers: how many processes make batches.
    host: by which others reach this machine.
    dispatcher: "host:port" of the one to work for, on another machine; None to
      start one here.
    say: prints a line.

  Raises:
    UsageError: a number out of range, a port in use, a dispatcher that does not
      answer.
  """
  if workers < (1 if dispatcher else 0):
    raise errors.UsageError(
      f"--workers={workers}: expected at least 1; change --workers."
    )
  if not 0 < port < 65536:
    raise errors.UsageError(
      f"--port={port}: expected 1 to 65535; change --port."
    )
  team = []
  before = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    with tempfile.TemporaryDirectory() as journal:
      if dispatcher is None:
        _check_free(port)
        dispatcher = f"{host}:{port}"
        team.append(
          _Process("dispatcher", dispatcher, port=port, journal=journal)
        )
      _find_dispatcher(dispatcher)
      for _ in range(workers):
        free = _free_port()
        at = f"{host}:{free}"
        team.append(_Process("worker", at, port=free, dispatcher=dispatcher))
      say(f"data service: data_service_address = '{dispatcher}'")
      _keep_alive(team, say)
  except KeyboardInterrupt:
    say("data service: stopped")
  finally:
    for process in team:
      process.stop()
    signal.signal(signal.SIGTERM, before)


class _Process:
  """A fresh interpreter, which can be started again at the same address."""

  def __init__(self, role: str, address: str, **arguments):
    self.role, self.address = role, address
    self._job = {
      "role": role,
      "address": address,
      "parent": os.getpid(),
      **arguments,
    }
    self.start()

  def start(self) -> None:
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    self._process = subprocess.Popen(
      [sys.executable, "-c", _PROCESS, json.dumps(self._job)],
      env={**os.environ, "PYTHONPATH": path},
    )

  @property
  def exit_code(self) -> int | None:
    return self._process.poll()

  def stop(self) -> None:
    self._process.kill()
    self._process.wait()


def _keep_alive(team: Sequence[_Process], say: Callable[[str], None]) -> None:
  while True:
    for process in team:
      code = process.exit_code
      if code is not None:
        say(
          f"data service: the {process.role} at {process.address} ended (exit"
          f" code {code}); starting it again"
        )
        process.start()
    time.sleep(_PAUSE)


def main() -> None:
  """What a process of the service does, as long as its parent lives."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to it
  warnings.simplefilter("ignore", FutureWarning)  # of what TensorFlow imports
  import tensorflow as tf  # here: whoever starts processes needs none

  job = json.loads(sys.argv[1])
  service = tf.data.experimental.service
  if job["role"] == "dispatcher":
    server = service.DispatchServer(
      service.DispatcherConfig(
        port=job["port"],
        work_dir=job["journal"],
        fault_tolerant_mode=True,
        worker_timeout_ms=_LOST_AFTER_MS,
        job_gc_check_interval_ms=_LOST_AFTER_MS,
      )
    )
  else:
    server = service.WorkerServer(
      service.WorkerConfig(
        dispatcher_address=job["dispatcher"],
        worker_address=job["address"],
        port=job["port"],
        heartbeat_interval_ms=_HEARTBEAT_MS,
      )
    )
  while server and os.getppid() == job["parent"]:
    time.sleep(1.0)
  os._exit(0)  # a server's own end would wait for those connected to it


def _free_port() -> int:
  with socket.socket() as found:
    found.bind(("", 0))
    return found.getsockname()[1]


def _check_free(port: int) -> None:
  if addresses.answers(f"localhost:{port}"):
    raise errors.UsageError(
      f"--port={port}: something listens there already; expected a free port."
      " Change --port, or stop what uses it."
    )


def _find_dispatcher(address: str) -> None:
  try:
    addresses.wait(address, seconds=addresses.SECONDS)
  except ValueError:
    raise errors.UsageError(
      f"--dispatcher={address}: expected host:port; change --dispatcher."
    ) from None
  except TimeoutError:
    raise errors.UsageError(
      f"--dispatcher={address}: nothing answered within"
      f" {addresses.SECONDS:g} seconds; start it there with"
      " python -m tools.data_service, or change --dispatcher."
    ) from None
