"""Tests of tf_ssl.training.monitors.neighbors."""

import os
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl.datasets import open_images
from tf_ssl.ops import pixels
from tf_ssl.training.monitors import neighbor_grid, neighbors

COLORS = {"blue": (0, 0, 200), "green": (0, 200, 0), "red": (200, 0, 0)}


class _Encoder(tf.keras.Model):
  """Its feature is the mean color, or one that tells classes apart badly."""

  def __init__(self):
    super().__init__()
    self.sight = self.add_weight("sight", shape=[3, 3], initializer="zeros")
    self.sight.assign([[1.0, 1, 1], [1, 1.1, 1], [1, 1, 1.2]])

  def call(self, images, training=None):
    assert training is False
    return tf.reduce_mean(images, axis=[1, 2]) @ self.sight


def _folder(path, num, *, seed):
  """Class folders of noisy images of one color each; returns the path."""
  rng = np.random.default_rng(seed)
  for i in range(num):
    name = sorted(COLORS)[rng.integers(3)]
    image = rng.integers(0, 55, [6, 6, 3]) + COLORS[name]
    (path / name).mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.astype(np.uint8)).save(path / name / f"{i}.png")
  return str(path)


@pytest.fixture(name="start")
def fixture_start(tmp_path, make_context):
  """Function that starts a monitor of an encoder."""

  def start(encoder, **arguments):
    monitor = neighbors.NearestNeighbors(**{"rows": 4, **arguments})
    monitor.find_data()
    context = make_context(encoder=encoder)
    monitor.start(context)
    return monitor, context

  return start


def _arrays(folder):
  """Images [N, 6, 6, 3] and class names [N], in the order of the records."""
  paths = sorted(pathlib.Path(folder).rglob("*.png"))
  return (
    np.stack([np.asarray(Image.open(path)) for path in paths]),
    [path.parent.name for path in paths],
  )


def _share(images, names, queries, own, encoder, k):
  """`neighbors_right`, with loops and float64."""
  right = []
  for i, query in enumerate(queries):
    similarity = []
    for j, image in enumerate(images):
      if images is queries and i == j:
        continue
      a, b = (
        np.asarray(pixels.normalize(x)).mean((0, 1)).astype(float)
        @ encoder.sight.numpy().astype(float)
        for x in (query, image)
      )
      cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
      similarity.append((-cosine, names[j] == own[i]))
    right += [same for _, same in sorted(similarity)[:k]]
  return np.mean(right)


@pytest.mark.parametrize("searched", ["others", "themselves"])
def test_the_share_equals_that_of_a_loop_over_all_pairs(
  searched, start, tmp_path
):
  images = _folder(tmp_path / "images", 25, seed=0)
  queries = _folder(tmp_path / "queries", 12, seed=1)
  encoder = _Encoder()
  monitor, _ = start(
    encoder,
    images=images,
    queries=queries if searched == "others" else None,
    image_size=6,
    k=4,
  )
  found = _arrays(images)
  asked = _arrays(queries) if searched == "others" else found
  for step, sight in enumerate([encoder.sight.numpy(), np.eye(3)]):
    encoder.sight.assign(sight)
    measured = monitor.measure(step)
    expected = _share(*found, *asked, encoder, k=4)
    assert measured == {"neighbors_right": pytest.approx(expected, abs=1e-6)}
  assert measured["neighbors_right"] == 1.0


def test_the_picture_keeps_the_untrained_neighbors_for_a_resumed_run(
  start, tmp_path
):
  arguments = {
    "images": _folder(tmp_path / "images", 20, seed=0),
    "queries": _folder(tmp_path / "queries", 9, seed=1),
  }
  encoder = _Encoder()
  monitor, context = start(encoder, **arguments)
  monitor.measure(0)
  first = Image.open(monitor.picture)
  encoder.sight.assign(np.eye(3))
  whole, _ = start(encoder, **arguments)  # As a resumed run: a new monitor.
  whole.measure(1000)
  both = Image.open(whole.picture)
  assert whole.picture == os.path.join(context.model_dir, neighbors.PICTURE)
  assert both.width > first.width
  # Below the headings, the left block is as it was.
  left, bottom = first.width - 20, -4 * neighbor_grid.TILE
  np.testing.assert_array_equal(
    np.asarray(both)[bottom:, :left], np.asarray(first)[bottom:, :left]
  )
  context.writer.close()
  events = event_accumulator.EventAccumulator(context.tensorboard).Reload()
  assert "nearest_neighbors" in events.Tags()["tensors"]


def test_the_seed_draws_queries_of_different_classes(start, tmp_path):
  folder = _folder(tmp_path / "images", 20, seed=0)
  monitor, _ = start(_Encoder(), images=folder, rows=3)
  names = monitor._images.names
  drawn = monitor._rows_to_draw(np.arange(20))
  assert sorted(names[drawn]) == sorted(COLORS)
  again, _ = start(_Encoder(), images=folder, rows=3)
  np.testing.assert_array_equal(again._rows_to_draw(np.arange(20)), drawn)
  more, _ = start(_Encoder(), images=folder, rows=99)
  assert sorted(more._rows_to_draw(np.arange(20))) == list(range(20))


def test_training_images_without_classes_are_drawn_without_judgment(
  start, tmp_path, make_context
):
  folder = _folder(tmp_path / "images", 12, seed=0)
  monitor = neighbors.NearestNeighbors(max_images=10)
  monitor.find_data()
  monitor.start(
    make_context(encoder=_Encoder(), records=open_images.open_images(folder))
  )
  assert monitor.measure(0) == {} == monitor.measure(5)
  assert monitor.summary({}, {}, None) is None
  picture = np.asarray(Image.open(monitor.picture))
  shown = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
  judged = [(0x00, 0x9E, 0x73), (0xD5, 0x5E, 0x00)]
  assert not shown & set(judged)


@pytest.mark.parametrize("number", [2, 4])
def test_few_images_have_fewer_neighbors(number, start, tmp_path):
  folder = _folder(tmp_path / "images", number, seed=0)
  monitor, _ = start(_Encoder(), images=folder, k=5)
  assert set(monitor.measure(0)) == {"neighbors_right"}
  _, nearest = monitor._find()
  assert nearest.shape == (number, number - 1)


def test_the_summary_has_both_shares_and_chance(start, tmp_path):
  monitor, _ = start(_Encoder(), images=_folder(tmp_path / "a", 12, seed=0))
  monitor.measure(0)
  before, after = {"neighbors_right": 0.25}, {"neighbors_right": 0.415}
  line = monitor.summary(before, after, None)
  names = monitor._images.names
  chance = np.mean(names[:, None] == names)
  for part in ("25.0%", "41.5%", f"chance {chance:.1%}", "5 nearest"):
    assert part in line


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
