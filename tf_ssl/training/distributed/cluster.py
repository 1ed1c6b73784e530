"""The cluster of TF_CONFIG: parsing, validation, waiting for its workers."""

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
  """The workers that train together.

  Attributes:
    workers: "host:port" of each worker; the first one is the chief.
    index: index of this process among them.
  """

  workers: tuple[str, ...] = ("",)
  index: int = 0

  @property
  def is_chief(self) -> bool:
    """Whether this process writes the run's output."""
    return self.index == 0


def read() -> Cluster:
  """Reads the cluster of TF_CONFIG; without it, one process.

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
    raise _error(f"names the jobs {named}, but only workers are supported")
  for worker in workers:
    try:
      addresses.split(str(worker))
    except ValueError:
      raise _error(
        f"has the worker {worker!r}, which is not host:port"
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
  """Waits until every other worker answers at its address.

  Until TensorFlow's server takes over, this process answers at its own.

  Args:
    cluster: workers to wait for.
    seconds: seconds to wait at most.

  Raises:
    UsageError: this process cannot listen at its address, or a worker does not
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
    # The last workers to start still have to find this process.
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
