"""benchmarks.search_tables: trials by rank, and measures without labels."""

import math
import sys

import pytest

from benchmarks import search_tables


def _row(trial, trained, *, budget=1.0, seed=0, **measures):
  found = dict.fromkeys(search_tables.LABEL_FREE, 0.0)
  return {
    "trial": trial,
    "settings": f"x = {trial}",
    "seed": seed,
    "budget_seconds": budget,
    "clock": "cpu",
    "steps": 10,
    "images_per_second": 5.0,
    "knn_untrained": 0.1,
    "knn_trained": trained,
    "error": None if trained is not None else "it broke",
    **found,
    **measures,
  }


def test_trials_are_sorted_by_the_mean_of_their_seeds_and_failures_come_last():
  rows = [
    _row(0, 0.5),
    _row(0, 0.3, seed=1),
    _row(1, None),
    _row(2, 0.45),
    _row(3, 0.2, budget=3.0),
  ]
  lines = search_tables.summed_up(rows)
  assert [line.trial for line in lines] == [3, 2, 0, 1]
  assert lines[2].means["knn_trained"] == pytest.approx(0.4)
  assert lines[2].spread == pytest.approx(0.2)
  text = search_tables.markdown(rows, "Title")
  assert text.index("x = 2") < text.index("x = 0") < text.index("failed")


def test_a_measure_without_labels_ranks_as_the_knn_or_against_it():
  rows = [
    _row(i, 0.1 * i, effective_rank=i**3, alignment=i, uniformity=5)
    for i in range(1, 5)
  ]
  found = search_tables.rank_correlations(search_tables.summed_up(rows))
  assert found["effective_rank"] == pytest.approx(1)
  assert found["alignment"] == pytest.approx(-1)  # Smaller is better.
  assert math.isnan(found["uniformity"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
