"""The whole measurement: what scores high, what at chance, what is refused."""

import csv
import html.parser
import json
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import (
  invariance_sets,
  rendered_sets,
  sets_manifest,
)
from tf_ssl.invariance import (
  charts,
  excluded,
  intervals,
  measure,
  measurement,
  report,
  score,
  summary,
)
from tf_ssl.models import image_model, reader

_KINDS = ("illumination_colour", "instance", "position")
_SIDE = 16


def _model(name, run, size=_SIDE):
  described = reader.Reader(
    kind="function",
    run=run,
    layer="all",
    layer_chosen="all there is",
    digest=name,
    preprocessing="0..255",
    image_size=(size, size),
    is_numpy=True,
  )
  return image_model.ImageModel(name, described)


def _numbers(images):
  """64 random numbers for each image, the same ones for the same image."""
  return np.stack(
    [
      np.random.default_rng(zlib.crc32(image.tobytes())).normal(size=64)
      for image in images.astype(np.uint8)
    ]
  )


def _green(images):
  """Sees all that changes but the light's color, which spares green."""
  return _numbers(np.ascontiguousarray(images[..., 1]))


def _noise(images):
  """Other numbers for each image, whatever it shows."""
  return _numbers(images)


@pytest.fixture(name="results", scope="module")
def fixture_results(tmp_path_factory):
  folder = tmp_path_factory.mktemp("measured")
  sets = [
    rendered_sets.rendered_sets(
      kind,
      num_sets=20,
      images_per_set=6,
      image_size=_SIDE,
      cache_dir=str(folder / "cache"),
    )
    for kind in _KINDS
  ]
  results = measure.measure(
    [_model("green", _green), _model("<b>noise</b>", _noise)],
    measurement.Measurement(sets=sets, top_k=(5, 10), resamples=200),
    str(folder / "out"),
    command="the command",
  )
  report.write(results, str(folder / "out"))
  return results, folder / "out"


def _score(results, kind, model):
  [found] = [one for one in results.sets if one.label == kind]
  return found.models[model]


def _is_at_chance(found):
  # 5 permutations: their deviation is itself uncertain.
  return all(
    abs(value - found.chance.scores[k])
    < 5 * max(found.chance.deviations[k], 1.0)
    for k, value in found.score.scores.items()
  )


def test_an_encoder_invariant_to_one_factor_scores_there_and_not_elsewhere(
  results,
):
  color = _score(results[0], "illumination_colour", "green")
  assert color.score.scores[5] > 95
  assert color.chance.scores[5] < 50
  assert color.intervals[5].low > color.chance.scores[5] + 30
  assert _is_at_chance(_score(results[0], "instance", "green"))
  assert _is_at_chance(_score(results[0], "position", "green"))


def test_random_features_score_at_chance(results):
  for kind in _KINDS:
    assert _is_at_chance(_score(results[0], kind, "<b>noise</b>"))


def test_scores_and_intervals_are_those_of_the_features(results):
  [found] = [one for one in results[0].sets if one.label == "instance"]
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


def test_models_are_compared_on_the_same_sets(results):
  [found] = [
    one for one in results[0].sets if one.label == "illumination_colour"
  ]
  [difference] = found.differences
  assert (difference.model, difference.other) == ("green", "<b>noise</b>")
  assert difference.intervals[10].low > 0
  sentence = summary.in_words("illumination color", difference, 10, 0.95)
  assert sentence.startswith(
    "green is more illumination-color-invariant than <b>noise</b>: +"
  )
  assert ", 95 % " in sentence
  turned = difference._replace(
    intervals={10: intervals.Interval(-3.0, -4.25, -2.0, 0.0)}
  )
  assert summary.in_words("scale", turned, 10, 0.9) == (
    "<b>noise</b> is more scale-invariant than green: +3.0, 90 % 2.0..4.2"
  )
  even = difference._replace(
    intervals={10: intervals.Interval(0.5, -1.0, 2.0, 0.0)}
  )
  assert "cannot be told apart" in summary.in_words("scale", even, 10, 0.95)


def test_the_tables_hold_every_score(results):
  _, folder = results
  with open(folder / "score.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == len(_KINDS) * 2 * 2
  saved = json.loads((folder / "score.json").read_text())
  assert saved["command"] == "the command"
  assert len(saved["scores"]) == len(rows)
  for row, other in zip(rows, saved["scores"], strict=True):
    assert float(row["score"]) == other["score"]
    # An interval is about other sets: the score may lie at its very end.
    assert float(row["low"]) <= float(row["high"])
    assert int(row["sets"]) == 20 and int(row["classes"]) == 10
    assert int(row["units"]) == 64 and row["firing_fraction"] == "0.1"
  found = _score(results[0], "instance", "green").score
  with open(folder / "per_class.csv", newline="", encoding="utf-8") as file:
    classes = [
      row
      for row in csv.DictReader(file)
      if (row["model"], row["invariance"]) == ("green", "instance")
    ]
  mean = np.mean([float(row["score_top10"]) for row in classes])
  assert mean == pytest.approx(found.scores[10])
  with open(folder / "per_unit.csv", newline="", encoding="utf-8") as file:
    unit = next(csv.DictReader(file))
  best = _score(results[0], "illumination_colour", "green").score
  assert float(unit["unit_invariance"]) == pytest.approx(
    best.unit_invariance.max()
  )


def test_a_curve_has_its_chance_and_says_what_is_too_narrow(results):
  found = _score(results[0], "position", "green")
  assert [point.within for point in found.curve][-1] == np.inf
  assert found.curve[-1].score.scores == found.score.scores
  assert len(found.chance_curve) == len(found.curve)
  narrow = [point for point in found.curve if point.score is None]
  assert all(point.reason for point in narrow)
  assert not _score(results[0], "instance", "green").curve


@pytest.mark.parametrize(
  ("values", "unit", "expected"),
  [
    ([0, 90, 180, 270], "degrees", (10, 20, 30, 60, 90, np.inf)),
    ([-24, 0, 24], "degrees", (10, 20, np.inf)),
    ([-0.8, 0, 0.8], "", (0.2, 0.4, 0.6, np.inf)),
    ([0, np.nan, 1], "", ()),
    ([2, 2, 2], "degrees", ()),
  ],
)
def test_a_curve_goes_as_far_as_the_factor(results, values, unit, expected):
  data = (
    results[0]
    .sets[0]
    .data._replace(factor=np.array(values, float), factor_unit=unit)
  )
  assert measurement.curve_ranges(data) == expected


class _Page(html.parser.HTMLParser):
  """All that a page would load, and its elements."""

  def __init__(self):
    super().__init__()
    self.loads, self.tags = [], []

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.loads += [
      value
      for name, value in attrs
      if name in ("src", "href", "data", "action", "srcset", "poster")
    ]


def test_the_report_is_one_file_and_names_are_no_markup(results):
  _, folder = results
  text = (folder / "report.html").read_text(encoding="utf-8")
  page = _Page()
  page.feed(text)
  assert page.loads and all(x.startswith("data:image/") for x in page.loads)
  assert not {"script", "link", "iframe"} & set(page.tags)
  assert "url(" not in text and "@import" not in text
  assert "<b>noise</b>" not in text
  assert "&lt;b&gt;noise&lt;/b&gt;" in text
  assert "the command" in text and "all there is" in text
  with Image.open(folder / "score.png") as image:
    assert image.size[0] > image.size[1]
    assert len(np.unique(np.asarray(image).reshape(-1, 4), axis=0)) > 50


def test_features_are_not_computed_again(results, monkeypatch):
  measured, folder = results

  def never(self, images):
    raise AssertionError("computed again")

  models = [_model("green", _green), _model("<b>noise</b>", _noise)]
  monkeypatch.setattr(image_model.ImageModel, "features", never)
  again = measure.measure(models, measured.settings, str(folder))
  for kind in _KINDS:
    assert (
      _score(again, kind, "green").score.scores
      == _score(measured, kind, "green").score.scores
    )


def _manifest(folder, count=24, classes=2):
  rng = np.random.default_rng(0)
  lines = ["path,set,class"]
  for i in range(count):
    image = rng.integers(0, 256, size=[_SIDE, _SIDE, 3], dtype=np.uint8)
    Image.fromarray(image).save(folder / f"{i:02d}.png")
    group = i // 6
    lines.append(f"{i:02d}.png,s{group},c{group % classes}")
  file = folder / "things.csv"
  file.write_text("\n".join(lines) + "\n")
  return str(file)


def _measured(folder, model, **options):
  sets = sets_manifest.read(str(folder / "things.csv"), invariance="things")
  settings = measurement.Measurement(
    sets=[sets], resamples=50, image_size=_SIDE, **options
  )
  results = measure.measure([model], settings, str(folder / "out"))
  report.write(results, str(folder / "out"))
  return results


def test_an_unreadable_image_is_counted_and_named(tmp_path):
  _manifest(tmp_path)
  (tmp_path / "07.png").write_bytes(b"")
  results = _measured(
    tmp_path, _model("green", _green), max_skipped_fraction=0.1
  )
  assert len(results.sets[0].index) == 23
  saved = json.loads((tmp_path / "out" / "score.json").read_text())
  assert saved["sets"][0]["unreadable"] == {
    "count": 1,
    "reasons": {"07.png": "empty file"},
  }
  said = "1 of 24 images could not be read and were left out (07.png: empty"
  assert said in (tmp_path / "out" / "report.html").read_text()
  assert any(
    said in line for line in summary.lines(results.sets[0], results.settings)
  )
  assert any(said in line for line in saved["sets"][0]["losses"])


def test_a_single_set_has_no_interval(tmp_path):
  _manifest(tmp_path, count=6, classes=1)
  results = _measured(tmp_path, _model("green", _green), firing_fraction=0.3)
  assert results.sets[0].models["green"].intervals is None
  text = (tmp_path / "out" / "report.html").read_text()
  assert "a single set" in text


def test_what_counts_as_0_is_said(tmp_path):
  """Three classes: of whole sets, of sets too small, and of a silent set."""
  rng = np.random.default_rng(0)
  lines = ["path,set,class"]
  for i in range(60):
    # Blank images of class c: no unit is extreme there.
    level = 128 if i >= 48 else rng.integers(0, 256, size=3)
    image = np.full([_SIDE, _SIDE, 3], level, np.uint8)
    Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    group = f"small {i}" if 40 <= i < 48 else f"s{i // 4}"
    lines.append(f"{i:02d}.png,{group},{'a' if i < 40 else 'bc'[i >= 48]}")
  (tmp_path / "things.csv").write_text("\n".join(lines) + "\n")

  def run(images):
    means = images.mean(axis=(1, 2))
    constant = np.ones([len(means), 1])
    rounded = (means[:, :1] > 128).astype(float)
    return np.hstack([means, constant, rounded])

  result = _measured(
    tmp_path, _model("m", run), top_k=(3,), firing_fraction=0.1
  ).sets[0]
  assert result.models["m"].score.class_scores[3].tolist()[1:] == [0, 0]
  assert excluded.sentences(result) == [
    "8 sets with fewer than 3 images count for the global firing rate only",
    "1 classes have no set of 3 images and count as 0",
    "1 of 5 units of m have one value for all images; they never fire",
    "1 of 5 units of m fire on no image of a set, because many images share "
    "their extreme values",
    "no unit of m fires on any image of 1 of 3 classes, which count as 0",
  ]


def test_chance_is_drawn_the_radar_is_of_the_papers_six_and_no_panel_empty(
  results, monkeypatch
):
  monkeypatch.setattr(charts, "_png", lambda figure: figure)
  one = results[0].sets[0]
  nine = results[0]._replace(
    sets=[
      one._replace(label=name, data=one.data._replace(invariance=name))
      for name in invariance_sets.INVARIANCES
    ]
  )
  bars, radar = charts.overview(nine).axes
  corners = [
    label.get_text().replace("\n", " ") for label in radar.get_xticklabels()
  ]
  assert corners == [
    "occlusion",
    "viewpoint",
    "illumination direction",
    "illumination color",
    "instance",
    "instance viewpoint",
  ]
  levels = [
    found.chance.scores[5] for one in nine.sets for found in one.models.values()
  ]
  drawn = [
    segment[0, 1]
    for lines in bars.collections
    for segment in lines.get_segments()
    if segment[0, 1] == segment[1, 1]
  ]
  assert drawn == pytest.approx(levels)
  seven = nine._replace(sets=nine.sets[:7])
  assert len(charts.curves(seven).axes) == 7


def _nan(images):
  return np.full([len(images), 64], np.nan)


@pytest.mark.parametrize(
  ("run", "options", "message"),
  [
    (_nan, {}, "things .manifest.: model 'm' gives NaN or infinity for"),
    (_green, {"top_k": (10, 65)}, "'m' has 64 units, .* fewer than top_k=65"),
    (lambda x: np.ones([len(x), 64]), {}, "'m': all 64 units have the same"),
  ],
)
def test_bad_features_are_refused(run, options, message, tmp_path):
  _manifest(tmp_path)
  with pytest.raises(errors.UsageError, match=message):
    _measured(tmp_path, _model("m", run), **options)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"classes": 1}, "things .manifest.: all .* one class: .* firing_fraction"),
    ({"count": 2}, "things .manifest.: all 1 sets have fewer than 3 images"),
    ({"count": 6}, "give firing_fraction, .* or no classes"),
  ],
)
def test_sets_that_cannot_be_measured_are_refused_before_images_are_read(
  options, message, tmp_path
):
  _manifest(tmp_path, **options)
  with pytest.raises(errors.UsageError, match=message):
    _measured(tmp_path, _model("m", _green))
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"sets": []}, "no sets of images"),
    ({"top_k": ()}, "expected numbers of units"),
    ({"top_k": (0,)}, "expected numbers of units"),
    ({"variant": "paper"}, "expected one of code, formula"),
    ({"resamples": 1}, "at least 2 resamples"),
    ({"confidence": 95}, "confidence between 0 and 1"),
    ({"permutations": 0}, "permutations is 0"),
    ({"image_size": 1}, "image_size is 1; expected at least 2 pixels"),
    ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
    ({"firing_fraction": 2.0}, "firing_fraction is 2.0; expected a share"),
    ({"max_skipped_fraction": -0.1}, "max_skipped_fraction is -0.1"),
  ],
)
def test_settings_out_of_range_are_refused_at_once(options, message):
  with pytest.raises(errors.UsageError, match=message):
    measurement.Measurement(**{"sets": ["some"], **options})


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
