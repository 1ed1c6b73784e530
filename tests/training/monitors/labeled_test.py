"""Tests of tf_ssl.training.monitors.labeled."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import linear_model, pipeline, preprocessing
from tensorboard.backend.event_processing import event_accumulator

from tf_ssl import errors
from tf_ssl.training.monitors import labeled


class _MeanColor(tf.keras.Model):
  """Its feature is the mean color, weighted."""

  def __init__(self):
    super().__init__()
    self.sight = self.add_weight("sight", shape=[3], initializer="ones")

  def call(self, images, training=None):
    assert training is False
    return self.sight * tf.reduce_mean(images, axis=[1, 2])


def _folder(path, num, *, seed, labeled=True):
  """Class folders of reddish and bluish images; returns the path."""
  rng = np.random.default_rng(seed)
  for i in range(num):
    image = rng.integers(0, 100, [4, 4, 3])
    image[:, :, 2 * (i % 2)] += 150
    folder = path / str(i % 2) if labeled else path
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.astype(np.uint8)).save(folder / f"{i}.png")
  return str(path)


@pytest.fixture(name="start")
def fixture_start(tmp_path, make_context):
  """Function that starts a monitor of an encoder on two small folders."""

  def start(encoder=None, **changes):
    arguments = {
      "train": _folder(tmp_path / "train", 12, seed=0),
      "test": _folder(tmp_path / "test", 7, seed=1),
      "k": 3,
      **changes,
    }
    monitor = labeled.LabeledImages(**arguments)
    monitor.find_data()
    context = make_context(encoder=encoder or _MeanColor())
    monitor.start(context)
    return monitor, context

  return start


def test_accuracies_follow_the_encoder_and_are_drawn(start):
  encoder = _MeanColor()
  monitor, context = start(encoder, temperature=0.07)

  seeing = monitor.measure(0)
  encoder.sight.assign([0.0, 1.0, 0.0])  # Green carries no information.
  blind = monitor.measure(10)

  assert seeing == {
    "knn_accuracy": 1.0,
    "knn_k": 3,
    "knn_temperature": 0.07,
    "linear_accuracy": 1.0,
  }
  assert blind["knn_accuracy"] < 1.0 and blind["linear_accuracy"] < 1.0
  context.writer.close()
  events = event_accumulator.EventAccumulator(context.tensorboard).Reload()
  points = events.Tensors("knn/accuracy_k3_t0.07")
  assert [point.step for point in points] == [0, 10]
  assert tf.make_ndarray(points[0].tensor_proto) == 1.0
  points = events.Tensors("linear_probe/accuracy")
  assert [point.step for point in points] == [0, 10]
  assert tf.make_ndarray(points[1].tensor_proto) == np.float32(
    blind["linear_accuracy"]
  )


@pytest.fixture(name="eagerly")
def fixture_eagerly():
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


def test_both_accuracies_use_one_pass_over_normalized_images(start, eagerly):
  seen = []

  def encoder(images, training):
    del training
    seen.append(tf.reduce_mean(images, axis=[1, 2]))
    return seen[-1]

  monitor, _ = start(encoder)
  assert monitor.measure(0)["linear_accuracy"] == 1.0
  assert sum(len(batch) for batch in seen) == 12 + 7
  colors = tf.concat(seen, 0).numpy()
  red = colors[:, 0] > colors[:, 2]
  assert red.sum() == 6 + 4
  # Pixels of 150 to 249 and of 0 to 99, normalized with ImageNet's statistics.
  assert np.all((0.4 < colors[red, 0]) & (colors[red, 0] < 2.2))
  assert np.all(colors[red, 2] < 0.0)


def test_the_linear_probe_is_optional(start):
  monitor, _ = start(linear_probe=False)
  assert set(monitor.measure(0)) == {
    "knn_accuracy",
    "knn_k",
    "knn_temperature",
  }


def test_without_sources_the_monitor_is_off(start):
  monitor, _ = start(train=None, test=None)
  assert monitor.measure(0) == {} and monitor.best_metric is None
  assert monitor.summary({}, {}, None) is None
  assert labeled.LabeledImages(train="a", test="b").best_metric


def test_the_summary_has_both_accuracies(start):
  monitor, _ = start()
  line = monitor.summary({"knn_accuracy": 0.25}, {"knn_accuracy": 0.5}, None)
  assert "25.0%" in line and "50.0%" in line and "k 3" in line


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
  found = labeled._linear_accuracy(
    features[train], labels[train], features[test], labels[test]
  )
  assert found == reference.score(features[test], labels[test])
  assert 0.5 < found < 1.0


def test_a_class_without_training_images_is_never_predicted():
  features = np.array([[0.0, 1.0], [1.0, 0.0]] * 3, np.float32)
  found = labeled._linear_accuracy(
    features, np.array([0, 1] * 3), features[:2], np.array([0, 7])
  )
  assert found == 0.5


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"k": 13}, "LABELLED_IMAGES.*13.*12"),
    ({"train": None}, "LABELLED_IMAGES=None"),
    ({"test": "nowhere/"}, "nowhere.*HELD_OUT_IMAGES"),
    ({"every": -1}, "every=-1"),
  ],
)
def test_bad_arguments_are_named(start, change, message):
  with pytest.raises(errors.UsageError, match=message):
    start(**change)[0].measure(0)


def test_classes_are_matched_by_name(start, tmp_path, caplog):
  test = tmp_path / "renamed"
  _folder(test, 8, seed=1)
  (test / "0").rename(test / "new")  # Sorted last: red is 1 here, blue 0.
  found = start(test=str(test))[0].measure(0)
  assert found["knn_accuracy"] == found["linear_accuracy"] == 0.5
  assert "online kNN: 1 of 3 classes have no train images: 'new'" in caplog.text


def test_a_single_class_is_refused_before_training(start, tmp_path):
  train = tmp_path / "single"
  _folder(train, 12, seed=0)
  (train / "1").rename(tmp_path / "elsewhere")
  with pytest.raises(errors.UsageError, match="LABELLED_IMAGES has a single"):
    start(train=str(train))


def test_images_without_labels_are_refused(start, tmp_path):
  flat = _folder(tmp_path / "flat", 4, seed=0, labeled=False)
  with pytest.raises(errors.UsageError, match="flat"):
    start(test=flat)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
