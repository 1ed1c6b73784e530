"""The rule by which encoders learned."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment.results import learned


def test_an_encoder_learned_if_its_whole_interval_is_above_the_untrained_one():
  found = learned.judge(
    {
      "untrained": {0: 20.0, 1: 30.0, 2: 25.0},
      "good": {0: 30.0, 1: 41.0, 2: 36.0},  # By 10, 11 and 11.
      "noisy": {0: 21.0, 1: 60.0, 2: 26.0},  # By 1, 30 and 1.
      "worse": {0: 10.0, 1: 21.0, 2: 16.0},
      "single": {1: 99.0},
      "elsewhere": {7: 99.0},
    },
    "untrained",
  )
  assert {name: one.learned for name, one in found.items()} == {
    "good": True,
    "noisy": False,
    "worse": False,
    "single": None,
    "elsewhere": None,
  }
  assert found["good"].seeds == 3
  assert found["good"].difference.mean == pytest.approx(32 / 3)


def test_without_the_untrained_encoder_nothing_is_known():
  found = learned.judge({"a": {0: 1.0, 1: 2.0}}, "untrained")
  assert found["a"] == (None, None, 0)


def test_a_rule_names_a_measure_and_the_untrained_encoder():
  assert learned.parse(()) is None
  assert learned.parse(("knn.top1", "untrained")) == ("knn.top1", "untrained")
  for wrong in ("knn.top1", ("top1", "untrained"), ("knn.top1",), (1, 2)):
    with pytest.raises(errors.UsageError, match="learned: "):
      learned.parse(wrong)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
