"""Network addresses: parsing, and waiting for a server that really listens."""

import socket
import sys
import threading

import pytest

from tf_ssl.ops import addresses


@pytest.mark.parametrize(
  "address, expected",
  [
    ("localhost:80", ("localhost", 80)),
    ("[::1]:65535", ("::1", 65535)),
  ],
)
def test_host_and_port_are_split(address, expected):
  assert addresses.split(address) == expected


@pytest.mark.parametrize(
  "address", ["", "host", ":80", "host:", "host:x", "host:0", "host:65536"]
)
def test_other_forms_are_refused(address):
  with pytest.raises(ValueError, match=repr(address)):
    addresses.split(address)


def test_waiting_ends_when_a_server_listens():
  with socket.create_server(("localhost", 0)) as reserved:
    port = reserved.getsockname()[1]
  address = f"localhost:{port}"
  assert not addresses.answers(address)
  servers = []

  def listen():
    servers.append(socket.create_server(("localhost", port)))

  timer = threading.Timer(0.3, listen)
  timer.start()
  addresses.wait(address, seconds=60)
  timer.join()
  assert addresses.answers(address)
  servers[0].close()


def test_waiting_ends_after_the_given_time():
  with socket.create_server(("localhost", 0)) as reserved:
    address = f"localhost:{reserved.getsockname()[1]}"
  with pytest.raises(TimeoutError, match=address):
    addresses.wait(address, seconds=0.1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
