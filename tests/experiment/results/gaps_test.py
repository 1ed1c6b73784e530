"""Shares of gaps: closed cases, and where they are undefined."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment.results import gaps, page

PLAIN = {0: 50.0, 1: 51.0, 2: 49.0, 3: 50.0}
REFERENCE = {s: v + 8.0 for s, v in PLAIN.items()}


def test_a_remedy_halfway_closes_half_of_the_gap():
  halfway = {s: v + 4.0 for s, v in PLAIN.items()}
  found = gaps.closed(halfway, PLAIN, REFERENCE)
  assert found.share == pytest.approx(0.5)
  assert found.low == pytest.approx(0.5) and found.high == pytest.approx(0.5)
  assert found.gap.mean == pytest.approx(8.0) and found.seeds == 4


def test_the_interval_is_that_of_resampled_seeds():
  gained = {0: 3.0, 1: 5.0, 2: 2.0, 3: 6.0}
  remedy = {s: v + gained[s] for s, v in PLAIN.items()}
  found = gaps.closed(remedy, PLAIN, REFERENCE)
  assert found.share == pytest.approx(0.5)
  # The means of four of 2, 3, 5, 6 lie between 2 and 6; 2.25 and 5.75 at 2.5 %.
  assert found.low == pytest.approx(2.25 / 8, abs=0.04)
  assert found.high == pytest.approx(5.75 / 8, abs=0.04)


def test_a_gap_that_may_be_zero_has_no_share():
  reference = {0: 55.0, 1: 46.0, 2: 54.0, 3: 45.0}
  found = gaps.closed(REFERENCE, PLAIN, reference)
  assert found.share is None and found.gap is not None
  one = gaps.closed({0: 1.0}, {0: 0.0}, {0: 2.0})
  assert one.share is None and one.seeds == 1
  assert gaps.closed({}, PLAIN, REFERENCE).gap is None


def test_a_reference_that_is_worse_leaves_no_gap():
  worse = {s: v - 5.0 for s, v in PLAIN.items()}
  remedy = {s: v - 10.0 for s, v in PLAIN.items()}
  found = gaps.closed(remedy, PLAIN, worse)
  assert found.gap.mean == pytest.approx(-5.0) and found.seeds == 4
  assert found.share is None and found.low is None and found.high is None


def test_a_gap_of_another_form_is_refused():
  assert gaps.parse(("a", "b", "c", "d.e")) == gaps.Gap("a", "b", "c", "d.e")
  with pytest.raises(errors.UsageError, match="REMEDY"):
    gaps.parse(("a", "b", "c"))


def test_the_page_says_what_is_closed(toy):
  toy.conduct(
    toy.experiment(gaps=[("one", "one", "two", "look.score")], orderings=[])
  )
  text = (toy.folder / "out/RESULTS.md").read_text()
  assert "| one | one, two | Found: s | +4.0 (+4.0..+4.0) | 0 % (0 %..0 %" in (
    text
  )
  gap = {"mean": 1.0, "low": -1.0, "high": 3.0}
  toy_gap = {"gap": gap, "plain": "one", "share": None, "seeds": 3}
  assert page.closed(toy_gap) == "undefined: the gap may be 0 (3 seeds)"
  with pytest.raises(errors.UsageError, match="'three'"):
    toy.experiment(gaps=[("three", "one", "two", "look.score")])


def test_the_page_says_that_the_plain_model_is_not_worse(toy):
  toy.conduct(
    toy.experiment(gaps=[("two", "two", "one", "look.score")], orderings=[])
  )
  text = (toy.folder / "out/RESULTS.md").read_text()
  assert "| -4.0 (-4.0..-4.0) | no gap: two is not worse (2 seeds) |" in text
  # Results of an earlier version have a share.
  gap = {"mean": -5.0, "low": -6.0, "high": -4.0}
  kept = {"gap": gap, "plain": "a|b", "share": 2.0, "low": 1.0, "high": 3.0}
  assert page.closed({**kept, "seeds": 4}) == (
    "no gap: a\\|b is not worse (4 seeds)"
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
