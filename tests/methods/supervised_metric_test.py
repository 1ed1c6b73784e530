"""Supervised metric learning against slow NumPy losses, and its optimizers."""

import itertools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.losses import supervised
from tf_ssl.methods import base, supervised_metric
from tf_ssl.ops import optimizers

ENCODER = shallow_reference.resnet10
SETUP = base.Setup(num_images=50, batch_size=8, image_size=8, num_classes=3)
LABELS = [0, 1, 2, 0, 1, 2, -1, -1]


@pytest.fixture(name="addons")
def fixture_addons():
  return pytest.importorskip("tensorflow_addons")


def _cosine_loss(labels, embeddings):
  """A loss that needs no other package."""
  same = labels[:, None] == labels
  similarities = tf.matmul(embeddings, embeddings, transpose_b=True)
  return tf.reduce_mean(
    tf.where(same, 1.0 - similarities, tf.nn.relu(similarities))
  )


def _views(labels=LABELS):
  images = tf.random.stateless_normal([2, 8, 8, 8, 3], [0, 0])
  return batches.LabeledPair(images[0], images[1], tf.constant(labels))


def _build(**options):
  tf.keras.utils.set_random_seed(0)
  return supervised_metric.build_supervised_metric(
    SETUP, encoder=ENCODER, **options
  )


def _embeddings(model, views):
  queries, keys, _ = model.embed_both(views, True)
  return np.concatenate([queries, keys]).astype("d")


def _classes(labels):
  """Labels of both views; an unknown one is a class of its own."""
  known = [c if c >= 0 else f"image {i}" for i, c in enumerate(labels)]
  return known + known


def slow_triplet_semi_hard(labels, rows, margin):
  """Schroff et al. (2015), section 3.2, one anchor and positive at a time.

  The negative is the nearest one that is farther than the positive; without
  one, the farthest of all.
  """
  distance = np.linalg.norm(rows[:, None] - rows, axis=2)
  losses = []
  for a, p in itertools.permutations(range(len(rows)), 2):
    if labels[a] == labels[p]:
      negatives = [
        distance[a, n] for n in range(len(rows)) if labels[n] != labels[a]
      ]
      farther = [d for d in negatives if d > distance[a, p]]
      negative = min(farther) if farther else max(negatives)
      losses.append(max(0.0, margin + distance[a, p] - negative))
  return np.mean(losses)


def slow_n_pairs(labels, rows, temperature):
  """Sohn (2016), equation 6, with the mean over all keys of the same class."""
  count = len(rows) // 2
  losses = []
  for i in range(count):
    scores = rows[count:] @ rows[i] / temperature
    log_softmax = scores - np.log(np.exp(scores).sum())
    same = [j for j in range(count) if labels[j] == labels[i]]
    losses.append(-np.mean(log_softmax[same]))
  return np.mean(losses)


@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_the_triplet_loss_is_the_papers(addons, margin):
  model = _build(loss=addons.losses.TripletSemiHardLoss(margin=margin))
  views = _views()
  expected = slow_triplet_semi_hard(
    _classes(LABELS), _embeddings(model, views), margin
  )
  assert expected > 0
  contrast = model.contrast(views, True)
  np.testing.assert_allclose(contrast.loss, expected, rtol=1e-4)
  assert contrast.logits.shape == (16, 1 + 16)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_n_pairs_loss_is_the_papers(addons, temperature):
  loss = supervised_metric.similarity_loss(
    addons.losses.NpairsLoss(), temperature=temperature
  )
  model = _build(loss=loss)
  views = _views()
  expected = slow_n_pairs(
    _classes(LABELS), _embeddings(model, views), temperature
  )
  np.testing.assert_allclose(
    model.contrast(views, True).loss, expected, rtol=1e-4
  )


def test_the_default_loss_is_the_triplet_loss_of_addons(addons):
  views = _views()
  np.testing.assert_allclose(
    _build().contrast(views, True).loss,
    _build(loss=addons.losses.TripletSemiHardLoss()).contrast(views, True).loss,
    rtol=1e-6,
  )


def test_any_function_of_labels_and_embeddings_is_a_loss():
  seen = {}

  def loss(labels, embeddings):
    seen.update(labels=labels.numpy(), embeddings=embeddings.numpy())
    return tf.cast(labels, tf.float32)  # One value for each embedding.

  contrast = _build(loss=loss).contrast(_views(), True)

  np.testing.assert_array_equal(seen["labels"][:8], seen["labels"][8:])
  assert len(set(seen["labels"])) == 5  # Three classes, two unknown.
  np.testing.assert_allclose(
    np.linalg.norm(seen["embeddings"], axis=1), 1.0, rtol=1e-5
  )
  np.testing.assert_allclose(contrast.loss, seen["labels"].mean(), rtol=1e-6)


def test_unknown_labels_never_equal_another_label():
  labels = np.array([5, -1, 0, -1, 5, -7])
  rows = np.arange(6) + 2  # Rows 3 and 5 are numbers of classes, too.
  found = supervised.own_class_if_unknown(
    tf.constant(labels), tf.constant(rows)
  ).numpy()
  same = found[:, None] == found
  expected = (labels[:, None] == labels) & (labels >= 0)
  np.testing.assert_array_equal(same, expected | np.eye(6, dtype=bool))
  assert found.min() >= 0


@pytest.mark.parametrize(
  "optimizer",
  [
    optimizers.MomentumSgd(0.05),
    tf.keras.optimizers.AdamW(0.003),
    "LAMB",
  ],
)
def test_it_learns_one_batch_with_any_keras_optimizer(optimizer, request):
  if optimizer == "LAMB":
    optimizer = request.getfixturevalue("addons").optimizers.LAMB(0.02)
  model = _build(loss=_cosine_loss)
  model.compile(optimizer)
  dataset = tf.data.Dataset.from_tensors(_views([0, 1, 2, 0, 1, 2, 0, 1]))
  history = model.fit(dataset, verbose=0, epochs=25).history
  assert history["loss"][-1] < 0.6 * history["loss"][0]


def test_without_addons_one_line_says_what_to_install(monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
  with pytest.raises(errors.UsageError, match="tensorflow-addons.*loss"):
    _build()
  assert _build(loss=lambda labels, embeddings: 0.0)


def test_a_temperature_of_zero_is_refused():
  with pytest.raises(errors.UsageError, match="temperature=0"):
    supervised_metric.similarity_loss(lambda *_: 0.0, temperature=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
