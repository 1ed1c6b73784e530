"""Runs the processes of a tf.data service on one machine."""

import json
import os
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.ops import addresses, child_process

_POLL_SECONDS = 0.2
_STOP_SECONDS = 5.0
_HEARTBEAT_MS = 1000
_LOST_AFTER_MS = 10_000  # Time without a heartbeat.
_PROCESS = (
  "from tf_ssl.input_pipeline import data_service_host;"
  " data_service_host.main()"
)


def serve(
  *,
  port: int,
  workers: int,
  host: str = "localhost",
  dispatcher: str | None = None,
  say: Callable[[str], None] = print,
) -> None:
  """Runs workers, and a dispatcher if none is given, until SIGTERM or Ctrl-C.

  A process that dies is restarted at its address.

  Args:
    port: port of the dispatcher; workers use any free ports.
    workers: number of processes that make batches.
    host: name or address by which other machines reach this one.
    dispatcher: "host:port" of the dispatcher on another machine; None to start
      one here.
    say: function that takes messages for the user.

  Raises:
    UsageError: a number is out of range, the port is in use, or the dispatcher
      does not answer.
  """
  errors.require(
    workers >= (1 if dispatcher else 0),
    f"--workers={workers}: expected at least 1; change --workers.",
  )
  errors.require(
    0 < port < 65536, f"--port={port}: expected 1 to 65535; change --port."
  )
  team = []
  before = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    with tempfile.TemporaryDirectory() as journal:
      if dispatcher is None:
        errors.require(
          not addresses.answers(f"localhost:{port}"),
          f"--port={port}: the port is in use; expected a free port. Change"
          " --port, or stop the program that uses it.",
        )
        dispatcher = f"{host}:{port}"
        team.append(
          _Process("dispatcher", dispatcher, port=port, journal=journal)
        )
      find_dispatcher(dispatcher, "--dispatcher")
      for _ in range(workers):
        free = _free_port()
        at = f"{host}:{free}"
        team.append(_Process("worker", at, port=free, dispatcher=dispatcher))
      say(f"data service: data_service_address = '{dispatcher}'")
      _keep_alive(team, say)
  except KeyboardInterrupt:
    say("data service: stopped")
  finally:
    child_process.stop([p.process for p in team], seconds=_STOP_SECONDS)
    signal.signal(signal.SIGTERM, before)


class _Process:
  """A fresh interpreter that can be restarted at its address."""

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
    job = json.dumps(self._job)
    self.process = child_process.start_python(_PROCESS, job)


def _keep_alive(team: Sequence[_Process], say: Callable[[str], None]) -> None:
  while True:
    for member in team:
      code = member.process.poll()
      if code is not None:
        say(
          f"data service: the {member.role} at {member.address} ended"
          f" ({child_process.how_it_ended(code)}); restarting it"
        )
        member.start()
    time.sleep(_POLL_SECONDS)


def main() -> None:
  """Runs one process of the service until its parent ends."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles Ctrl-C.
  warnings.simplefilter("ignore", FutureWarning)  # From TensorFlow's imports.
  job = json.loads(sys.argv[1])
  child_process.watch_parent(job["parent"])
  import tensorflow as tf  # Not needed by the parent.

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
  server.join()


def _free_port() -> int:
  with socket.socket() as found:
    found.bind(("", 0))
    return found.getsockname()[1]


def find_dispatcher(address: str, argument: str) -> None:
  """Waits until a dispatcher answers.

  Args:
    address: "host:port" of the dispatcher.
    argument: name of the argument that holds the address.

  Raises:
    UsageError: `address` is malformed, or nothing answers there.
  """
  try:
    addresses.wait(address, seconds=addresses.SECONDS)
  except ValueError:
    raise errors.UsageError(
      f"{argument}={address!r}: expected host:port of the dispatcher, such as"
      f" 'localhost:5050'; change {argument}"
    ) from None
  except TimeoutError:
    raise errors.UsageError(
      f"{argument}={address!r}: no answer within {addresses.SECONDS:g} seconds;"
      f" start it there with python -m tools.data_service, or change {argument}"
    ) from None
