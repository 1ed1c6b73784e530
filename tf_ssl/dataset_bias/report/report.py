"""The report of a diagnosis: one page that opens offline, charts and tables."""

import os

from tf_ssl.dataset_bias import crop_statistics, reference
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias.report import charts as diagnosis_charts
from tf_ssl.dataset_bias.report import pictures, summary, tables
from tf_ssl.ops import names as names_lib
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts, pages

REPORT_FILE = "report.html"
_TEMPLATE = "dataset_bias/report/report.html.j2"
_CHARTS = {
  "curves": diagnosis_charts.curves,
  "distributions": diagnosis_charts.distributions,
  "co_occurrence": diagnosis_charts.co_occurrence,
}
# {column of the table of croppers: quantity}; of the hidden share of the main
# object, the rest is shown.
_CROPPER_COLUMNS = {
  "Same object foremost": "same_foremost",
  "Main object in both views": "main_in_both",
  "View without an object": "empty_view",
  "Cover of the main object": "main_hidden",
  "Background": "background",
  "Overlap of two views": "overlap",
}
_NAMED = 5  # Names on the page for each reason to skip.


def write(diagnosis: diagnosis_lib.Diagnosis, output_dir: str) -> str:
  """Writes tables, charts and the page.

  Args:
    diagnosis: result of `diagnosis.diagnose`.
    output_dir: folder to write to; created if it does not exist.

  Returns:
    Path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  path = os.path.join(output_dir, REPORT_FILE)
  with workdir.writable(output_dir, "--output_dir"):
    os.makedirs(output_dir, exist_ok=True)
    tables.write(diagnosis, output_dir)
    drawn = {name: charts.png(c(diagnosis)) for name, c in _CHARTS.items()}
    for name, data in drawn.items():
      chart = os.path.join(output_dir, f"{name}.png")
      with workdir.replacing_file(chart) as temporary:
        temporary.write_bytes(data)
    workdir.write_text(path, page(diagnosis, drawn))
  return path


def page(diagnosis: diagnosis_lib.Diagnosis, drawn: dict[str, bytes]) -> str:
  """The report as HTML.

  Args:
    diagnosis: result of `diagnosis.diagnose`.
    drawn: {name: PNG bytes} of the charts "curves", "distributions" and
      "co_occurrence".
  """
  dataset, settings = diagnosis.dataset, diagnosis.settings
  names = list(diagnosis.described)
  (least, most), (narrow, wide) = settings.crop
  filled = settings.shown.min_filled
  return pages.render(
    _TEMPLATE,
    title="How object-centric are these images, and what does cropping do?",
    source=dataset.source,
    images=dataset.objects.num_images,
    without=dataset.objects.num_images - len(diagnosis.own.inhabited),
    estimate=dataset.estimated_by,
    sentences=[
      (text[0].upper() + text[1:]).replace(" %", "\N{NO-BREAK SPACE}%")
      for text in summary.sentences(diagnosis)
    ],
    overview=tables.overview(diagnosis),
    colors={name: charts.color(i) for i, name in enumerate(names)},
    references=reference.MEANING,
    datasets=names,
    meanings=crop_statistics.QUANTITIES,
    at_recipe={name: diagnosis.at_recipe(name) for name in names},
    remedy=diagnosis.remedy,
    recommendation=summary.recommendation(diagnosis).replace(
      " %", "\N{NO-BREAK SPACE}%"
    ),
    croppers=_cropper_rows(diagnosis),
    cropper_columns=list(_CROPPER_COLUMNS),
    view_size=settings.view_size,
    least=summary.percent(least),
    most=summary.percent(most),
    narrow=f"{narrow:.3g}",
    wide=f"{wide:.3g}",
    pairs=settings.pairs,
    inside=summary.percent(settings.shown.min_inside),
    filled=summary.percent(filled) if filled <= 1 else "",
    charts={name: charts.data_uri(data) for name, data in drawn.items()},
    examples=[
      (example.caption, charts.data_uri(example.picture, "image/jpeg"))
      for example in pictures.examples(diagnosis)
    ],
    skipped=[
      f"{len(who)}: {reason} ({names_lib.listed(who, _NAMED)})"
      for reason, who in dataset.skipped.items()
    ],
    digest=str(dataset.digest["sha256"])[:12],
    command=diagnosis.command,
    percent=summary.percent,
    interval=_interval,
    number=lambda value, form: "–" if value is None else form % value,
  )


def _cropper_rows(diagnosis: diagnosis_lib.Diagnosis):
  """Name of each cropper, and value and interval of each column."""
  for name, means in diagnosis.remedy.means.items():
    cells = []
    for quantity in _CROPPER_COLUMNS.values():
      mean = means[quantity]
      if quantity == "main_hidden":  # What is seen, not what is cut off.
        mean = crop_statistics.Mean(1 - mean.value, 1 - mean.high, 1 - mean.low)
      cells.append((summary.percent(mean.value), _interval(mean)))
    yield name, cells


def _interval(mean: crop_statistics.Mean) -> str:
  low, high = (summary.percent(end) for end in (mean.low, mean.high))
  return "–" if low == "–" else f"{low.removesuffix(' %')}..{high}"
