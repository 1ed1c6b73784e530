"""The train step of tf_ssl.methods.base, on a method of two weights."""

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.encoders import heads
from tf_ssl.methods import base
from tf_ssl.ops import optimizers

RATE = 0.1


class Scale(tf.keras.Model):
  """[B, 1, 1, 3] -> [B, 3], times a weight."""

  def __init__(self, value=1.0):
    super().__init__()
    self.weight = self.add_weight(
      "weight", [], initializer=tf.keras.initializers.Constant(value)
    )

  def call(self, images, training=None):
    return self.weight * tf.reshape(images, [-1, 3])


class Squares(base.ContrastiveModel):
  """The loss is the mean square of the embeddings; records what happens."""

  def __init__(self, loss=tf.square):
    super().__init__(Scale(2.0), Scale(3.0))
    self.encoder(tf.zeros([1, 1, 1, 3]))
    self.projection_head(tf.zeros([1, 3]))
    self.events = []
    self._loss = loss

  def weights_now(self):
    return [
      float(v) for v in (self.encoder.weight, self.projection_head.weight)
    ]

  def on_train_step_begin(self):
    self.events.append(("begin", self.weights_now()))

  def contrast(self, views, training):
    self.events.append(("contrast", training))
    features = self.encoder(views.query, training=training)
    output = self.projection_head(features, training=training)
    logits = tf.concat([output[:, :1], output[:, 1:]], axis=1)
    return base.Contrast(
      tf.reduce_mean(self._loss(output)),
      logits,
      to_remember=tf.stop_gradient(features),
      metrics={"largest": tf.reduce_max(output)},
    )

  def on_train_step_end(self, to_remember):
    self.events.append(("end", self.weights_now(), to_remember.numpy()))


def pair(values):
  images = tf.constant(values, tf.float32)[:, None, None, :]
  return batches.ImagePair(images, images)


VIEWS = [[1.0, 0.5, 0.0], [1.0, 3.0, -1.0]]


def compiled(optimizer=None, **options):
  model = Squares(**options)
  model.compile(optimizer or optimizers.MomentumSgd(RATE), run_eagerly=True)
  return model


def test_a_step_is_the_closed_form_gradient_step():
  model = compiled(optimizers.MomentumSgd(RATE, weight_decay=0.0))
  logs = model.train_step(pair(VIEWS))
  # loss = (w v)² m with m the mean square, w = 2, v = 3.
  mean_square = np.mean(np.square(VIEWS))
  gradient = np.array([2 * 2 * 9, 2 * 4 * 3]) * mean_square
  np.testing.assert_allclose(logs["loss"], 36 * mean_square, rtol=1e-6)
  np.testing.assert_allclose(
    logs["gradient_norm"], np.linalg.norm(gradient), rtol=1e-6
  )
  np.testing.assert_allclose(
    model.weights_now(), [2, 3] - RATE * gradient, rtol=1e-5
  )
  assert int(model.optimizer.iterations) == 1
  # Column 0 is the largest of the first row only.
  assert float(logs["contrastive_accuracy"]) == 0.5
  assert float(logs["largest"]) == 18.0


@pytest.mark.parametrize(
  "optimizer",
  [
    tf.keras.optimizers.SGD,
    tf.keras.optimizers.legacy.SGD,
    lambda rate: tf.keras.mixed_precision.LossScaleOptimizer(
      tf.keras.optimizers.SGD(rate)
    ),
  ],
)
def test_all_kinds_of_keras_optimizers_make_the_same_step(optimizer):
  expected = compiled(optimizers.MomentumSgd(RATE, weight_decay=0.0))
  found = compiled(optimizer(RATE))
  for model in (expected, found):
    model.train_step(pair(VIEWS))
  np.testing.assert_allclose(
    found.weights_now(), expected.weights_now(), rtol=1e-5
  )


def test_hooks_run_before_the_forward_pass_and_after_the_update():
  model = compiled()
  model.train_step(pair(VIEWS))
  begin, contrast, end = model.events
  assert begin == ("begin", [2.0, 3.0])
  assert contrast == ("contrast", True)
  assert end[1] == model.weights_now() != [2.0, 3.0]
  # Features of the forward pass, from the old weights.
  np.testing.assert_allclose(end[2], 2 * np.array(VIEWS), rtol=1e-6)


def test_views_are_finished_with_the_number_of_the_step():
  model = compiled(optimizers.MomentumSgd(0.0))
  steps = []

  def finish(views, step):
    steps.append(int(step))
    return batches.ImagePair(views.query * 2, views.key)

  plain = float(model.train_step(pair(VIEWS))["loss"])
  model.finish_views = finish
  for _ in range(2):
    finished = float(model.train_step(pair(VIEWS))["loss"])
  assert steps == [1, 2]
  assert finished == pytest.approx(4 * plain)


@pytest.mark.parametrize(
  ("loss", "value"),
  [
    (lambda x: x / 0.0, 1.0),
    (lambda x: tf.sqrt(x), 0.0),  # The loss is 0, its gradient infinite.
  ],
)
def test_a_loss_or_gradient_that_is_not_finite_changes_no_weight(loss, value):
  model = compiled(loss=loss)
  with pytest.raises(tf.errors.InvalidArgumentError, match=base.NON_FINITE):
    model.train_step(pair([[value] * 3]))
  assert model.weights_now() == [2.0, 3.0]
  assert int(model.optimizer.iterations) == 0
  assert [event[0] for event in model.events] == ["begin", "contrast"]


def test_under_loss_scaling_an_infinite_gradient_skips_the_update():
  model = compiled(
    tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(RATE)),
    loss=tf.sqrt,
  )
  model.train_step(pair([[0.0] * 3]))
  assert model.weights_now() == [2.0, 3.0]


def test_a_test_step_measures_without_hooks_or_update():
  model = compiled()
  logs = model.test_step(pair(VIEWS))
  np.testing.assert_allclose(
    logs["loss"], 36 * np.mean(np.square(VIEWS)), rtol=1e-6
  )
  assert model.weights_now() == [2.0, 3.0]
  assert model.events == [("contrast", False)]


def test_embeddings_are_projected_features_of_unit_length():
  model = Squares()
  images = pair(VIEWS).query
  np.testing.assert_allclose(model(images), 2 * np.array(VIEWS), rtol=1e-6)
  expected = VIEWS / np.linalg.norm(VIEWS, axis=1, keepdims=True)
  np.testing.assert_allclose(model.embed(images), expected, rtol=1e-5)


def test_encoder_and_head_are_learned_and_saved():
  model = Squares()
  assert [v.ref() for v in model.learned_variables] == [
    model.encoder.weight.ref(),
    model.projection_head.weight.ref(),
  ]
  assert model.checkpoint_roots == {
    "backbone": model.encoder,
    "projection_head": model.projection_head,
  }


def test_a_built_pair_has_its_variables_and_names():
  setup = base.Setup(num_images=10, batch_size=2, image_size=8)
  encoder, head = base.build_pair(
    setup,
    shallow_reference.resnet10,
    functools.partial(heads.LinearHead, embedding_size=7),
    "key_",
  )
  assert encoder.name == "key_backbone" and encoder.trainable_variables
  assert head.name == "key_projection_head"
  assert {tuple(v.shape) for v in head.trainable_variables} == {
    (encoder.feature_size, 7),
    (7,),
  }


@pytest.mark.parametrize("temperature", [0.0, -0.5, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
  with pytest.raises(errors.UsageError, match=f"temperature={temperature}"):
    base.check_temperature(temperature)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
