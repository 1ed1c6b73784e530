"""Tables and the page of a measurement."""

import csv
import html.parser
import json
import sys

import numpy as np
import pytest
from PIL import Image


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


class _Page(html.parser.HTMLParser):
  """Everything that a page would load, and its elements."""

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


def test_the_report_is_one_file_and_escapes_names(measured):
  text = (measured.folder / "report.html").read_text(encoding="utf-8")
  page = _Page()
  page.feed(text)
  assert page.loads and all(x.startswith("data:image/") for x in page.loads)
  assert not {"script", "link", "iframe"} & set(page.tags)
  assert "url(" not in text and "@import" not in text
  assert "<b>noise</b>" not in text
  assert "&lt;b&gt;noise&lt;/b&gt;" in text
  assert "the command" in text and "the only one" in text
  with Image.open(measured.folder / "invariance.png") as image:
    assert image.size[0] > image.size[1]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
