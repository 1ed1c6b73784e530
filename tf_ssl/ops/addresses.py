"""Network addresses "host:port", and whether a server listens there."""

import socket
import time

PAUSE = 0.2  # Seconds between two attempts.
SECONDS = 30.0  # Time that a service has to answer.


def split(address: str) -> tuple[str, int]:
  """Splits "host:port"; an IPv6 host is in brackets.

  Raises:
    ValueError: the address has another form.
  """
  host, _, port = address.rpartition(":")
  if not host or not port.isdigit() or not 0 < int(port) < 65536:
    raise ValueError(f"{address!r} is no host:port")
  return host.strip("[]"), int(port)


def wait(address: str, *, seconds: float) -> None:
  """Waits until a server listens at `address`, "host:port".

  Raises:
    ValueError: the address has another form.
    TimeoutError: no server listens after `seconds`.
  """
  until = time.monotonic() + seconds
  while not answers(address):
    if time.monotonic() > until:
      raise TimeoutError(address)
    time.sleep(PAUSE)


def answers(address: str) -> bool:
  """Whether a server listens at `address`, "host:port", now."""
  try:
    socket.create_connection(split(address), timeout=2).close()
  except OSError:
    return False
  return True
