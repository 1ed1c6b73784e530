"""Tests of tf_ssl.training.distributed.cluster."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tf_ssl import errors
from tf_ssl.training.distributed import cluster


def config(workers=("a:1", "b:2"), index=1):
  task = {"type": "worker", "index": index}
  return json.dumps({"cluster": {"worker": list(workers)}, "task": task})


def free_port():
  with socket.socket() as found:
    found.bind(("localhost", 0))
    return found.getsockname()[1]


def test_without_tf_config_there_is_one_process(monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)
  assert cluster.read() == cluster.Cluster()
  assert cluster.read().is_chief


def test_the_workers_and_the_own_index_are_read(monkeypatch):
  monkeypatch.setenv("TF_CONFIG", config())
  assert cluster.read() == cluster.Cluster(("a:1", "b:2"), 1)
  assert not cluster.read().is_chief


def test_a_separate_chief_comes_first(monkeypatch):
  jobs = {"chief": ["c:1"], "worker": ["a:1"]}
  for task, index in (("chief", 0), ("worker", 1)):
    text = json.dumps({"cluster": jobs, "task": {"type": task, "index": 0}})
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster.read() == cluster.Cluster(("c:1", "a:1"), index)


@pytest.mark.parametrize(
  "text, message",
  [
    ("{", "TF_CONFIG.*JSON"),
    ("[1]", "TF_CONFIG"),
    (config(workers=["a"]), "'a'.*host:port"),
    (config(workers=["a:99999", "b:1"]), "'a:99999'"),
    (config(workers=["a:1", "a:1"]), "twice"),
    (config(index=2), "index 2 .*2 workers"),
    (config(index=None), "index None"),
    ('{"cluster": {"ps": ["a:1"]}}', "jobs ps"),
  ],
)
def test_a_malformed_config_is_refused(monkeypatch, text, message):
  monkeypatch.setenv("TF_CONFIG", text)
  with pytest.raises(errors.UsageError, match=message):
    cluster.read()


def test_a_worker_that_does_not_answer_is_named_after_the_timeout():
  here, there = (f"localhost:{free_port()}" for _ in range(2))
  began = time.monotonic()
  with pytest.raises(
    errors.UsageError, match=f"worker 1 at {there} did not answer.*1 seconds"
  ):
    cluster.wait_for_workers(cluster.Cluster((here, there), 0), seconds=1)
  assert time.monotonic() - began < 10


def test_an_address_in_use_is_named():
  with socket.socket() as taken:
    taken.bind(("", 0))
    taken.listen()
    here = f"localhost:{taken.getsockname()[1]}"
    with pytest.raises(errors.UsageError, match=f"cannot listen at {here}"):
      cluster.wait_for_workers(cluster.Cluster((here, "b:2"), 0), seconds=1)


def test_workers_wait_for_each_other(repository):
  workers = [f"localhost:{free_port()}" for _ in range(2)]
  program = (
    "from tf_ssl.training.distributed import cluster\n"
    f"cluster.wait_for_workers(cluster.Cluster({tuple(workers)}, 1),"
    " seconds=60)"
  )
  other = subprocess.Popen(
    [sys.executable, "-c", program],
    env={**os.environ, "PYTHONPATH": str(repository)},
  )
  cluster.wait_for_workers(cluster.Cluster(tuple(workers), 0), seconds=60)
  assert other.wait(60) == 0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
