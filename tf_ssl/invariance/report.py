"""A measurement as files to keep and a page to read: one file, offline."""

import os
from typing import Any

from tf_ssl import errors
from tf_ssl.invariance import charts as invariance_charts
from tf_ssl.invariance import excluded, measurement, pictures, summary, tables
from tf_ssl.invariance import page as invariance_page
from tf_ssl.ops import workdir
from tf_ssl.reporting import colors, html

CHART_FILE = "invariance.png"
CURVES_FILE = "invariance_curves.png"
REPORT_FILE = "report.html"


def write(results: measurement.Results, output_dir: str) -> str:
  """Writes tables, charts and the page.

  Args:
    results: of `measure.measure`.
    output_dir: is there.

  Returns:
    The path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  try:
    tables.write(results, output_dir)
    charts = {CHART_FILE: invariance_charts.overview(results)}
    curves = invariance_charts.curves(results)
    if curves is not None:
      charts[CURVES_FILE] = curves
    for name, data in charts.items():
      with workdir.replacing_file(os.path.join(output_dir, name)) as path:
        path.write_bytes(data)
    path = os.path.join(output_dir, REPORT_FILE)
    workdir.write_text(path, page(results, charts))
  except OSError as error:
    raise errors.UsageError(
      f"results cannot be written to {output_dir}: {error.strerror or error}; "
      "choose a folder on a disk with room that you may write to"
    ) from error
  return path


def page(results: measurement.Results, charts: dict[str, bytes]) -> str:
  """The report as HTML; whatever names hold is text there, never markup."""
  settings = results.settings
  return html.render(
    invariance_page.TEMPLATE,
    title="What the models are invariant to",
    models=[
      {**model._asdict(), "color": colors.color(i)}
      for i, model in enumerate(results.models)
    ],
    settings=settings,
    percent=f"{settings.confidence * 100:g} %",
    k=min(settings.top_k),
    charts={
      name: pictures.address(data, "image/png") for name, data in charts.items()
    },
    chart_file=CHART_FILE,
    curves_file=CURVES_FILE,
    sets=[_section(result, settings) for result in results.sets],
    command=results.command,
  )


def _section(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> dict[str, Any]:
  """What the page says about one list of sets."""
  data = result.data
  first = next(iter(result.models.values()))
  rows = {"": pictures.of_sets(result)}
  for model in result.models:
    rows[model] = pictures.of_units(result, model)
  flat = [row for some in rows.values() for row in some]
  drawn = iter(pictures.strips(result, flat))
  strips = {name: [next(drawn) for _ in some] for name, some in rows.items()}
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
    "differences": [
      {
        "sentence": summary.in_words(
          result.title, difference, min(settings.top_k), settings.confidence
        ),
        "decided": summary.is_decided(difference, min(settings.top_k)),
      }
      for difference in result.differences
    ],
    "losses": excluded.sentences(result),
    "curve": [
      {
        "within": invariance_charts.range_text(point.within),
        "images": point.num_images,
        "reason": point.reason.partition(";")[0],  # the cause, not the cure
      }
      for point in first.curve
      if point.score is None
    ],
  }


def _scores(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> dict[int, list[dict[str, Any]]]:
  """For each K what stands in the table, in the models' order."""
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
