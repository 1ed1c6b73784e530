"""Which of several settings is reported, and what is said about it."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.evaluation import predictions
from tf_ssl.evaluation.linear import choice


def _guesses(share):
  """Right about a share of ten images."""
  rank = (np.arange(10) >= 10 * share).astype(np.int64)
  return predictions.Guesses(rank, rank)


def _choose(validation, test, *, on_test=False, values=(1.0, 2.0, 3.0)):
  tested = [
    choice.Tested(
      own, [None if share is None else _guesses(share) for share in shares]
    )
    for own, shares in zip(validation, test, strict=True)
  ]
  return choice.choose(
    values, tested, name="learning rate", macro="RATES", on_test=on_test
  )


def test_the_best_mean_over_seeds_is_taken_whatever_the_test_says():
  found = _choose(
    [[0.5, 0.6, 0.9], [0.5, 0.7, 0.1]], [[0.9, 0.3, 0.1], [0.9, 0.5, 0.1]]
  )
  assert (found.number, found.value) == (1, 2.0)
  assert found.details[1] == {
    "learning_rate": 2.0,
    "has_diverged": False,
    "validation_top1_percent": pytest.approx(65.0),
    "test_top1_percent": pytest.approx(40.0),
  }
  assert [row[-1] for row in found.table.rows] == ["", "chosen", ""]
  assert not found.notes


def test_of_equal_ones_the_first_and_never_one_that_diverged():
  found = _choose(
    [[None, 0.6, 0.6], [1.0, 0.6, 0.6]], [[None, 0.1, 0.2], [0.9, 0.1, 0.2]]
  )
  assert found.number == 1
  assert found.table.rows[0] == [1.0, None, None, "diverged"]


def test_a_choice_at_an_end_and_a_choice_on_the_test_are_said():
  found = _choose([[0.1, 0.2, 0.3]], [[0.1, 0.2, 0.3]], on_test=True)
  assert found.notes == [
    "the learning rate was chosen on the test images themselves: optimistic",
    "the chosen learning rate, 3, is the largest of all that were tried: "
    "others may be better; extend RATES",
  ]
  assert found.table.columns == ["learning rate", "test top-1, %", ""]


def test_a_single_setting_is_no_choice():
  found = _choose([[0.1]], [[0.1]], on_test=True, values=(30.0,))
  assert found.value == 30.0 and not found.notes


def test_when_all_diverge_there_is_no_number():
  with pytest.raises(errors.UsageError, match="all .* diverged.*lower RATES"):
    _choose([[None, None, None]], [[None, None, None]])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
