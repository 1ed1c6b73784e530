"""Times of steps that run beside each other."""

import sys

import numpy as np
import pytest

from tf_ssl.experiment.engine import durations


@pytest.mark.parametrize(
  ("spans", "clock"),
  [
    ([], 0.0),
    ([(10, 13)], 3.0),
    ([(0, 4), (1, 2)], 4.0),  # one within the other
    ([(5, 9), (0, 6)], 9.0),  # in any order
    ([(0, 1), (1, 2), (7, 9)], 4.0),  # without the pause
  ],
)
def test_the_clock_counts_what_runs_at_once_once(spans, clock):
  assert durations.on_the_clock(spans) == clock
  assert durations.together(spans) == sum(end - begin for begin, end in spans)


def test_random_spans_give_the_seconds_that_any_of_them_covers():
  rng = np.random.default_rng(0)
  begins = rng.integers(0, 300, 40)
  ends = begins + rng.integers(0, 20, 40)
  covered = set()
  for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
    covered.update(range(begin, end))
  spans = list(zip(begins, ends, strict=True))
  assert durations.on_the_clock(spans) == len(covered)


@pytest.mark.parametrize(
  ("seconds", "words"),
  [
    (0.4, "0 s"),
    (59.4, "59 s"),
    (59.6, "1 min"),
    (3569, "59 min"),
    (3571, "1 h 0 min"),
    (7500, "2 h 5 min"),
  ],
)
def test_durations_are_said_in_words(seconds, words):
  assert durations.in_words(seconds) == words


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
