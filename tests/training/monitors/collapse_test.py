"""Tests of tf_ssl.training.monitors.collapse."""

import math
import sys
import types as python_types

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches
from tf_ssl.training.monitors import collapse, representation

_CHANCE = math.log(4097)
_CONTEXT = {
  "embedding_size": 128,
  "key_momentum": 0.99,
  "chance_loss": _CHANCE,
}


def _healthy():
  """Numbers of a MoCo run that learns: loss through chance level and below."""
  return [
    {
      "step": 100 * i,
      "loss": 5.0 + 3.3 * min(1, i / 5) - 0.1 * max(0, i - 5),
      "contrastive_accuracy": 0.02 * i,
      "knn_accuracy": 0.28 + 0.01 * i,
      "embedding_std": 0.1 / math.sqrt(128) + 0.004 * i,
      "effective_rank": 10.0 + 4 * i,
      "queue_duplicates": 0.9 if i == 0 else 0.01,
    }
    for i in range(20)
  ]


def _causes(history, **context):
  found = collapse.verdict(history, **{**_CONTEXT, **context})
  return [v.cause for v in found]


def test_a_healthy_run_gets_no_verdict_at_any_time():
  history = _healthy()
  for end in range(len(history) + 1):
    assert _causes(history[:end]) == []


def test_a_run_without_monitors_gets_no_verdict():
  history = [{"step": 0}, {"step": 50, "loss": 7.0}, {"step": 100, "loss": 6.0}]
  assert collapse.verdict(history) == []
  assert _causes(history) == []


@pytest.mark.parametrize(
  ("momentum", "cause"), [(0.0, "key momentum is 0"), (1, "key momentum is 1")]
)
def test_a_key_encoder_that_is_no_average_is_named_at_once(momentum, cause):
  assert _causes([], key_momentum=momentum) == [cause]


def test_too_much_weight_decay_collapses_and_is_named(make_context):
  """A linear embedding whose kernel decays until only its bias is left."""
  tf.keras.utils.set_random_seed(0)
  layer = tf.keras.layers.Dense(16, bias_initializer="ones")
  method = python_types.SimpleNamespace(
    embed=lambda images, training: tf.math.l2_normalize(
      layer(tf.reshape(images, [-1, 48])), axis=1
    )
  )
  rng = np.random.default_rng(0)
  probe = batches.ImagePair(
    *rng.normal(size=[2, 32, 4, 4, 3]).astype(np.float32)
  )
  monitor = representation.Representation()
  monitor.start(make_context(method, probe=probe))
  history = []
  for step in range(0, 121, 20):
    history.append({"step": step, **monitor.measure(step)})
    for _ in range(20):  # Learning rate 1, weight decay 0.1.
      layer.kernel.assign_sub(0.1 * layer.kernel)

  assert history[0]["embedding_std"] > 0.5 / math.sqrt(16)
  assert _causes(history[:2], embedding_size=16) == []
  (found,) = collapse.verdict(history, embedding_size=16)
  assert found.cause == "embedding collapse"
  assert "effective rank 1" in found.message
  assert "LEARNING_RATE" in found.message


def test_a_queue_fed_with_one_batch_is_named(make_context):
  rng = np.random.default_rng(0)
  batch = rng.normal(size=[8, 12]).astype(np.float32)
  keys = np.tile(batch / np.linalg.norm(batch, axis=1, keepdims=True), [4, 1])
  method = python_types.SimpleNamespace(
    embed=lambda images, training: tf.math.l2_normalize(
      tf.reshape(images, [-1, 12]), axis=1
    ),
    queue=python_types.SimpleNamespace(keys=tf.Variable(keys)),
  )
  views = rng.normal(size=[2, 9, 2, 2, 3]).astype(np.float32)
  monitor = representation.Representation()
  monitor.start(make_context(method, probe=batches.ImagePair(*views)))
  history = [{"step": s, **monitor.measure(s)} for s in (0, 10, 20)]

  (found,) = collapse.verdict(history, embedding_size=12)

  assert found.cause == "queue of duplicates"
  assert found.message.startswith("100% of the keys")
  assert "QUEUE_SIZE" in found.message


def test_a_solved_task_that_teaches_nothing_is_a_batch_norm_leak():
  history = _healthy()[:8]
  for record in history[1:]:
    record.update(contrastive_accuracy=0.999, knn_accuracy=0.285, loss=1.0)

  (found,) = collapse.verdict(history, **_CONTEXT)

  assert found.cause == "batch-norm leak"
  assert "from 28.0% to 28.5% by step 700" in found.message
  assert "batch_norm.split" in found.message


def test_a_solved_task_that_teaches_something_is_no_leak():
  history = _healthy()
  for record in history[1:]:
    record["contrastive_accuracy"] = 0.999
  assert _causes(history[:8]) == []


def test_kNN_rows_may_be_rarer_than_loss_rows():
  history = [{"step": 0, "knn_accuracy": 0.3}]
  for step in range(50, 1001, 50):
    history.append({"step": step, "loss": 0.1, "contrastive_accuracy": 1.0})
    if step % 500 == 0:
      history[-1]["knn_accuracy"] = 0.3
  assert _causes(history) == ["batch-norm leak"]
  assert _causes(history[:-1]) == []  # One measurement is not enough.


@pytest.mark.parametrize(("until", "expected"), [(1000, 0), (1150, 1)])
def test_long_at_chance_level_is_named(until, expected):
  history = [{"step": 0, "knn_accuracy": 0.3}]
  history += [
    {"step": step, "loss": _CHANCE * (1 + 0.01 * (-1) ** (step // 50))}
    for step in range(50, until + 1, 50)
  ]
  assert _causes(history) == ["loss at chance level"] * expected


def test_collapse_is_not_blamed_on_its_consequences():
  history = _healthy()
  for record in history[1:]:
    record.update(
      embedding_std=1e-6, queue_duplicates=1.0, loss=_CHANCE, knn_accuracy=0.1
    )
  assert _causes(history) == ["embedding collapse"]


def test_each_verdict_is_printed_once():
  said = []
  judge = collapse.Judge(said.append, **{**_CONTEXT, "key_momentum": 0})
  history = _healthy()
  for record in history[1:]:
    record["embedding_std"] = 0.0

  first = judge(history[:1])
  second = judge(history[:3])
  third = judge(history)

  assert [v.cause for v in first] == ["key momentum is 0"]
  assert [v.cause for v in second] == ["embedding collapse"]
  assert third == []
  assert len(said) == 2
  assert all(line.startswith("WARNING: ") for line in said)
  assert all("\n" not in line for line in said)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
