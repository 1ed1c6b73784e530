"""Whether something listens at a network address."""

import socket
import time

PAUSE = 0.2  # seconds between two attempts
SECONDS = 30.0  # that a service has to answer


def split(address: str) -> tuple[str, int]:
  """Takes "host:port" apart; an IPv6 host stands in brackets.

  Raises:
    ValueError: it is not of this form.
  """
  host, _, port = address.rpartition(":")
  if not host or not port.isdigit() or not 0 < int(port) < 65536:
    raise ValueError(f"{address!r} is no host:port")
  return host.strip("[]"), int(port)


def wait(address: str, *, seconds: float) -> None:
  """Returns once something answers at `address`, "host:port".

  Raises:
    ValueError: `address` is not of this form.
    TimeoutError: nothing answered in time.
  """
  until = time.monotonic() + seconds
  while not answers(address):
    if time.monotonic() > until:
      raise TimeoutError(address)
    time.sleep(PAUSE)


def answers(address: str) -> bool:
  """Whether something listens at `address`, "host:port", now."""
  try:
    socket.create_connection(split(address), timeout=2).close()
  except OSError:
    return False
  return True
