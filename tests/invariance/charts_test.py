"""The chance level, the radar and the panels of the charts."""

import sys

import pytest

from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import charts


@pytest.fixture
def nine(measured):
  """Results for all nine rendered invariances."""
  one = measured.results.sets[0]
  return measured.results._replace(
    sets=[
      one._replace(label=name, data=one.data._replace(invariance=name))
      for name in invariance_sets.INVARIANCES
    ]
  )


def test_the_radar_shows_the_six_invariances_of_the_paper(nine):
  _, radar = charts.overview(nine).axes
  assert [
    label.get_text().replace("\n", "_").replace(" ", "_")
    for label in radar.get_xticklabels()
  ] == list(invariance_sets.OF_THE_PAPER)


def test_bars_have_their_scores_and_chance_levels(nine):
  bars, _ = charts.overview(nine).axes
  found = [model for one in nine.sets for model in one.models.values()]
  assert [bar.get_height() for bar in bars.patches] == pytest.approx(
    [model.score.scores[5] for model in found]
  )
  drawn = [
    segment[0, 1]
    for lines in bars.collections
    for segment in lines.get_segments()
    if segment[0, 1] == segment[1, 1]
  ]
  assert drawn == pytest.approx([model.chance.scores[5] for model in found])


def test_names_with_a_dollar_sign_are_drawn_literally(nine):
  model = nine.models[0]
  odd = nine._replace(
    models=[model._replace(name="$_{"), *nine.models[1:]],
    sets=[
      one._replace(models={"$_{": one.models["green"], **one.models})
      for one in nine.sets
    ],
  )
  [legend] = charts.overview(odd).legends
  assert not any(text.get_parse_math() for text in legend.get_texts())


def test_curves_have_one_panel_per_invariance_and_no_empty_one(nine):
  seven = nine._replace(sets=nine.sets[:7])
  assert len(charts.curves(seven).axes) == 7


def test_the_depth_chart_has_a_line_and_a_chance_level_per_model(measured):
  assert charts.depth(measured.results) is None
  one, other = measured.results.models
  layered = measured.results._replace(
    models=[one._replace(layer_of="net"), other._replace(layer_of="net")]
  )
  panels = charts.depth(layered).axes
  assert len(panels) == len(measured.results.sets)
  for panel, result in zip(panels, layered.sets, strict=True):
    scores, chance = (line.get_ydata() for line in panel.lines)
    fitted = [result.models[m.name].cross_fitted for m in (one, other)]
    assert scores.tolist() == [found.scores[5] for found in fitted]
    assert chance.tolist() == [found.chance[5] for found in fitted]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
