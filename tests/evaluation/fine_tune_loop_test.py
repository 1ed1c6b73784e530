"""Training with two learning rates, and resuming after a kill."""

import contextlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.evaluation import fine_tune_loop

_STEPS = 8


class _Problem:
  """A head and an encoder, whose weights are pulled towards the batches."""

  def __init__(self, **changes):
    self.head, self.encoder = tf.Variable([1.0, 2.0]), tf.Variable([3.0])
    self.head_variables = self.trainable_head_variables = [self.head]
    self.variables = self.trainable_variables = [self.encoder]
    settings = {"head_learning_rate": 0.1, "encoder_learning_rate": 0.05}
    self.loop = fine_tune_loop.FineTuneLoop(
      self, self, fine_tune_loop.Sgd(**(settings | changes))
    )

  @contextlib.contextmanager
  def restored(self):
    before = self.encoder.numpy()
    yield
    self.encoder.assign(before)

  def draw_head(self, seed):
    self.head.assign([seed, seed + 1.0])

  def draw_weights(self, seed):
    self.encoder.assign([10.0 * seed])

  def loss(self, target):
    return 0.5 * (
      tf.reduce_sum(tf.square(self.head - target))
      + tf.reduce_sum(tf.square(self.encoder - target))
    )

  def fit(self, folder, *, stop=None, error=KeyboardInterrupt):
    """Trains; at the step `stop` the batches end in an error."""

    def batches(first):
      for step in range(first, _STEPS):
        if step == stop:
          raise error
        yield (tf.constant(float(step)),)

    return self.loop.fit(
      batches, steps=_STEPS, folder=str(folder), title="tiny"
    )

  def weights(self):
    return np.concatenate([self.head.numpy(), self.encoder.numpy()])


def _by_hand(rates, schedule, decay, momentum):
  weights, velocity = np.array([1.0, 2.0, 3.0]), np.zeros(3)
  for step in range(_STEPS):
    gradient = weights - step + decay * weights
    velocity = momentum * velocity + gradient
    weights = weights - np.array(rates) * schedule(step) * velocity
  return weights


def test_both_groups_follow_pytorchs_sgd_with_momentum_and_decay(tmp_path):
  problem = _Problem(sgd_momentum=0.8, weight_decay=0.01)
  problem.fit(tmp_path)
  expected = _by_hand(
    [0.1, 0.1, 0.05],
    lambda step: 0.5 * (1 + np.cos(np.pi * step / _STEPS)),
    0.01,
    0.8,
  )
  np.testing.assert_allclose(problem.weights(), expected, rtol=1e-5)


def test_a_stepped_rate_falls_twice_and_a_frozen_group_stays(tmp_path):
  problem = _Problem(encoder_learning_rate=0, schedule="step", weight_decay=0.0)
  problem.fit(tmp_path)
  expected = _by_hand(
    [0.1, 0.1, 0.0],
    lambda step: 1.0 if step < 3 else 0.1 if step < 6 else 0.01,
    0.0,
    0.9,
  )
  np.testing.assert_allclose(problem.weights(), expected, rtol=1e-5)
  assert problem.encoder.numpy() == [3.0]


@pytest.mark.parametrize(
  ("error", "save_seconds"), [(KeyboardInterrupt, 60.0), (OSError, -1.0)]
)
def test_a_resumed_run_ends_like_an_uninterrupted_one(
  tmp_path, monkeypatch, error, save_seconds
):
  expected = _Problem()
  expected.fit(tmp_path / "uninterrupted")
  monkeypatch.setattr(fine_tune_loop, "_SAVE_SECONDS", save_seconds)
  with pytest.raises(error):
    _Problem().fit(tmp_path / "stopped", stop=5, error=error)
  again = _Problem()  # another process
  loss = again.fit(tmp_path / "stopped")
  np.testing.assert_allclose(again.weights(), expected.weights(), rtol=1e-6)
  assert np.isfinite(loss)


@pytest.mark.parametrize("damage", [b"", b"cut"])
def test_a_damaged_checkpoint_is_named_and_trained_without(
  tmp_path, capsys, damage
):
  expected = _Problem()
  expected.fit(tmp_path / "steady")
  stopped = _Problem()
  with pytest.raises(KeyboardInterrupt):
    stopped.fit(tmp_path / "cut", stop=2)
  (index,) = (tmp_path / "cut").glob("*.index")
  index.write_bytes(damage)
  again = _Problem()
  again.fit(tmp_path / "cut")
  np.testing.assert_array_equal(again.weights(), expected.weights())
  assert str(index.with_suffix("")) in capsys.readouterr().err


def test_a_folder_with_wildcards_in_its_name_is_resumed(tmp_path):
  folder = tmp_path / "a[1]*?"
  expected = _Problem()
  expected.fit(tmp_path / "steady")
  with pytest.raises(KeyboardInterrupt):
    _Problem().fit(folder, stop=2)
  again = _Problem()
  again.fit(folder, stop=1)  # The batches before step 2 are not drawn again.
  np.testing.assert_array_equal(again.weights(), expected.weights())


def test_the_next_run_starts_with_no_momentum(tmp_path):
  problem = _Problem()
  problem.fit(tmp_path / "first")
  first = problem.weights()
  problem.head.assign([1.0, 2.0])
  problem.encoder.assign([3.0])
  problem.fit(tmp_path / "second")
  np.testing.assert_allclose(problem.weights(), first, rtol=1e-6)


def test_divergence_is_named(tmp_path):
  problem = _Problem(head_learning_rate=1e30, schedule="constant")
  with pytest.raises(
    errors.UsageError, match="of 8: .*lower HEAD_LEARNING_RATE .1e.30"
  ):
    problem.fit(tmp_path)


def test_nothing_to_learn_is_named(tmp_path, monkeypatch):
  problem = _Problem()
  monkeypatch.setattr(
    problem, "loss", lambda target: 0.0 * tf.reduce_sum(problem.head * target)
  )
  with pytest.raises(errors.UsageError, match="tiny: .* exactly 0 at 8 steps"):
    problem.fit(tmp_path)


@pytest.mark.parametrize(
  ("from_scratch", "start"), [(False, 3.0), (True, 20.0)]
)
def test_a_run_draws_its_weights_tests_and_gives_the_encoder_back(
  tmp_path, from_scratch, start
):
  problem, seen = _Problem(), []

  def batches(first):
    seen.append(problem.weights().tolist())
    yield (tf.constant(1.0),)

  loss, tested = problem.loop.run(
    batches,
    lambda: problem.weights().tolist(),
    seed=2,
    steps=1,
    folder=str(tmp_path),
    title="tiny",
    from_scratch=from_scratch,
  )
  assert seen == [[2.0, 3.0, start]]
  assert loss == pytest.approx((1 + 4 + (start - 1) ** 2) / 2)
  assert tested != seen[0] and problem.encoder.numpy() == [3.0]


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"schedule": "cosin"}, "cosin.*schedule"),
    ({"head_learning_rate": 0.0}, "head_learning_rate=0.0"),
    ({"encoder_learning_rate": -1.0}, "encoder_learning_rate=-1.0"),
    ({"weight_decay": float("nan")}, "weight_decay=nan"),
  ],
)
def test_invalid_settings_are_named(changes, message):
  with pytest.raises(errors.UsageError, match=message):
    fine_tune_loop.Sgd(
      **({"head_learning_rate": 1.0, "encoder_learning_rate": 1.0} | changes)
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
