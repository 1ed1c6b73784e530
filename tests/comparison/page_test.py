"""Markdown page and CSV table of a comparison."""

import csv
import io
import sys

import pytest

from tests.comparison import reports_reference as reference
from tf_ssl import errors
from tf_ssl.comparison import page as page_lib


def test_page_table_and_chart_are_written(files, tmp_path):
  paths = files(
    *reference.runs("a|b", [40.0, 42.0]),
    *reference.runs("c", [30.0, 31.0]),
    reference.report("c", protocol="linear", results={"top1_percent": 60.0}),
  )
  said = []
  out = tmp_path / "new" / "out"
  page = page_lib.write(paths, str(out), command="typed", say=said.append)
  text = (out / "comparison.md").read_text()
  assert page == str(out / "comparison.md")
  lines = text.splitlines()
  assert lines[0] == "# Comparison of 5 reports"
  assert lines[2] == r"| protocol | result | a\|b | c |"
  assert lines[4].startswith(
    "| knn | top1, % | **41.00** (28.29..53.71, n = 2)"
  )
  assert lines[5] == "| linear | top1, % |  | 60.00 |"
  assert "    typed" in lines
  with open(out / "comparison.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert [(row["protocol"], row["model"], row["rank"]) for row in rows] == [
    ("knn", "a|b", "1"),
    ("knn", "c", "2"),
    ("linear", "c", ""),
  ]
  assert rows[0]["values"] == "40.0 42.0"
  assert rows[0]["seeds"] == "seed=0 training=0; seed=0 training=1"
  assert rows[0]["reports"] == "; ".join(paths[:2])
  assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
  assert said == []
  (tmp_path / "taken").write_text("")
  with pytest.raises(errors.UsageError, match="taken"):
    page_lib.write(paths, str(tmp_path / "taken"))


def test_equal_differences_of_protocols_are_listed_once(files):
  reports = [
    reference.report("a", "a", protocol=protocol, settings={"k": k})
    for protocol in ("x", "y")
    for k in (1, 2)
  ]
  [line] = page_lib.difference_lines(reference.compared(files(*reports)))
  assert line.endswith("x, y A, B, which differ in settings.k: 1 / 2")


def test_the_table_has_a_row_for_each_number(files):
  found = reference.compared(
    files(*reference.runs("a", [1.0]), *reference.runs("b", [2.0]))
  )
  rows = list(csv.reader(io.StringIO(page_lib.table(found))))
  assert rows[1][:8] == ["knn", "top1_percent", "a", "1.0", "", "", "1", "2"]


def test_a_report_of_several_protocols_is_counted_once(files):
  paths = files(
    reference.report("a", "a"), reference.report("b", "b", protocol="linear")
  )
  found = reference.compared(paths)
  assert page_lib.reports(found) == paths
  text = page_lib.markdown(found)
  assert text.startswith("# Comparison of 2 reports")


def test_hashes_are_shortened_wherever_they_are(files):
  hashes = ["a" * 40, "0123456789abcdef" * 4]
  reports = [
    reference.report(
      name, name, settings={"sets": {"of": [digest, 5]}, "name": "b" * 39}
    )
    for name, digest in zip("ab", hashes, strict=True)
  ]
  found = reference.compared(files(*reports))
  [line] = page_lib.difference_lines(found)
  for digest in hashes:
    assert digest[:12] in line and digest[:13] not in line
    assert digest not in page_lib.markdown(found)


def test_every_group_that_cannot_be_ranked_is_said(files, tmp_path):
  paths = files(
    *[
      reference.report(name, name, protocol=protocol, settings={"k": k})
      for protocol, values in (("x", (1, 2)), ("y", (3, 4)))
      for name, k in zip("ab", values, strict=True)
    ]
  )
  said = []
  page_lib.write(paths, str(tmp_path / "out"), say=said.append)
  assert [line.rpartition(": ")[2] for line in said] == ["1 / 2", "3 / 4"]


def test_small_numbers_have_four_digits(files):
  results = {"top1_percent": 41.256, "loss": 0.12345}
  text = page_lib.markdown(
    reference.compared(files(reference.report(results=results)))
  )
  assert "| top1, % | 41.26 |" in text and "| loss | 0.1235 |" in text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
