"""Tests of tf_ssl.comparison.runs_page and runs_chart."""

import os
import re
import sys
from html import parser

import matplotlib as mpl
import numpy as np
import pytest

from tests.comparison import runs_reference as reference
from tf_ssl import errors
from tf_ssl.comparison import runs, runs_chart, runs_page


class _Page(parser.HTMLParser):
  """The cells of all tables, the pictures and the addresses of a page."""

  def __init__(self, text):
    super().__init__()
    self.rows, self.pictures, self.loaded = [], [], []
    self._inside = False
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    if tag == "tr":
      self.rows.append([])
    if tag in ("td", "th"):
      self.rows[-1].append("")
    self._inside = tag in ("td", "th") or (self._inside and tag == "span")
    for name, value in attrs:
      if name in ("src", "href"):
        self.loaded.append(value)
        self.pictures += [value] if tag == "img" else []

  def handle_endtag(self, tag):
    self._inside &= tag not in ("td", "th", "tr")

  def handle_data(self, data):
    if self._inside:
      self.rows[-1][-1] += data.strip()


@pytest.fixture
def pair(tmp_path):
  """Two runs of one method with other batch sizes, lengths and speeds."""
  a = [
    {"step": 0, "knn_accuracy": 0.25},
    {"step": 4, "loss": 3.0, "images_per_second": 10.0},
    {
      "step": 8,
      "loss": 2.0,
      "knn_accuracy": 0.5,
      "images_per_second": 30.0,
      "data_wait_fraction": 0.125,
    },
  ]
  b = [{"step": 4, "loss": 2.5}]
  return [
    reference.write(tmp_path / "a", a),
    reference.write(tmp_path / "b", b, batch_size=8, steps=16),
  ]


def test_a_row_sums_up_a_run(pair):
  first, second = runs.read(pair).runs
  assert runs_page.row(first) == (
    *("a", "moco", "8 of 8", "2", "25.0 → 50.0", "50.0 at 8", "20", "12.5"),
    "1.5",
  )
  assert runs_page.row(second) == (
    *("b", "moco", "4 of 16", "2.5", "–", "–", "–", "–", "1.5"),
  )


def test_settings_that_differ_are_listed_once(pair):
  (_, labels, settings), (_, _, origin) = runs_page.differences(
    runs.read(pair).runs
  )
  assert labels == ["a", "b"]
  assert settings == [("BATCH_SIZE", "4", "8"), ("STEPS", "8", "16")]
  assert origin == []


def test_a_setting_that_one_run_lacks_differs(tmp_path):
  paths = [
    reference.write(tmp_path / "a", []),
    reference.write(tmp_path / "b", [], record={"git_commit": "f00d"}),
  ]
  with open(f"{paths[1]}/operative_config.gin", "a") as file:
    file.write("resnet.resnet18.width = 0.5\nx.name = ''\n")
  (_, _, settings), (_, _, origin) = runs_page.differences(
    runs.read(paths).runs
  )
  assert settings == [
    ("resnet.resnet18.width", "–", "0.5"),
    ("x.name", "–", "''"),
  ]
  assert origin == [("git_commit", "c0ffee", "f00d")]


def test_the_lines_are_aligned_and_end_with_the_notes(pair, tmp_path):
  found = runs.read([*pair, str(tmp_path / "none")])
  lines = runs_page.lines(found)
  head, first, second = lines[:3]
  assert head.index("loss") + 4 == first.index(" 2 ") + 2
  assert second.startswith("b    moco")
  place = lines.index("settings that differ, in the order of the runs:")
  assert lines[place + 1 : place + 3] == [
    "BATCH_SIZE  4 / 8",
    "STEPS       8 / 16",
  ]
  assert "does not exist" in lines[-1]


def test_long_values_are_cut_to_where_they_differ_in_the_lines_only(tmp_path):
  paths = [reference.write(tmp_path / name, []) for name in "ab"]
  values = [f"{'x' * 100}{name}{'y' * 100}" for name in "ab"]
  for path, value in zip(paths, values, strict=True):
    with open(f"{path}/operative_config.gin", "a") as file:
      file.write(f"x.name = '{value}'\n")
  found = runs.read(paths)
  [line] = [line for line in runs_page.lines(found) if "x.name" in line]
  first, second = line.removeprefix("x.name").strip().split(" / ")
  assert first.startswith("…xxx") and "a" in first and "b" in second
  assert len(first) == len(second) == 40
  text = runs_page.html(found)
  assert all(value in text for value in values)


def test_the_page_has_the_tables_and_loads_nothing(pair):
  page = _Page(runs_page.html(runs.read(pair), command="the command"))
  assert ["a", "moco", "8 of 8", "2"] == page.rows[1][:4]
  assert ["BATCH_SIZE", "4", "8"] in page.rows
  assert len(page.pictures) == 4
  assert all(each.startswith("data:image/png;") for each in page.loaded)


def test_names_and_values_are_no_markup(tmp_path):
  path = reference.write(
    tmp_path / "<img src=x onerror=1>", reference.records(0, 4)
  )
  other = reference.write(tmp_path / "b", ["<script>"])
  with open(f"{other}/operative_config.gin", "a") as file:
    file.write("x.name = '<b>&'\n")
  text = runs_page.html(runs.read([path, other]), command="a <i>")
  assert "<img src=x" not in text and "<b>&" not in text and "<i>" not in text
  assert "&lt;img src=x onerror=1&gt;" in text


def test_a_chart_has_the_curve_of_each_run_in_its_color(pair):
  drawn = {
    chart.title: chart for chart in runs_chart.draw(runs.read(pair).runs)
  }
  assert list(drawn) == [
    "loss",
    "kNN accuracy, %",
    "images/s",
    "data wait, % of the time",
  ]
  [axes] = drawn["loss"].figure.axes
  first, second = axes.lines
  assert [first.get_color(), second.get_color()] == runs_chart.colors(2)
  np.testing.assert_array_equal(first.get_xdata(), [4, 8])
  np.testing.assert_array_equal(first.get_ydata(), [3.0, 2.0])
  np.testing.assert_array_equal(second.get_xdata(), [4])
  [axes] = drawn["kNN accuracy, %"].figure.axes
  np.testing.assert_array_equal(axes.lines[0].get_ydata(), [25.0, 50.0])
  assert drawn["kNN accuracy, %"].labels == ["a"]


def test_losses_of_different_methods_have_charts_of_their_own(tmp_path):
  paths = [
    reference.write(
      tmp_path / name,
      reference.records(0, 4, knn_accuracy=0.5),
      method=method,
    )
    for name, method in (
      ("a", "moco.build_moco"),
      ("b", "simclr.build_simclr"),
      ("c", "moco.build_moco"),
    )
  ]
  found = runs.read(paths)
  drawn = {c.title: c.labels for c in runs_chart.draw(found.runs)}
  assert drawn == {
    "loss, moco": ["a", "c"],
    "loss, simclr": ["b"],
    "kNN accuracy, %": ["a", "b", "c"],
  }
  assert "different methods cannot be compared" in runs_page.html(found)


@pytest.mark.parametrize("count", [1, 6, 7, 30])
def test_each_run_has_a_color_of_its_own(count):
  colors = runs_chart.colors(count)
  assert len(set(colors)) == count
  assert all(mpl.colors.is_color_like(color) for color in colors)


def test_a_page_of_runs_without_records_says_so(tmp_path):
  path = reference.write(tmp_path / "a", [])
  text = runs_page.html(runs.read([path]))
  assert "No run has logged a number yet" in text
  assert "Comparison of 1 run<" in text


def test_names_that_are_not_utf8_are_escaped_everywhere(tmp_path):
  path = reference.write(
    os.fsencode(tmp_path) + b"/r\xff", reference.records(0, 4), end="{"
  )
  said = []
  page = runs_page.write([path], str(tmp_path / "out"), say=said.append)
  text = open(page, encoding="utf-8").read()
  assert r"r\xff" in text
  assert r"r\xff" in said[1] and r"r\xff: metrics.jsonl: 1 of 3" in said[-1]
  "\n".join(said).encode()


def test_a_folder_that_cannot_be_written_is_named(pair, tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="file.*--output_dir"):
    runs_page.write(pair, str(tmp_path / "file" / "out"))


def test_the_page_is_found_where_it_was_written(pair, tmp_path):
  page = runs_page.write(pair, str(tmp_path / "out"))
  assert os.listdir(tmp_path / "out") == ["report.html"]
  assert re.match("<!doctype html>", open(page).read())


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
