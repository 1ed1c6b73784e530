"""Report of a measurement: tables, charts and one HTML page."""

import os
from collections.abc import Sequence
from typing import Any

from tf_ssl.invariance import charts as charts_lib
from tf_ssl.invariance import (
  further,
  measurement,
  model_cards,
  pictures,
  summary,
  tables,
)
from tf_ssl.models import image_model
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts, pages

CHART_FILE = "invariance.png"
CURVES_FILE = "invariance_curves.png"
STRENGTHS_FILE = "invariance_strengths.png"
DEPTH_FILE = "invariance_depth.png"
REPORT_FILE = "report.html"


def check(
  models: Sequence[image_model.ImageModel], *, update_cards: bool
) -> None:
  """Raises UsageError if cards are to be updated and no model has one."""
  if update_cards:
    model_cards.check(models)


def update_cards(results: measurement.Results, *, write: bool) -> list[str]:
  """Writes the scores into model cards, see `model_cards.update`."""
  return model_cards.update(results, write=write)


def write(results: measurement.Results, output_dir: str) -> str:
  """Writes tables, charts and the page.

  Args:
    results: results of `measure.measure`.
    output_dir: path of an existing folder.

  Returns:
    Path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  with workdir.writable(output_dir, "output_dir"):
    tables.write(results, output_dir)
    drawn = {CHART_FILE: charts.png(charts_lib.overview(results))}
    for name, chart in (
      (CURVES_FILE, charts_lib.curves(results)),
      (STRENGTHS_FILE, charts_lib.strengths(results)),
      (DEPTH_FILE, charts_lib.depth(results)),
    ):
      if chart is not None:
        drawn[name] = charts.png(chart)
    for name, data in drawn.items():
      with workdir.replacing_file(os.path.join(output_dir, name)) as path:
        path.write_bytes(data)
    path = os.path.join(output_dir, REPORT_FILE)
    workdir.write_text(path, page(results, drawn))
  return path


def page(results: measurement.Results, drawn: dict[str, bytes]) -> str:
  """The page as HTML.

  Args:
    results: results of `measure.measure`.
    drawn: {CHART_FILE: PNG}, and CURVES_FILE, STRENGTHS_FILE and DEPTH_FILE
      where there are such charts.
  """
  settings = results.settings
  return pages.render(
    "invariance/report.html.j2",
    title="Invariances of the models",
    models=[
      {**model._asdict(), "color": charts.color(i)}
      for i, model in enumerate(results.models)
    ],
    settings=settings,
    percent=f"{settings.confidence * 100:g} %",
    k=min(settings.top_k),
    columns=further.COLUMNS,
    chart=charts.data_uri(drawn[CHART_FILE]),
    **{
      name: charts.data_uri(drawn[file]) if file in drawn else ""
      for name, file in (
        ("curves", CURVES_FILE),
        ("strengths", STRENGTHS_FILE),
        ("depth", DEPTH_FILE),
      )
    },
    sets=[_section(result, settings) for result in results.sets],
    command=results.command,
  )


def _section(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> dict[str, Any]:
  """Values of the template for one list of sets."""
  data = result.data
  first = next(iter(result.models.values()))
  rows = {"": pictures.of_sets(result)}
  for model in result.models:
    rows[model] = pictures.of_units(result, model)
  flat = [row for some in rows.values() for row in some]
  drawn = iter(pictures.strips(result, flat, own=settings.pictures))
  strips = {name: [next(drawn) for _ in some] for name, some in rows.items()}
  k, confidence = min(settings.top_k), settings.confidence
  return {
    "title": result.title,
    "source": data.source,
    "factor": data.factor_name,
    "unit": data.factor_unit,
    "images": len(result.index),
    "sets": len(first.score.sets.ids),
    "classes": len(first.score.sets.classes),
    "image_size": result.image_size,
    "cropped": data.cropped,
    "fraction": f"{first.score.firing_fraction * 100:.3g} %",
    "digest": result.digest[:12],
    "pictures": strips.pop(""),
    "units": strips,
    "scores": _scores(result, settings),
    "further": {
      name: [column.cell(found, k) for column in further.COLUMNS]
      for name, found in result.models.items()
    },
    "differences": [
      (
        summary.comparison(result.title, difference, k, confidence),
        difference.is_significant(k),
      )
      for difference in result.differences
    ],
    "ceiling": summary.CEILING_SENTENCE
    if summary.at_ceiling(result, k)
    else "",
    "exclusions": summary.exclusions(result),
    "unmeasured": [
      {
        "within": charts_lib.range_text(point.within),
        "images": point.num_images,
        "reason": point.reason.partition(";")[0],  # Without the advice.
      }
      for point in first.curve
      if point.score is None
    ],
  }


def _scores(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> dict[int, list[dict[str, Any]]]:
  """{K: cells of the table in the order of the models}."""
  return {
    k: [
      {
        "score": found.score.scores[k],
        "low": found.intervals[k].low if found.intervals else None,
        "high": found.intervals[k].high if found.intervals else None,
        "chance": found.chance.scores[k],
      }
      for found in result.models.values()
    ]
    for k in settings.top_k
  }
