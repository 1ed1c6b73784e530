"""Tests of tf_ssl.training.attention_boxes."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import skipped
from tf_ssl.training import attention_boxes


def reference_box(maps, size, threshold):
  """Box of one map [h, w, C] by loops over pixels."""
  heat = maps.sum(-1).astype(np.float64)
  heat -= heat.min()
  if heat.max() == 0:
    return [0, 0, 1, 1]
  heat /= heat.max()
  h, w = heat.shape

  def at(y, x):
    """Bilinear, with the centers of pixels at halves."""
    rows = np.clip((y + 0.5) * h / size - 0.5, 0, h - 1)
    columns = np.clip((x + 0.5) * w / size - 0.5, 0, w - 1)
    y0, x0 = int(rows), int(columns)
    y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
    a, b = rows - y0, columns - x0
    top = heat[y0, x0] * (1 - b) + heat[y0, x1] * b
    bottom = heat[y1, x0] * (1 - b) + heat[y1, x1] * b
    return top * (1 - a) + bottom * a

  hot = [
    (y, x) for y in range(size) for x in range(size) if at(y, x) > threshold
  ]
  ys, xs = zip(*hot, strict=True)
  return np.divide([min(ys), min(xs), max(ys) + 1, max(xs) + 1], size)


def test_a_box_of_a_known_heat_map_by_hand():
  maps = np.zeros([1, 4, 4, 2], np.float32)
  maps[0, 1, 2] = [3, 1]
  # At 4 px, the map is the image: one pixel is above the threshold.
  [box] = attention_boxes.boxes_of_maps(maps, 4, threshold=0.1).numpy()
  np.testing.assert_allclose(box, [0.25, 0.5, 0.5, 0.75])
  # A constant in all channels changes nothing.
  [box] = attention_boxes.boxes_of_maps(maps + 7, 4, threshold=0.1).numpy()
  np.testing.assert_allclose(box, [0.25, 0.5, 0.5, 0.75])


@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_boxes_are_those_of_loops_over_pixels(threshold):
  maps = np.random.default_rng(0).random([12, 3, 5, 4]).astype(np.float32) ** 4
  maps[-1] = 2.0
  found = attention_boxes.boxes_of_maps(maps, 24, threshold=threshold)
  expected = [reference_box(m, 24, threshold) for m in maps[:-1]]
  np.testing.assert_allclose(found[:-1], expected, atol=1e-6)


def test_a_map_without_contrast_gives_the_whole_image():
  maps = tf.ones([1, 2, 2, 3])
  [box] = attention_boxes.boxes_of_maps(maps, 8, threshold=0.1).numpy()
  assert box.tolist() == [0, 0, 1, 1]


def test_boxes_are_renewed_at_equal_parts_of_the_run():
  settings = attention_boxes.AttentionBoxes()
  assert settings.steps(1000) == [200, 400, 600, 800]
  assert attention_boxes.AttentionBoxes(renewals=1).steps(5) == [2]
  assert settings.steps(2) == [1]


class Looking(tf.keras.Model):
  """Its map is the red of the image."""

  def endpoints(self, images, training=None):
    assert not training
    return {"C5": images[:, ::2, ::2, :1]}


@pytest.fixture(name="records")
def _records(tmp_path):
  for number in range(5):
    image = np.zeros([16, 16, 3], np.uint8)
    image[4 + number : 12, 6:14, 0] = 255
    Image.fromarray(image).save(tmp_path / f"{number}.png")
  (tmp_path / "3.png").write_bytes(b"no image")
  return image_folder.read(str(tmp_path))


def renewed(records, **settings):
  return attention_boxes.RenewedBoxes(
    attention_boxes.AttentionBoxes(threshold=0.4, batch_size=2, **settings),
    Looking(),
    records,
    num_steps=10,
    image_size=16,
    skipped=skipped.SkippedFiles(None, records.num_images, 1.0),
  )


def test_the_boxes_of_a_run_are_where_the_encoder_looks(records):
  boxes = renewed(records)
  assert boxes.objects() is None
  assert not boxes.renew(3)
  assert boxes.renew(4) and not boxes.renew(4)
  assert boxes.step == 4
  found = boxes.objects()
  # The unreadable image has no box.
  assert np.diff(found.offsets).tolist() == [1, 1, 1, 0, 1]
  assert found.of_regions and found.num_without == 1
  np.testing.assert_allclose(
    found.boxes[0, 0], [0.25, 0.375, 0.75, 0.875], atol=0.07
  )
  assert found.boxes[3, 0, 0] > found.boxes[0, 0, 0]


def test_a_checkpoint_keeps_the_boxes_and_their_step(records, tmp_path):
  boxes, other = renewed(records), renewed(records)
  boxes.renew(6)
  tf.train.Checkpoint(boxes=boxes.state).write(str(tmp_path / "checkpoint"))
  tf.train.Checkpoint(boxes=other.state).read(str(tmp_path / "checkpoint"))
  assert other.step == 6
  np.testing.assert_array_equal(other.boxes, boxes.boxes)
  assert not other.renew(6)


def test_workers_make_their_shares(records, monkeypatch):
  whole = renewed(records)
  whole.renew(2)
  shares = []
  monkeypatch.setattr(
    attention_boxes.distribution,
    "sum_over_workers",
    lambda values: shares.append(values) or values,
  )
  for index in range(2):
    monkeypatch.setattr(
      attention_boxes.cluster_lib,
      "read",
      lambda index=index: attention_boxes.cluster_lib.Cluster(
        ("a:1", "b:1"), index
      ),
    )
    renewed(records).renew(2)
  assert not shares[0][2:].any() and not shares[1][:2].any()
  np.testing.assert_array_equal(np.add(*shares), whole.boxes)


WORKER = """
import sys
import numpy as np
from attention_boxes_test import renewed
from tf_ssl.datasets import image_folder
from tf_ssl.training.distributed import distribution
with distribution.strategy().scope():
  boxes = renewed(image_folder.read(sys.argv[1]))
  assert boxes.objects() is None and boxes.renew(2)
np.save(sys.argv[2], boxes.boxes)
"""


@pytest.mark.slow
def test_two_processes_have_the_boxes_of_one(records, tmp_path, repository):
  whole = renewed(records)
  whole.renew(2)
  ports = []
  for _ in range(2):
    with socket.socket() as found:
      found.bind(("localhost", 0))
      ports.append(found.getsockname()[1])
  cluster = {"worker": [f"localhost:{port}" for port in ports]}
  here = pathlib.Path(__file__).parent
  path = os.pathsep.join(map(str, (repository, here)))
  workers = [
    subprocess.Popen(
      [sys.executable, "-c", WORKER, records.root, f"{tmp_path}/{index}.npy"],
      env={
        **os.environ,
        "PYTHONPATH": path,
        "TF_CONFIG": json.dumps(
          {"cluster": cluster, "task": {"type": "worker", "index": index}}
        ),
      },
    )
    for index in range(2)
  ]
  assert [worker.wait(600) for worker in workers] == [0, 0]
  for index in range(2):
    found = np.load(f"{tmp_path}/{index}.npy")
    np.testing.assert_array_equal(found, whole.boxes)
  assert np.isnan(whole.boxes).any(1).tolist() == [False] * 3 + [True, False]


def test_examples_of_two_images_and_encoders_without_maps_are_refused(records):
  pairs = records._replace(examples=records_lib.Examples(np.array([[0, 1]])))
  with pytest.raises(errors.UsageError, match="pairs of images"):
    renewed(pairs)
  with pytest.raises(errors.UsageError, match="C4.*expected one of C5"):
    renewed(records, endpoint="C4")
  with pytest.raises(errors.UsageError, match="renewals=0"):
    attention_boxes.AttentionBoxes(renewals=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
