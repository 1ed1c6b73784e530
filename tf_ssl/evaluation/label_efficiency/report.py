"""The answer as a page that opens offline, JSON and CSV."""

import io
import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib import figure as figure_lib
from PIL import Image

from tf_ssl.evaluation.duplicates import pictures
from tf_ssl.evaluation.label_efficiency import (
  did_it_help,
  leakage,
  measure,
  worth,
)
from tf_ssl.ops import names, workdir
from tf_ssl.reporting import charts, pages, tables

REPORT_FILE = "report.html"
JSON_FILE = "did_it_help.json"
CSV_FILE = "accuracies.csv"
CHART_FILE = "accuracies.png"
_TEMPLATE = "evaluation/label_efficiency/report.html.j2"
_SHOWN = 12  # Pairs of near-duplicates that the page shows of each kind.


def write(
  answer: did_it_help.Answer, output_dir: str, *, command: str = ""
) -> str:
  """Writes the page, the chart and the tables.

  Args:
    answer: result of `did_it_help.did_it_help`.
    output_dir: folder to write.
    command: command line for the page.

  Returns:
    Path of the page.

  Raises:
    UsageError: the folder cannot be written.
  """
  path = os.path.join(output_dir, REPORT_FILE)
  chart = charts.png(draw(answer.measured))
  with workdir.writable(output_dir, "--output_dir"):
    workdir.write_text(
      os.path.join(output_dir, JSON_FILE),
      tables.json_text(as_json(answer, command)),
    )
    workdir.write_text(
      os.path.join(output_dir, CSV_FILE), tables.csv_text(rows(answer))
    )
    with workdir.replacing_file(
      os.path.join(output_dir, CHART_FILE)
    ) as temporary:
      temporary.write_bytes(chart)
    workdir.write_text(path, _page(answer, chart, command))
  return path


def rows(answer: did_it_help.Answer) -> Iterable[dict[str, Any]]:
  """One row for each model, method and number of labels."""
  measured = answer.measured
  for curve in measured.curves:
    worths = answer.worths.get((curve.model, curve.method))
    for place, labels in enumerate(measured.labels):
      mean = worth.interval(curve.percent[:, place])
      row = {
        "model": names.printable(curve.model),
        "method": curve.method,
        "labels": labels,
        "share": measured.shares[place],
        "top1_percent": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "worth": None,
        "worth_low": None,
        "worth_high": None,
      }
      if worths is not None:
        _, *found = worths[place]
        row |= zip(
          ("worth", "worth_low", "worth_high"),
          (None if math.isnan(x) else x for x in found),
          strict=True,
        )
      yield row


def as_json(answer: did_it_help.Answer, command: str) -> dict[str, Any]:
  """Everything as JSON values; an infinite worth is the text "inf"."""
  return {
    "command": command,
    "sentences": answer.sentences,
    "sources": answer.sources,
    "notes": answer.measured.notes,
    "pretraining_minutes": answer.minutes,
    "accuracies": [
      {k: _finite(v) for k, v in row.items()} for row in rows(answer)
    ],
    "percent_by_seed": [
      {
        "model": curve.model,
        "method": curve.method,
        "percent": curve.percent.tolist(),
        "seconds": curve.seconds,
      }
      for curve in answer.measured.curves
    ],
    "comparisons": {
      method: [
        {
          "left": each.left,
          "right": each.right,
          "labels": each.labels,
          "difference": list(each.difference),
          "p": each.p,
          "p_holm": each.adjusted,
        }
        for each in found
      ]
      for method, found in answer.comparisons.items()
    },
    "near_duplicates": {
      name: {
        "pairs_by_distance": pairs.counts(),
        "test_images": answer.leakage.affected(name),
        "unreadable": answer.leakage.unreadable[name],
      }
      for name, pairs in answer.leakage.pairs.items()
    },
    "copied_test_images": len(answer.leakage.copies),
    "dropped_test_images": answer.dropped,
  }


def _finite(value):
  return "inf" if isinstance(value, float) and math.isinf(value) else value


def draw(measured: measure.Measured) -> figure_lib.Figure:
  """Accuracy over the number of labels, a panel for each method."""
  methods = list(dict.fromkeys(c.method for c in measured.curves))
  models = list(dict.fromkeys(c.model for c in measured.curves))
  with charts.figure(4 * len(methods), 4) as figure:
    panels = figure.subplots(1, len(methods), squeeze=False)[0]
    for axes, method in zip(panels, methods, strict=True):
      for curve in measured.curves:
        if curve.method != method:
          continue
        color = charts.color(models.index(curve.model) - 1)
        if curve.model == measure.RANDOM:
          color = charts.GRAY
        found = [worth.interval(c) for c in curve.percent.T]
        means = [each.mean for each in found]
        axes.plot(
          measured.labels,
          means,
          marker="o",
          color=color,
          label=names.printable(curve.model),
        )
        if any(each.low is not None for each in found):
          axes.fill_between(
            measured.labels,
            [_or_mean(each.low, each) for each in found],
            [_or_mean(each.high, each) for each in found],
            color=color,
            alpha=0.2,
            linewidth=0,
          )
      axes.set_xscale("log")
      axes.set_xticks(measured.labels, [f"{n:,}" for n in measured.labels])
      axes.minorticks_off()
      axes.set_title(method)
      axes.set_xlabel("labels")
      axes.set_ylabel("top-1 on test images, %")
      charts.clean(axes)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
      handles,
      labels,
      loc="outside lower center",
      ncols=charts.legend_columns(figure, labels),
      frameon=False,
    )
  return figure


def _or_mean(end, found) -> float:
  """An end of an interval; the mean where there is no interval."""
  return found.mean if end is None else end


def _page(answer: did_it_help.Answer, chart: bytes, command: str) -> str:
  measured = answer.measured
  table = []
  for curve in measured.curves:
    cells = [worth.interval(c) for c in curve.percent.T]
    worths = answer.worths.get((curve.model, curve.method))
    table.append(
      {
        "model": curve.model,
        "method": curve.method,
        "cells": [
          (
            f"{c.mean:.1f}",
            "" if c.low is None else f"{c.low:.1f}..{c.high:.1f}",
            "" if worths is None else _factor(worths[i].factor),
          )
          for i, c in enumerate(cells)
        ],
        "minutes": None if curve.seconds is None else curve.seconds / 60,
        "pretraining": answer.minutes.get(curve.model),
      }
    )
  return pages.render(
    _TEMPLATE,
    title="Did pretraining help?",
    sentences=answer.sentences,
    sources=answer.sources,
    notes=measured.notes,
    labels=[f"{n:,}" for n in measured.labels],
    shares=[f"{100 * s:g}\N{NO-BREAK SPACE}%" for s in measured.shares],
    table=table,
    chart=charts.data_uri(chart),
    leakage=answer.leakage.text(),
    confirmed_by=answer.leakage.confirmed_by,
    examples={
      name: [
        charts.data_uri(_jpeg(picture), "image/jpeg")
        for picture in pictures.of_pairs(
          answer.leakage.records[leakage.WITHIN],
          answer.leakage.records[name],
          pairs,
          most=_SHOWN,
        )
      ]
      for name, pairs in answer.leakage.pairs.items()
    },
    command=command,
  )


def _factor(factor: float) -> str:
  if math.isinf(factor):
    return "more than all"
  return f"{factor:.1f}x" if factor else "less than the fewest"


def _jpeg(picture: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(picture).save(buffer, format="JPEG", quality=85)
  return buffer.getvalue()
