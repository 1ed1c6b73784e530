"""Tests of tf_ssl.input_pipeline.data_service with real processes."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types as types_lib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.datasets import image_folder
from tf_ssl.input_pipeline import (
  data_service,
  data_service_host,
  loading,
  order,
  view_batches,
)
from tf_ssl.input_pipeline import skipped as skipped_lib

NUM_IMAGES = 20


@pytest.fixture(name="service", scope="module")
def _service(repository, tmp_path_factory):
  """The command with two workers."""
  with socket.socket() as found:
    found.bind(("localhost", 0))
    port = found.getsockname()[1]
  log = tmp_path_factory.mktemp("service") / "log"
  command = [sys.executable, "-m", "tools.data_service", "--workers=2"]
  with log.open("w") as out:
    process = subprocess.Popen(
      [*command, f"--port={port}"],
      cwd=repository,
      stdout=out,
      stderr=out,
      env={**os.environ, "PYTHONPATH": str(repository)},
    )
  try:
    yield f"localhost:{port}", process, log
  finally:
    process.terminate()
    assert process.wait(timeout=30) == 0, log.read_text()


def workers_of(process):
  children = f"/proc/{process.pid}/task/{process.pid}/children"
  with open(children, encoding="ascii") as file:
    pids = [int(pid) for pid in file.read().split()]
  return [pid for pid in pids if b'"role": "worker"' in command_line(pid)]


def command_line(pid):
  with open(f"/proc/{pid}/cmdline", "rb") as file:
    return file.read()


def batches(folder, **options):
  options = {
    "recipe": recipes.simclr(),
    "view_type": types.IndexedImage,
    "image_size": 16,
    "batch_size": 4,
    "seed": 0,
    "num_steps": 10,
    "finish_views": False,
    **options,
  }
  records = image_folder.read(str(folder))
  return list(view_batches.view_batches(records, **options))


@pytest.fixture(name="folder")
def _folder(tmp_path):
  noise = np.random.default_rng(0).integers(0, 256, [NUM_IMAGES, 10, 12, 3])
  for i, image in enumerate(noise.astype(np.uint8)):
    Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
  return tmp_path


@pytest.mark.parametrize("finish_views", [False, True])
def test_views_equal_local_ones_in_another_order(service, folder, finish_views):
  client = data_service.DataService(service[0])
  there = batches(folder, service=client, finish_views=finish_views)
  assert len(there) == 10
  # The service may have made some in advance.
  here = batches(folder, num_steps=40, finish_views=finish_views)
  index = np.concatenate([x.index for x in here])
  views = np.concatenate([x.image for x in here]).astype(float)
  # One gray level, since the service resizes with another kernel.
  tolerance = 0.1 if finish_views else 1
  used = set()
  for batch in there:
    assert batch.image.shape == (4, 16, 16, 3)
    for i, image in zip(batch.index.numpy(), batch.image, strict=True):
      distance = np.abs(views - tf.cast(image, float)).max((1, 2, 3))
      nearest = int(distance.argmin())
      assert distance[nearest] <= tolerance and index[nearest] == i
      used.add(nearest)
  assert len(used) == 40  # None arrived twice.


def test_epochs_continue_where_the_batch_size_changes(service, folder):
  client = data_service.DataService(service[0])
  early = batches(folder, service=client, num_steps=3)
  later = {"batch_size": 2, "start_step": 3, "earlier": (order.Span(3, 4),)}
  rest = batches(folder, service=client, num_steps=7, **later)
  assert [len(early), len(rest)] == [3, 4]
  assert {batch.image.shape[0] for batch in rest} == {2}
  # The service may have made some in advance.
  ahead = batches(folder, num_steps=43, **later)
  known = np.concatenate([x.image for x in ahead]).astype(float)
  used = set()
  for image in np.concatenate([x.image for x in rest]).astype(float):
    distance = np.abs(known - image).max((1, 2, 3))
    assert distance.min() <= 1  # The service resizes with another kernel.
    used.add(int(distance.argmin()))
  assert len(used) == 8 and min(used) < 8


def test_unusable_images_are_named_in_this_process(service, folder):
  (folder / "07.png").write_bytes(b"\x89PNG, but no more")
  skipped = skipped_lib.SkippedFiles(None, NUM_IMAGES, max_fraction=0.5)
  found = batches(
    folder,
    service=data_service.DataService(service[0]),
    skipped=skipped,
    num_steps=15,
  )
  assert len(found) == 15
  assert list(skipped.reasons) == ["07.png"]
  assert 7 not in np.concatenate([x.index for x in found])


def test_a_killed_worker_is_restarted_and_its_examples_counted(service, caplog):
  address, process, log = service
  caplog.set_level(logging.WARNING, logger="absl")

  def chunk(first):
    # Large enough that a worker buffers only a few of them.
    rows = tf.random.stateless_uniform([4, 50_000], [1, 2])
    return loading.Chunk(first, rows, tf.zeros([4], tf.int32))

  client = data_service.DataService(address, patience=2.0)
  dataset = client.distribute(
    tf.data.Dataset.range(40, 2**62, 4).map(chunk), start=40, chunk_size=4
  )
  killed, arrived, until = None, set(), np.inf
  for number, found in enumerate(dataset):
    assert int(found.first) not in arrived
    arrived.add(int(found.first))
    if number == 50:
      before = workers_of(process)
      assert len(before) == 2
      killed = before[1]
      os.kill(killed, signal.SIGKILL)
    if killed and client.lost and until == np.inf:
      until = time.monotonic() + 3.0  # Late ones arrive.
    if time.monotonic() > until:
      break
    time.sleep(0.005)
  settled = max(arrived) - 4 * 200  # Newer ones may be on their way.
  missing = set(range(40, settled, 4)) - arrived
  assert 0 < 4 * len(missing) == client.lost
  client.log_lost()
  assert str(client.lost) in caplog.messages[-1]
  assert re.search("worker at .*SIGKILL.*restart", log.read_text())
  after = workers_of(process)
  assert len(after) == 2 and killed not in after


def test_each_part_of_a_run_loses_chunks_of_its_own(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(
    data_service, "time", types_lib.SimpleNamespace(monotonic=lambda: now[0])
  )
  monkeypatch.setattr(data_service_host, "find_dispatcher", lambda *_: None)
  monkeypatch.setattr(
    tf.data.experimental.service, "distribute", lambda *_: lambda same: same
  )
  client = data_service.DataService("host:1", patience=10.0)

  def arrive(numbers, size):
    firsts = tf.constant([100 + size * n for n in numbers], tf.int64)
    chunks = tf.data.Dataset.from_tensor_slices(firsts).map(
      lambda first: loading.Chunk(first, first, tf.zeros([size], tf.int32))
    )
    list(client.distribute(chunks, start=100, chunk_size=size))

  arrive([0, 2, 3], 4)
  now[0] = 11.0
  assert client.lost == 4
  arrive([2, 0], 2)  # Number 1 is missing, but nobody waits for it any more.
  now[0] = 12.0
  arrive([3], 8)
  now[0] = 30.0
  assert client.lost == 4 + 3 * 8


def test_addresses_that_do_not_answer_are_refused(monkeypatch):
  monkeypatch.setattr(data_service_host.addresses, "SECONDS", 0.1)
  with pytest.raises(errors.UsageError, match="'nowhere'.*host:port"):
    data_service.DataService("nowhere")
  with socket.socket() as found:
    found.bind(("localhost", 0))
    port = found.getsockname()[1]
  with pytest.raises(errors.UsageError, match=f"{port}.*tools.data_service"):
    data_service.DataService(f"localhost:{port}")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
