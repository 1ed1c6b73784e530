"""The host of a data service, with small processes in place of TensorFlow's."""

import os
import signal
import socket
import sys
import threading

import pytest

from tf_ssl import errors
from tf_ssl.input_pipeline import data_service_host

# Writes its job to a file, then answers at its port as a server does.
_SERVER = """
import json, os, socket, sys
job = json.loads(sys.argv[1])
with open(os.environ["HOST_TEST_JOBS"], "a") as file:
  file.write(json.dumps(job | {"pid": os.getpid()}) + "\\n")
server = socket.create_server(("", job["port"]))
while True:
  server.accept()
"""


def _free_port():
  with socket.socket() as found:
    found.bind(("localhost", 0))
    return found.getsockname()[1]


class _Host:
  """Runs `serve` on small processes.

  Attributes:
    jobs: file of the jobs, one line for each process that was started.
    said: lines for the user.
  """

  def __init__(self, jobs):
    self.jobs = jobs
    self.said = []

  def started(self):
    import json

    lines = self.jobs.read_text().splitlines() if self.jobs.exists() else []
    return [json.loads(line) for line in lines]

  def serve(self, react, **settings):
    """Serves until `react`, called with each line, raises KeyboardInterrupt."""

    def say(line):
      self.said.append(line)
      react(line)

    data_service_host.serve(say=say, **settings)


@pytest.fixture(name="host")
def fixture_host(tmp_path, monkeypatch):
  monkeypatch.setattr(data_service_host, "_PROCESS", _SERVER)
  monkeypatch.setattr(data_service_host, "_POLL_SECONDS", 0.02)
  monkeypatch.setenv("HOST_TEST_JOBS", str(tmp_path / "jobs"))
  return _Host(tmp_path / "jobs")


def _interrupt():
  raise KeyboardInterrupt


def _is_alive(pid):
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  return True


def _wait_until(condition):
  event = threading.Event()
  for _ in range(1000):
    if condition():
      return
    event.wait(0.01)
  raise AssertionError("it did not happen within 10 seconds")


def test_a_killed_process_is_restarted_at_its_address_and_all_end(host):
  port = _free_port()

  def react(line):
    if "data_service_address" in line:
      _wait_until(lambda: len(host.started()) == 3)
      os.kill(host.started()[1]["pid"], signal.SIGKILL)
    elif "SIGKILL" in line:
      return
    elif "stopped" not in line:
      raise AssertionError(line)

  stopper = threading.Thread(
    target=lambda: (
      _wait_until(lambda: len(host.started()) == 4),
      os.kill(os.getpid(), signal.SIGTERM),
    )
  )
  stopper.start()
  before = signal.getsignal(signal.SIGTERM)
  host.serve(react, port=port, workers=2, host="127.0.0.1")
  stopper.join()
  jobs = host.started()
  assert [job["role"] for job in jobs] == ["dispatcher"] + ["worker"] * 3
  assert jobs[0]["address"] == f"127.0.0.1:{port}" and jobs[0]["port"] == port
  assert all(job["dispatcher"] == jobs[0]["address"] for job in jobs[1:])
  # The killed process, by its role and address, and again.
  killed, again = jobs[1], jobs[3]
  assert {**again, "pid": killed["pid"]} == killed
  assert killed["address"] != jobs[2]["address"]
  assert f"worker at {killed['address']}" in host.said[1]
  assert host.said[-1] == "data service: stopped"
  assert not any(_is_alive(job["pid"]) for job in jobs)
  assert not os.path.exists(jobs[0]["journal"])
  assert signal.getsignal(signal.SIGTERM) is before


def test_workers_join_the_dispatcher_of_another_machine(host):
  with socket.create_server(("localhost", 0)) as there:
    address = f"localhost:{there.getsockname()[1]}"

    def react(line):
      if "stopped" not in line:
        assert address in line
        _wait_until(lambda: len(host.started()) == 1)
        _interrupt()

    host.serve(react, port=_free_port(), workers=1, dispatcher=address)
  [job] = host.started()
  assert job["role"] == "worker" and job["dispatcher"] == address


def test_arguments_out_of_range_are_refused_before_a_process_starts(host):
  with socket.create_server(("localhost", 0)) as taken:
    used = taken.getsockname()[1]
    for settings, message in (
      ({"port": 5050, "workers": -1}, "--workers=-1"),
      (
        {"port": 5050, "workers": 0, "dispatcher": "localhost:1"},
        "--workers=0: .* 1",
      ),
      ({"port": 0, "workers": 1}, "--port=0"),
      ({"port": 65536, "workers": 1}, "--port=65536"),
      ({"port": used, "workers": 1}, f"--port={used}: .*in use"),
    ):
      with pytest.raises(errors.UsageError, match=message):
        host.serve(lambda line: None, **settings)
  assert host.started() == []


def test_a_dispatcher_that_does_not_answer_is_named(monkeypatch):
  monkeypatch.setattr(data_service_host.addresses, "SECONDS", 0.1)
  with pytest.raises(errors.UsageError, match="--there='nowhere'.*host:port"):
    data_service_host.find_dispatcher("nowhere", "--there")
  address = f"localhost:{_free_port()}"
  with pytest.raises(errors.UsageError, match=f"--there='{address}'.*0.1 s"):
    data_service_host.find_dispatcher(address, "--there")


def test_a_dispatcher_that_starts_late_is_waited_for(monkeypatch):
  monkeypatch.setattr(data_service_host.addresses, "SECONDS", 10.0)
  port = _free_port()
  servers = []
  timer = threading.Timer(
    0.3, lambda: servers.append(socket.create_server(("localhost", port)))
  )
  timer.start()
  data_service_host.find_dispatcher(f"localhost:{port}", "--there")
  timer.join()
  [server] = servers
  server.close()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
