"""A diagnosis as files to keep and a page to read: one file, offline."""

import os

from tf_ssl import errors
from tf_ssl.dataset_bias import (
  crop_statistics,
  reference,
  verdict,
  view_contents,
)
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias.report import charts as diagnosis_charts
from tf_ssl.dataset_bias.report import page as diagnosis_page
from tf_ssl.dataset_bias.report import pictures, tables
from tf_ssl.ops import workdir
from tf_ssl.reporting import charts as report_charts
from tf_ssl.reporting import colors, html

REPORT_FILE = "report.html"
_CHARTS = {
  "curves": diagnosis_charts.curves,
  "distributions": diagnosis_charts.distributions,
  "co_occurrence": diagnosis_charts.co_occurrence,
}


def write(diagnosis: diagnosis_lib.Diagnosis, output_dir: str) -> str:
  """Writes tables, charts and the page.

  Args:
    diagnosis: of `diagnosis.diagnose`.
    output_dir: made if it is not there.

  Returns:
    The path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  try:
    os.makedirs(output_dir, exist_ok=True)
    tables.write(diagnosis, output_dir)
    charts = {name: draw(diagnosis) for name, draw in _CHARTS.items()}
    for name, data in charts.items():
      with workdir.replacing_file(
        os.path.join(output_dir, f"{name}.png")
      ) as path:
        path.write_bytes(data)
    path = os.path.join(output_dir, REPORT_FILE)
    workdir.write_text(path, page(diagnosis, charts))
  except OSError as error:
    raise errors.UsageError(
      f"the report cannot be written to {output_dir}: "
      f"{error.strerror or error}; choose a folder on a disk with room that "
      "you may write to"
    ) from error
  return path


def page(diagnosis: diagnosis_lib.Diagnosis, charts: dict[str, bytes]) -> str:
  """The report as HTML.

  Args:
    diagnosis: what to tell.
    charts: PNG, by the names of their files without the ending.
  """
  subject, settings = diagnosis.subject, diagnosis.settings
  names = list(diagnosis.described)
  (least, most), (narrow, wide) = settings.crop
  filled = settings.shown.min_filled
  return html.render(
    diagnosis_page.TEMPLATE,
    title="How object-centric are these images, and what does cropping do?",
    source=subject.source,
    images=subject.objects.num_images,
    without=subject.objects.num_images - len(diagnosis.own.inhabited),
    estimate=subject.estimated_by,
    sentences=[
      (text[0].upper() + text[1:]).replace(" %", "\N{NO-BREAK SPACE}%")
      for text in verdict.sentences(diagnosis)
    ],
    overview=tables.overview(diagnosis),
    colors={name: colors.color(i) for i, name in enumerate(names)},
    references=reference.MEANING,
    datasets=names,
    meanings=view_contents.MEANING,
    at_recipe={name: diagnosis.at_recipe(name) for name in names},
    least=verdict.percent(least),
    most=verdict.percent(most),
    narrow=f"{narrow:.3g}",
    wide=f"{wide:.3g}",
    pairs=settings.pairs,
    inside=verdict.percent(settings.shown.min_inside),
    filled=verdict.percent(filled) if filled <= 1 else "",
    charts={
      name: report_charts.data_uri(data, "image/png")
      for name, data in charts.items()
    },
    examples=[
      (
        example.caption,
        report_charts.data_uri(example.picture, "image/jpeg"),
      )
      for example in pictures.examples(diagnosis)
    ],
    skipped=[
      f"{len(who)}: {reason} ({'; '.join(who[:5])}"
      f"{'; ...' if len(who) > 5 else ''})"
      for reason, who in subject.skipped.items()
    ],
    digest=str(subject.digest["sha256"])[:12],
    command=diagnosis.command,
    percent=verdict.percent,
    interval=_interval,
    number=_number,
  )


def _interval(mean: crop_statistics.Mean) -> str:
  low, high = (verdict.percent(end) for end in (mean.low, mean.high))
  return "–" if low == "–" else f"{low.removesuffix(' %')}..{high}"


def _number(value: float | None, form: str) -> str:
  return "–" if value is None else form % value
