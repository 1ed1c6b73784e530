"""Measurements: scores above chance and at chance, files, refused input."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import sets_manifest
from tf_ssl.invariance import (
  intervals,
  matched,
  measure,
  measurement,
  report,
  score,
  summary,
)
from tf_ssl.models import image_model

pytestmark = pytest.mark.slow


def _is_at_chance(found):
  # 5 permutations: their deviation is itself uncertain.
  return all(
    abs(value - found.chance.scores[k])
    < 5 * max(found.chance.deviations[k], 1.0)
    for k, value in found.score.scores.items()
  )


def test_an_encoder_invariant_to_one_factor_scores_there_and_not_elsewhere(
  measured,
):
  color = measured.score("illumination_colour", "green")
  assert color.score.scores[5] > 95
  assert color.chance.scores[5] < 50
  assert color.intervals[5].low > color.chance.scores[5] + 30
  assert color.whole.correlation > 0.9
  # It sees the object as well as the background.
  assert color.background[5].estimate < 50
  assert color.whole.reidentified.estimate > 90
  other = measured.score("instance", "green")
  assert other.whole.correlation < 0.1
  assert other.whole.reidentified.low < 20
  assert _is_at_chance(other)
  assert _is_at_chance(measured.score("position", "green"))


def test_random_features_score_at_chance(measured):
  for kind in measured.kinds:
    noise = measured.score(kind, "<b>noise</b>")
    assert _is_at_chance(noise)
    fitted = noise.cross_fitted.intervals[10]
    assert fitted.low - 3 < noise.cross_fitted.chance[10] < fitted.high + 3


def test_scores_and_intervals_are_computed_from_the_features(measured):
  found = measured.sets("instance")
  expected = score.representation_invariance_score(
    np.array(found.features["green"]),
    found.data.sets,
    found.data.classes,
    top_k=(5, 10),
  )
  assert found.models["green"].score.scores == expected.scores
  assert found.models["green"].intervals == intervals.intervals(
    expected, resamples=200
  )


def test_models_are_compared_on_the_same_sets(measured):
  [difference] = measured.sets("illumination_colour").differences
  assert (difference.model, difference.other) == ("green", "<b>noise</b>")
  assert difference.intervals[10].low > 0
  assert difference.is_significant(10)


def test_a_curve_has_a_chance_level_and_reasons_for_missing_points(measured):
  found = measured.score("position", "green")
  assert found.curve[-1].within == np.inf
  assert found.curve[-1].score.scores == found.score.scores
  assert len(found.chance_curve) == len(found.curve)
  narrow = [point for point in found.curve if point.score is None]
  assert all(point.reason for point in narrow)
  assert not measured.score("instance", "green").curve


def test_features_are_not_computed_again(measured, monkeypatch):
  def never(self, images):
    raise AssertionError("computed again")

  monkeypatch.setattr(image_model.ImageModel, "features", never)
  again = measure.measure(
    measured.models(), measured.results.settings, str(measured.folder)
  )
  for one, other in zip(again.sets, measured.results.sets, strict=True):
    for name, found in one.models.items():
      assert found.score.scores == other.models[name].score.scores


def _manifest(folder, count=24, classes=2):
  rng = np.random.default_rng(0)
  lines = ["path,set,class"]
  for i in range(count):
    image = rng.integers(0, 256, size=[16, 16, 3], dtype=np.uint8)
    Image.fromarray(image).save(folder / f"{i:02d}.png")
    group = i // 6
    lines.append(f"{i:02d}.png,s{group},c{group % classes}")
  (folder / "things.csv").write_text("\n".join(lines) + "\n")


def _measure(folder, model, **options):
  sets = sets_manifest.read(str(folder / "things.csv"), invariance="things")
  settings = measurement.Measurement(
    sets=[sets], resamples=50, image_size=16, **options
  )
  results = measure.measure([model], settings, str(folder / "out"))
  report.write(results, str(folder / "out"))
  return results


def test_an_unreadable_image_is_counted_and_named(measured, tmp_path):
  _manifest(tmp_path)
  (tmp_path / "07.png").write_bytes(b"")
  results = _measure(tmp_path, measured.green_model(), max_skipped_fraction=0.1)
  assert len(results.sets[0].index) == 23
  saved = json.loads((tmp_path / "out" / "invariance.json").read_text())
  assert saved["sets"][0]["unreadable"] == {
    "count": 1,
    "reasons": {"07.png": "empty file"},
  }
  [sentence] = saved["sets"][0]["exclusions"]
  assert "1 of 24" in sentence and "07.png: empty file" in sentence
  assert sentence in (tmp_path / "out" / "report.html").read_text()
  lines = summary.lines(results.sets[0], results.settings)
  assert any(sentence in line for line in lines)


def test_a_single_set_has_no_interval(measured, tmp_path):
  _manifest(tmp_path, count=6, classes=1)
  results = _measure(tmp_path, measured.green_model(), firing_fraction=0.3)
  assert results.sets[0].models["green"].intervals is None
  assert results.sets[0].models["green"].cross_fitted is None
  assert results.sets[0].models["green"].whole is None
  with open(tmp_path / "out" / "invariance.csv", encoding="utf-8") as file:
    assert {row["low"] for row in csv.DictReader(file)} == {""}
  assert "single set" in (tmp_path / "out" / "report.html").read_text()


def test_sets_classes_and_units_that_count_as_0_are_listed(measured, tmp_path):
  """Three classes: complete sets, sets that are too small, and a silent set."""
  rng = np.random.default_rng(0)
  lines = ["path,set,class"]
  for i in range(60):
    # Blank images of the third class: no unit has an extreme value there.
    level = 128 if i >= 48 else rng.integers(0, 256, size=3)
    image = np.full([16, 16, 3], level, np.uint8)
    Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    group = f"small {i}" if 40 <= i < 48 else f"s{i // 4}"
    lines.append(f"{i:02d}.png,{group},{'a' if i < 40 else 'bc'[i >= 48]}")
  (tmp_path / "things.csv").write_text("\n".join(lines) + "\n")

  def run(images):
    means = images.mean(axis=(1, 2))
    constant = np.ones([len(means), 1])
    rounded = (means[:, :1] > 128).astype(float)
    return np.hstack([means, constant, rounded])

  result = _measure(
    tmp_path, measured.model("m", run), top_k=(3,), firing_fraction=0.1
  ).sets[0]
  assert result.models["m"].score.class_scores[3].tolist()[1:] == [0, 0]
  numbers = [
    [word for word in sentence.split() if word.isdecimal()]
    for sentence in summary.exclusions(result)
  ]
  assert numbers == [
    ["8", "3"],  # Sets, images of a set.
    ["1", "3", "0"],  # Classes without such a set.
    ["1", "5"],  # Constant units.
    ["1", "5"],  # Silent units.
    ["1", "3", "0"],  # Classes without a firing unit.
  ]


def test_models_are_compared_at_the_width_of_the_narrowest(measured, tmp_path):
  _manifest(tmp_path)
  green = measured.green_model()

  def twice(images):
    # Each unit twice: more chances, the same invariances.
    return np.tile(green.features(images), 2)

  models = [green, measured.model("twice", twice)]
  sets = sets_manifest.read(str(tmp_path / "things.csv"))
  settings = measurement.Measurement(
    sets=[sets], resamples=50, image_size=16, top_k=(4,)
  )
  results = measure.measure(models, settings, str(tmp_path / "out"))
  [result] = results.sets
  narrow, wide = result.models["green"], result.models["twice"]
  assert narrow.matched is narrow.score
  assert narrow.matched_intervals == narrow.intervals
  expected = matched.at(wide.score, 64).scores
  assert wide.matched.scores == expected != wide.score.scores
  assert wide.chance.matched[4] < wide.chance.scores[4]
  [difference] = result.differences
  found = difference.intervals[4].estimate
  assert found == narrow.score.scores[4] - expected[4]
  report.write(results, str(tmp_path / "out"))
  page = (tmp_path / "out" / "report.html").read_text()
  assert f'<b>{expected[4]:.1f}</b> <span class="whole">(' in page


def _nan(images):
  return np.full([len(images), 64], np.nan)


def _ones(images):
  return np.ones([len(images), 64])


@pytest.mark.parametrize(
  ("run", "options", "message"),
  [
    (_nan, {}, "things .manifest.: model 'm' .*NaN"),
    (_ones, {"top_k": (10, 65)}, "'m' has 64 units, .* top_k=65"),
    (_ones, {}, "'m': all 64 units"),
  ],
)
def test_unusable_features_are_refused(
  run, options, message, measured, tmp_path
):
  _manifest(tmp_path)
  with pytest.raises(errors.UsageError, match=message):
    _measure(tmp_path, measured.model("m", run), **options)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"classes": 1}, "things .manifest.: .* one class.* firing_fraction"),
    ({"count": 2}, "things .manifest.: all 1 sets"),
    ({"count": 6}, "firing_fraction, .* no classes"),
  ],
)
def test_sets_that_cannot_be_measured_are_refused_before_images_are_read(
  options, message, measured, tmp_path
):
  _manifest(tmp_path, **options)
  with pytest.raises(errors.UsageError, match=message):
    _measure(tmp_path, measured.green_model())
  assert not (tmp_path / "out").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
