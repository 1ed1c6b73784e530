"""The online kNN and linear probe: numbers, names, errors."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn import linear_model, pipeline, preprocessing
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl import batches, errors
from tf_ssl.ops import pixels
from tf_ssl.training.monitors import labeled as monitors_labeled


class _MeanColor(tf.keras.Model):
  """Its feature is the mean color, or nothing when blinded."""

  def __init__(self):
    super().__init__()
    self.sight = self.add_weight("sight", shape=[3], initializer="ones")

  def call(self, images, training=None):
    assert training is False
    return self.sight * tf.reduce_mean(images, axis=[1, 2])


def _dataset(num, *, seed, labeled=True):
  """Reddish and bluish images."""
  rng = np.random.default_rng(seed)
  labels = np.arange(num, dtype=np.int32) % 2
  images = rng.integers(0, 100, [num, 4, 4, 3])
  images[labels == 0, :, :, 0] += 150
  images[labels == 1, :, :, 2] += 150
  return tf.data.Dataset.from_tensor_slices(
    batches.LabeledImage(
      images.astype(np.uint8), labels if labeled else np.full_like(labels, -1)
    )
  ).batch(5)


def _monitor(path, **kwargs):
  writer = tf.summary.create_file_writer(str(path))
  arguments = {
    "encoder": _MeanColor(),
    "labeled": _dataset(12, seed=0),
    "held_out": _dataset(7, seed=1),
    "writer": writer,
    "k": 3,
    **kwargs,
  }
  return monitors_labeled.LabeledMonitor(**arguments), writer


def test_it_follows_the_encoder_and_writes_k_and_temperature_beside(tmp_path):
  encoder = _MeanColor()
  monitor, writer = _monitor(tmp_path, encoder=encoder, temperature=0.07)

  seeing = monitor.measure(0)
  encoder.sight.assign([0.0, 1.0, 0.0])  # Green says nothing.
  blind = monitor.measure(10)

  assert seeing == {
    "knn_accuracy": 1.0,
    "knn_k": 3,
    "knn_temperature": 0.07,
    "linear_accuracy": 1.0,
  }
  assert blind["knn_accuracy"] < 1.0 and blind["linear_accuracy"] < 1.0
  writer.close()
  events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
  points = events.Tensors("knn/accuracy_k3_t0.07")
  assert [point.step for point in points] == [0, 10]
  assert tf.make_ndarray(points[0].tensor_proto) == 1.0
  points = events.Tensors("linear_probe/accuracy")
  assert [point.step for point in points] == [0, 10]
  assert tf.make_ndarray(points[1].tensor_proto) == np.float32(
    blind["linear_accuracy"]
  )


def test_both_are_of_one_pass_over_the_images(tmp_path):
  passes = []

  def counted(name, dataset):
    def start():
      passes.append(name)
      return 0

    first = tf.data.Dataset.range(1).map(
      lambda _: tf.py_function(start, [], tf.int64)
    )
    return first.flat_map(lambda _: dataset)

  monitor, _ = _monitor(
    tmp_path,
    labeled=counted("labeled", _dataset(12, seed=0)),
    held_out=counted("held out", _dataset(7, seed=1)),
  )
  assert monitor.measure(0)["linear_accuracy"] == 1.0
  assert passes == ["labeled", "held out"]


def test_the_linear_probe_can_be_left_out(tmp_path):
  monitor, _ = _monitor(tmp_path, linear_probe=False)
  assert set(monitor.measure(0)) == {
    "knn_accuracy",
    "knn_k",
    "knn_temperature",
  }


def test_the_linear_probe_is_scikit_learns_on_scaled_features():
  rng = np.random.default_rng(0)
  labels = rng.integers(3, size=260)
  features = np.eye(3)[labels] @ rng.normal(size=(3, 8)) + rng.normal(
    size=(260, 8)
  )
  features = features.astype(np.float32)
  train, test = slice(0, 200), slice(200, 260)
  reference = pipeline.make_pipeline(
    preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.1)
  ).fit(features[train], labels[train])
  found = monitors_labeled._linear_accuracy(
    features[train], labels[train], features[test], labels[test]
  )
  assert found == reference.score(features[test], labels[test])
  assert 0.5 < found < 1.0


def test_a_class_that_is_not_learned_from_is_never_named():
  features = np.array([[0.0, 1.0], [1.0, 0.0]] * 3, np.float32)
  found = monitors_labeled._linear_accuracy(
    features, np.array([0, 1] * 3), features[:2], np.array([0, 7])
  )
  assert found == 0.5


def test_the_images_are_normalized_as_in_training(tmp_path):
  seen = []

  def encoder(images, training):
    del training
    seen.append(tf.reduce_mean(images, axis=[1, 2]))
    return seen[-1]

  tf.config.run_functions_eagerly(True)
  try:
    _monitor(tmp_path, encoder=encoder)[0].measure(0)
  finally:
    tf.config.run_functions_eagerly(False)

  first = next(iter(_dataset(12, seed=0))).image
  expected = tf.reduce_mean(pixels.normalize(first), axis=[1, 2])
  np.testing.assert_allclose(seen[0], expected, atol=1e-5)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"k": 13}, "LABELLED_IMAGES.*k = 13 neighbors.*among 12"),
    ({"held_out": _dataset(4, seed=0, labeled=False)}, "HELD_OUT.*unlabeled"),
    ({"labeled": _dataset(4, seed=0).take(0)}, "LABELLED_IMAGES.*is empty"),
  ],
)
def test_sets_that_do_not_do_are_named(tmp_path, change, message):
  monitor, _ = _monitor(tmp_path, **change)
  with pytest.raises(errors.UsageError, match=message):
    monitor.measure(0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
