"""Tests of tf_ssl.input_pipeline.data_service: real processes, a real kill."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.datasets import image_folder
from tf_ssl.input_pipeline import chunks, data_service, view_batches
from tf_ssl.input_pipeline import skipped as skipped_lib

NUM_IMAGES = 20


@pytest.fixture(name="service", scope="module")
def _service(repository, tmp_path_factory):
  """The tool, started as a user would, with two workers."""
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
def test_the_views_are_those_made_here_in_another_order(
  service, folder, finish_views
):
  client = data_service.DataService(service[0])
  there = batches(folder, service=client, finish_views=finish_views)
  assert len(there) == 10
  # the service may have run ahead with some
  here = batches(folder, num_steps=40, finish_views=finish_views)
  index = np.concatenate([x.index for x in here])
  views = np.concatenate([x.image for x in here]).astype(float)
  # One gray level, for the service resizes with another kernel.
  tolerance = 0.1 if finish_views else 1
  used = set()
  for batch in there:
    assert batch.image.shape == (4, 16, 16, 3)
    for i, image in zip(batch.index.numpy(), batch.image, strict=True):
      distance = np.abs(views - tf.cast(image, float)).max((1, 2, 3))
      nearest = int(distance.argmin())
      assert distance[nearest] <= tolerance and index[nearest] == i
      used.add(nearest)
  assert len(used) == 40  # none came twice


def test_unusable_images_are_named_here(service, folder):
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


def test_a_worker_killed_is_started_again_and_what_it_cost_is_counted(
  service, caplog
):
  address, process, log = service
  caplog.set_level(logging.WARNING, logger="absl")

  def chunk(first):
    # big enough that only a few of them wait in a worker
    rows = tf.random.stateless_uniform([4, 50_000], [1, 2])
    return chunks.Chunk(first, rows, tf.zeros([4], tf.int32))

  client = data_service.DataService(address, patience=2.0)
  dataset = client.distribute(
    tf.data.Dataset.range(40, 2**62, 4).map(chunk), start=40, chunk_size=4
  )
  killed, came, until = None, set(), np.inf
  for number, found in enumerate(dataset):
    assert int(found.first) not in came
    came.add(int(found.first))
    if number == 50:
      before = workers_of(process)
      assert len(before) == 2
      killed = before[1]
      os.kill(killed, signal.SIGKILL)
    if killed and client.lost and until == np.inf:
      until = time.monotonic() + 3.0  # all that is late comes
    if time.monotonic() > until:
      break
    time.sleep(0.005)
  settled = max(came) - 4 * 200  # what is newer may still be on its way
  missing = set(range(40, settled, 4)) - came
  assert 0 < 4 * len(missing) == client.lost
  client.tell()
  assert f"{client.lost} in all" in caplog.messages[-1]
  assert re.search(
    "worker at .* ended .exit code -9.; starting it again", log.read_text()
  )
  after = workers_of(process)
  assert len(after) == 2 and killed not in after


def test_addresses_that_do_not_answer_are_refused(monkeypatch):
  monkeypatch.setattr(data_service.addresses, "SECONDS", 0.1)
  with pytest.raises(errors.UsageError, match="'nowhere': expected host:port"):
    data_service.DataService("nowhere")
  with socket.socket() as found:
    found.bind(("localhost", 0))
    port = found.getsockname()[1]
  with pytest.raises(errors.UsageError, match=f"{port}.*tools.data_service"):
    data_service.DataService(f"localhost:{port}")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
