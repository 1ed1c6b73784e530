"""JSON and CSV files of a measurement."""

import csv
import json
import math
import sys

import numpy as np
import pytest

from tf_ssl.invariance import report, summary, tables


def _rows(folder, name):
  with open(folder / name, newline="", encoding="utf-8") as file:
    return list(csv.DictReader(file))


def test_the_tables_have_every_score(measured):
  folder = measured.folder
  rows = _rows(folder, "invariance.csv")
  assert len(rows) == len(measured.kinds) * 2 * 2
  saved = json.loads((folder / "invariance.json").read_text())
  assert saved["command"] == "the command"
  assert len(saved["scores"]) == len(rows)
  for row, other in zip(rows, saved["scores"], strict=True):
    assert float(row["score"]) == other["score"]
    # The interval is about other sets: the score may be at its very end.
    assert float(row["low"]) <= float(row["high"])
    assert int(row["sets"]) == 20 and int(row["classes"]) == 10
    assert int(row["units"]) == 64 and row["firing_fraction"] == "0.1"
    # Both models have 64 units: there is nothing to match.
    assert row["matched_units"] == "64" and row["matched"] == row["score"]
    assert row["matched_low"] == row["low"]
    assert row["matched_chance"] == row["chance"]
    assert float(row["cross_fitted_low"]) <= float(row["cross_fitted"])
    assert float(row["cross_fitted_chance"]) < float(row["chance"])
    assert 0 <= float(row["correlation"]) <= 1
    assert float(row["reidentified_chance"]) == pytest.approx(500 / 119)
    has_values = row["invariance"] != "instance"
    assert bool(row["decoded_r2"]) == bool(row["verdict"]) == has_values


def test_the_tables_by_class_and_unit_agree_with_the_score(measured):
  found = measured.score("instance", "green").score
  classes = [
    row
    for row in _rows(measured.folder, "per_class.csv")
    if (row["model"], row["invariance"]) == ("green", "instance")
  ]
  mean = np.mean([float(row["score_top10"]) for row in classes])
  assert mean == pytest.approx(found.scores[10])
  unit = _rows(measured.folder, "per_unit.csv")[0]
  best = measured.score("illumination_colour", "green").score
  assert float(unit["unit_invariance"]) == pytest.approx(
    best.unit_invariance.max()
  )


def test_the_rows_by_unit_are_the_most_invariant_units_in_order(measured):
  found = measured.score("illumination_colour", "green").score
  best = found.unit_invariance.max(axis=0)
  rows = [
    row
    for row in _rows(measured.folder, "per_unit.csv")
    if (row["model"], row["invariance"]) == ("green", "illumination_colour")
  ]
  values = [float(row["unit_invariance"]) for row in rows]
  assert values == sorted(values, reverse=True)
  for row in rows:
    unit = int(row["unit"])
    assert float(row["unit_invariance"]) == best[unit]
    assert float(row["firing_rate"]) == found.rates[unit]
    assert float(row["fires_above"]) == found.firing.high[unit]
    chosen = sum(unit in units[units >= 0] for units in found.top_units)
    assert int(row["classes_that_chose_it"]) == chosen


def test_units_tied_in_their_best_class_follow_their_mean(measured):
  found = measured.score("instance", "green")
  invariance = np.zeros([2, 4], np.float32)
  invariance[0] = 50, 80, 80, 10
  invariance[1] = 0, 10, 20, 90
  changed = found._replace(
    score=found.score._replace(unit_invariance=invariance)
  )
  assert tables.most_invariant_units(changed).tolist() == [3, 2, 1, 0]


def _changed(measured, **changes):
  """The results with one model on the first sets, which are changed."""
  first = measured.results.sets[0]
  models = {"green": first.models["green"]._replace(**changes.pop("score", {}))}
  first = first._replace(models=models, **changes)
  return measured.results._replace(sets=[first])


def test_a_single_set_has_empty_cells_in_place_of_an_interval(
  measured, tmp_path
):
  results = _changed(measured, score={"intervals": None})
  tables.write(results, str(tmp_path))
  for row in _rows(tmp_path, "invariance.csv"):
    assert row["low"] == row["high"] == row["bias"] == ""
    assert float(row["score"]) > 0
  scores = json.loads((tmp_path / "invariance.json").read_text())["scores"]
  assert all(row["low"] is None for row in scores)


def test_the_json_holds_curves_differences_and_no_infinity(measured):
  written = json.loads((measured.folder / "invariance.json").read_text())
  curves = [
    point
    for point in written["curves"]
    if (point["model"], point["invariance"]) == ("green", "illumination_colour")
  ]
  points = measured.score("illumination_colour", "green").curve
  assert len(curves) == len(points) > 0
  for saved, point in zip(curves, points, strict=True):
    infinite = math.isinf(point.within)
    assert saved["within"] == (None if infinite else point.within)
    assert saved["images"] == point.num_images
  assert sum(point["within"] is None for point in curves) == 1
  for saved in written["differences"]:
    of_sets = measured.sets(saved["invariance"])
    [difference] = of_sets.differences
    interval = difference.intervals[saved["k"]]
    assert saved["difference"] == interval.estimate
    assert (saved["low"], saved["high"]) == (interval.low, interval.high)
  assert len(written["differences"]) == 2 * len(measured.kinds)


def test_a_factor_at_the_ceiling_is_marked(measured):
  # One model sees all changes, so no factor is at the ceiling for both.
  found = tables.as_json(measured.results)["sets"]
  assert not any(entry["at_ceiling"] for entry in found)
  [entry] = tables.as_json(_changed(measured))["sets"]
  assert entry["at_ceiling"]
  assert summary.CEILING_SENTENCE in "\n".join(
    summary.lines(_changed(measured).sets[0], measured.results.settings)
  )
  alone = _changed(measured)._replace(models=measured.results.models[:1])
  page = report.page(alone, {report.CHART_FILE: b""})
  assert "At the ceiling" in page


def test_skipped_images_are_counted_and_the_first_50_named(measured):
  names = tuple(f"{i}.png" for i in range(70))
  first = measured.results.sets[0]
  results = _changed(
    measured,
    data=first.data._replace(skipped={"too small": names}),
    unreadable={name: "truncated" for name in names},
  )
  [entry] = tables.as_json(results)["sets"]
  assert entry["skipped"]["too small"]["count"] == 70
  assert entry["skipped"]["too small"]["names"] == list(names[:50])
  assert entry["unreadable"]["count"] == 70
  assert list(entry["unreadable"]["reasons"]) == list(names[:50])
  assert tables.score_rows(results)[0]["unreadable_images"] == 70


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
