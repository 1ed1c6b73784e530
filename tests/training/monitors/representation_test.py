"""Tests of tf_ssl.training.monitors.representation."""

import sys
import types as python_types

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl import batches
from tf_ssl.evaluation import representation
from tf_ssl.training.monitors import (
  representation as monitors_representation,
)


class _PixelMethod:
  """Embeds an image as its pixels."""

  def __init__(self, keys=None):
    self.calls = 0
    if keys is not None:
      self.queue = python_types.SimpleNamespace(keys=tf.Variable(keys))

  def embed(self, images, training):
    assert training is False
    self.calls += 1
    return tf.math.l2_normalize(tf.reshape(images, [-1, 12]), axis=1)


def _probe(num=6):
  rng = np.random.default_rng(0)
  query = rng.normal(size=[num, 2, 2, 3]).astype(np.float32)
  key = query + 0.3 * rng.normal(size=query.shape).astype(np.float32)
  return batches.ImagePair(query, key)


def _unit(images):
  flat = images.reshape(len(images), -1)
  return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def _start(context):
  monitor = monitors_representation.Representation()
  monitor.start(context)
  return monitor


def test_numbers_are_those_of_the_embeddings(make_context):
  probe, method = _probe(), _PixelMethod()

  values = _start(make_context(method, probe=probe)).measure(0)

  query, key = _unit(probe.query), _unit(probe.key)
  similarity = query @ key.T
  others = (similarity.sum() - np.trace(similarity)) / (6 * 5)
  assert values == pytest.approx(
    {
      "embedding_std": representation.embedding_std(query),
      "effective_rank": representation.rank_me(query),
      "alignment": representation.alignment(query, key),
      "uniformity": representation.uniformity(query),
      "positive_similarity": np.trace(similarity) / 6,
      "negative_similarity": others,
    },
    abs=1e-5,
  )
  assert all(isinstance(value, float) for value in values.values())


def test_measuring_again_gives_the_same_and_traces_nothing(make_context):
  method = _PixelMethod()
  monitor = _start(make_context(method, probe=_probe()))
  assert monitor.measure(0) == monitor.measure(5)
  assert method.calls == 1


def test_histograms_hold_every_pair(make_context):
  context = make_context(_PixelMethod(), probe=_probe())
  _start(context).measure(4)
  context.writer.close()

  events = event_accumulator.EventAccumulator(context.tensorboard).Reload()
  for name, count in (("positive", 6), ("negative", 30)):
    (point,) = events.Tensors(f"similarity/{name}")
    buckets = tf.make_ndarray(point.tensor_proto)  # [n, 3]: from, to, count
    assert point.step == 4
    assert buckets[:, 2].sum() == count
    assert buckets[0, 0] >= -1.001
    assert buckets[-1, 1] <= 1.001


def test_copies_in_the_queue_are_counted(make_context):
  keys = _unit(np.random.default_rng(1).normal(size=[8, 12]))
  keys[4:6] = keys[0:2]  # Four of eight have a twin.
  method = _PixelMethod(keys.astype(np.float32))
  values = _start(make_context(method, probe=_probe())).measure(0)
  assert values["queue_duplicates"] == 0.5


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
