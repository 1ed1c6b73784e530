"""A measurement as files to keep and a page to read: one file, offline."""

import os
from typing import Any

from tf_ssl import errors
from tf_ssl.evaluation import (
  html_page,
  invariance_charts,
  invariance_page,
  invariance_pictures,
  measure,
  measurement,
  measurement_tables,
)
from tf_ssl.ops import colours, files

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
    measurement_tables.write(results, output_dir)
    charts = {CHART_FILE: invariance_charts.overview(results)}
    curves = invariance_charts.curves(results)
    if curves is not None:
      charts[CURVES_FILE] = curves
    for name, data in charts.items():
      with files.replacing(os.path.join(output_dir, name)) as path:
        path.write_bytes(data)
    path = os.path.join(output_dir, REPORT_FILE)
    files.write(path, page(results, charts))
  except OSError as error:
    raise errors.UsageError(
      f"results cannot be written to {output_dir}: {error.strerror or error}; "
      "choose a folder on a disk with room that you may write to"
    ) from error
  return path


def page(results: measurement.Results, charts: dict[str, bytes]) -> str:
  """The report as HTML; whatever names hold is text there, never markup."""
  settings = results.settings
  return html_page.render(
    invariance_page.TEMPLATE,
    title="What the models are invariant to",
    models=[
      {**model._asdict(), "colour": colours.colour(i)}
      for i, model in enumerate(results.models)
    ],
    settings=settings,
    percent=f"{settings.confidence * 100:g} %",
    k=min(settings.top_k),
    charts={
      name: invariance_pictures.address(data, "image/png")
      for name, data in charts.items()
    },
    chart_file=CHART_FILE,
    curves_file=CURVES_FILE,
    rows=measurement_tables.score_rows(results),
    sets=[_section(result, settings) for result in results.sets],
    command=results.command,
  )


def _section(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> dict[str, Any]:
  """What the page says about one list of sets."""
  data = result.data
  first = next(iter(result.models.values()))
  rows = {"": invariance_pictures.of_sets(result)}
  for model in result.models:
    rows[model] = invariance_pictures.of_units(result, model)
  flat = [row for some in rows.values() for row in some]
  drawn = iter(invariance_pictures.strips(result, flat))
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
    "differences": [
      measure.in_words(
        result.title, difference, min(settings.top_k), settings.confidence
      )
      for difference in result.differences
    ],
    "losses": _losses(result, first),
    "curve": [
      {
        "within": invariance_charts.range_text(point.within),
        "images": point.num_images,
        "reason": point.reason,
      }
      for point in first.curve
      if point.score is None
    ],
  }


def _losses(
  result: measurement.SetsResult, first: measurement.ModelScore
) -> list[str]:
  """What was left out, and why; each a sentence."""
  losses = [
    f"{len(names)} left out by the reader: {reason} ({_some(names)})"
    for reason, names in result.data.skipped.items()
  ]
  if result.unreadable:
    named = [f"{name}: {why}" for name, why in result.unreadable.items()]
    losses.append(
      f"{len(named)} of {result.data.images.num_images} images could not be "
      f"read and were left out ({_some(named)})"
    )
  sets = first.score.sets
  if sets.num_skipped:
    losses.append(
      f"{sets.num_skipped} sets with fewer than 3 images count for the global "
      "firing rate only"
    )
  empty = int((sets.sets_of_class == 0).sum())
  if empty:
    effect = "count as 0" if first.score.variant == "code" else "are left out"
    losses.append(f"{empty} classes have no set of 3 images and {effect}")
  for model, found in result.models.items():
    if len(found.score.constant_units):
      losses.append(
        f"{len(found.score.constant_units)} of {len(found.score.rates)} units "
        f"of {model} have one value for all images; they never fire"
      )
  if first.intervals is None:
    losses.append("there is a single set: no interval over sets can be given")
  return losses


def _some(names) -> str:
  shown = "; ".join(list(names)[:5])
  return shown + ("; ..." if len(names) > 5 else "")
