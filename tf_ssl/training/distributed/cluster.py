"""The machines of TF_CONFIG: read, checked, and waited for."""

import contextlib
import json
import os
import socket
import time
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.ops import addresses

_EXPECTED = (
  'expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type":'
  ' "worker", "index": 0}}'
)


class Cluster(NamedTuple):
  """Who trains together, and who this process is.

  Attributes:
    workers: "host:port" of each; the first is the chief.
    index: this process's place among them.
  """

  workers: tuple[str, ...] = ("",)
  index: int = 0

  @property
  def is_chief(self) -> bool:
    """Whether this process writes what the run leaves."""
    return self.index == 0


def read() -> Cluster:
  """The cluster that TF_CONFIG describes; one process where it is not set.

  Raises:
    UsageError: TF_CONFIG cannot be parsed, or does not describe a cluster.
  """
  text = os.environ.get("TF_CONFIG", "")
  if not text.strip():
    return Cluster()
  try:
    config = json.loads(text)
  except json.JSONDecodeError as error:
    raise _error(f"is not JSON ({error})") from None
  try:
    jobs = dict(config.get("cluster") or {})
    task = dict(config.get("task") or {})
  except (AttributeError, TypeError, ValueError):
    raise _error("is not a description of a cluster") from None
  if not jobs:
    return Cluster()
  workers = [
    *(jobs.pop("chief", None) or []),
    *(jobs.pop("worker", None) or []),
  ]
  jobs.pop("evaluator", None)
  if jobs or not workers:
    named = ", ".join(sorted(jobs)) or "none"
    raise _error(f"names the jobs {named} where only workers are known")
  for worker in workers:
    try:
      addresses.split(str(worker))
    except ValueError:
      raise _error(
        f"has the worker {worker!r}, which is no host:port"
      ) from None
  if len(set(workers)) < len(workers):
    raise _error("names a worker twice")
  index = task.get("index")
  if task.get("type") == "worker" and "chief" in (config["cluster"] or {}):
    index = index + 1 if isinstance(index, int) else index
  if not isinstance(index, int) or not 0 <= index < len(workers):
    raise _error(
      f"gives this process the index {index!r} among {len(workers)} workers"
    )
  return Cluster(tuple(workers), index)


def wait_for_workers(cluster: Cluster, *, seconds: float) -> None:
  """Returns once every other worker answers at its address.

  Until TensorFlow's server takes over, this process answers at its own.

  Args:
    cluster: the workers.
    seconds: how long to wait for them.

  Raises:
    UsageError: the own address cannot be listened at, or a worker does not
      answer in time.
  """
  if len(cluster.workers) == 1:
    return
  until = time.monotonic() + seconds
  with _answering(cluster.workers[cluster.index]):
    for index, worker in enumerate(cluster.workers):
      if index == cluster.index:
        continue
      try:
        addresses.wait(worker, seconds=until - time.monotonic())
      except TimeoutError:
        raise errors.UsageError(
          f"TF_CONFIG: worker {index} at {worker} did not answer within"
          f" {seconds:g} seconds; expected every worker to be started with"
          " the same `cluster`. Start it, or change its address."
        ) from None
    # Those who came last have yet to find this process.
    time.sleep(2 * addresses.PAUSE)


@contextlib.contextmanager
def _answering(worker: str):
  host, port = addresses.split(worker)
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  with socket.socket(family, socket.SOCK_STREAM) as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      listener.bind(("", port))
    except OSError as error:
      raise errors.UsageError(
        f"TF_CONFIG: this worker cannot listen at {worker} ({error.strerror});"
        " expected a free port. Change its address, or stop what uses it"
        f" (host {host})."
      ) from None
    listener.listen()
    yield


def _error(problem: str) -> errors.UsageError:
  return errors.UsageError(f"TF_CONFIG {problem}; {_EXPECTED}.")
