"""What a model is worth in labels: closed cases and SciPy."""

import sys

import numpy as np
import pytest

from tf_ssl.evaluation.label_efficiency import worth
from tf_ssl.reporting import statistics

LABELS = [10, 50, 100, 250, 1000]


def straight(offset=0.0, seeds=3):
  """Accuracy that grows by 10 points with each doubling of the labels."""
  line = 10 * np.log2(np.array(LABELS) / 10) + offset
  return np.tile(line, [seeds, 1])


def test_a_model_that_needs_a_quarter_of_the_labels_is_worth_four_times():
  # 20 points more are two doublings.
  found = worth.worth(LABELS, straight(), straight(20))
  assert [each.labels for each in found] == LABELS
  for each in found[:3]:
    assert each.factor == pytest.approx(4, rel=1e-6)
    assert each.low == pytest.approx(each.factor)
  # 4 x 250 is all labels; four times as many as all is more than any.
  assert found[3].factor == pytest.approx(4) and np.isinf(found[4].factor)


def test_the_baseline_itself_is_worth_its_own_labels():
  for each in worth.worth(LABELS, straight(), straight()):
    assert each.factor == pytest.approx(1)


def test_a_model_below_the_baseline_with_the_fewest_labels_is_worth_none():
  found = worth.worth(LABELS, straight(), straight(-10))
  assert found[0].factor == 0 and found[1].factor == pytest.approx(0.5)


def test_an_accuracy_within_rounding_of_the_baseline_is_worth_its_labels():
  labels, baseline = [20, 150, 1500], np.array([[21.6, 52.0, 62.0]])
  for place, number in enumerate(labels):
    for toward in (-np.inf, np.inf):
      value = np.nextafter(baseline[0, place], toward)
      if not 21.6 <= value <= 62:
        continue
      found = worth.worth(labels, baseline, np.full([1, 3], value))
      assert found[0].factor == pytest.approx(number / 20)


def test_more_labels_that_hurt_the_baseline_do_not_count():
  baseline = straight()
  baseline[:, 2] = 0.0
  found = worth.worth(LABELS, baseline, straight())
  # The accuracy of 50 labels is still that of 50 labels.
  assert found[1].factor == pytest.approx(1)


def test_the_interval_covers_the_spread_of_the_seeds():
  rng = np.random.default_rng(0)
  model = straight(10, seeds=8) + rng.normal(0, 2, [8, 1])
  found = worth.worth(LABELS, straight(seeds=8), model)[1]
  # One doubling; 2 points of spread over 8 seeds are 0.07 doublings.
  assert found.low < found.factor < found.high
  assert found.factor == pytest.approx(2, rel=0.15)
  assert found.high / found.low == pytest.approx(2 ** (4 * 0.07), rel=0.1)


def test_one_seed_has_no_interval():
  found = worth.worth(LABELS, straight(seeds=1), straight(10, seeds=1))[0]
  assert np.isnan(found.low)
  assert "no interval" in worth.sentence("a", found, total=1000)


def test_sentences_say_what_it_is_worth():
  text = worth.sentence("own", worth.Worth(100, 3.21, 2.1, 4.8), total=1000)
  assert text == "with 100 labels, own is worth 3.2x the labels (2.1x..4.8x)"
  text = worth.sentence(
    "own", worth.Worth(100, np.inf, 4.0, np.inf), total=1000
  )
  assert "more than 10.0x the labels (4.0x..more than all)" in text
  text = worth.sentence("own", worth.Worth(100, *[np.inf] * 3), total=1000)
  assert text.endswith("10.0x the labels, at both ends of the interval, too")


@pytest.mark.parametrize(
  "mean, said",
  [
    (3.32, "own is 3.3 points better than random weights (+2.3..+4.3)"),
    (-3.32, "own is 3.3 points worse than random weights (-4.3..-2.3)"),
    (-0.01, "own and random weights are 0.0 points apart (-1.0..+1.0)"),
  ],
)
def test_a_difference_that_rounds_to_zero_is_neither_better_nor_worse(
  mean, said
):
  interval = statistics.MeanInterval(mean, mean - 1, mean + 1)
  found = worth.Comparison("own", "random weights", 15, interval, 0.9, 1.0)
  assert worth.verdict(found).startswith(f"with 15 labels, {said}, which is no")


def test_seeds_that_draw_nothing_give_no_interval_and_no_test():
  accuracies = {"a": straight(2), "b": straight()}
  assert worth.interval(accuracies["a"][:, 0]) == (2, None, None)
  assert worth.interval([1.0, 3.0]) == statistics.mean_interval([1.0, 3.0])
  found = worth.compare(LABELS, accuracies, [("a", "b")])[0]
  assert found.difference == (2, None, None) and np.isnan(found.p)
  assert worth.verdict(found).endswith("(no spread over seeds: no test)")


def test_models_are_compared_by_seed():
  rng = np.random.default_rng(0)
  noise = rng.normal(0, 20, [6, 1])  # Of the seed, the same for both.
  accuracies = {
    "a": straight(2, seeds=6) + noise + rng.normal(0, 0.3, [6, 5]),
    "b": straight(seeds=6) + noise,
  }
  for each in worth.compare(LABELS, accuracies, [("a", "b")]):
    assert each.difference.low < 2 < each.difference.high
    assert each.p <= each.adjusted < 0.05


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
