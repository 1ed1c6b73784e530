"""Tests of tf_ssl.evaluation.report."""

import json
import math
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.evaluation import protocol
from tf_ssl.evaluation import report as report_lib

_OUTCOME = protocol.Outcome(
  protocol="knn",
  title="Nearest neighbors",
  settings={"k": (20, 200), "image_size": np.int64(32), "crop": "middle"},
  data={
    "train": {"count": 12, "sha256": "0123456789abcdef"},
    "test": {"count": 7, "sha256": "fedcba9876543210"},
  },
  results={"top1_percent": 43.416, "loss": np.float32(1.5)},
  details={"per_class": {"a|b": 0.25, "c": math.nan}},
  tables=[
    protocol.Table("By class", ["class", "top-1"], [["a|b", 25.0], ["c", None]])
  ],
  pictures={"confusion.png": b"\x89PNG"},
  skipped={"bad.jpg": "empty file"},
  notes=["Chosen *before* the test."],
)


@pytest.fixture(name="subject", scope="module")
def fixture_subject():
  return protocol.Subject("mine=pixels")


def _write(outcome, subject, folder):
  page = report_lib.write(outcome, subject, "tools.evaluate  --x", folder)
  with open(folder / "report.json", encoding="utf-8") as file:
    return json.load(file), open(page, encoding="utf-8").read()


def test_the_json_has_everything(subject, tmp_path):
  report, _ = _write(_OUTCOME, subject, tmp_path)
  assert report["protocol"] == "knn"
  assert report["settings"] == {
    "k": [20, 200],
    "image_size": 32,
    "crop": "middle",
  }
  assert report["data"]["test"] == {"count": 7, "sha256": "fedcba9876543210"}
  assert report["results"] == {"top1_percent": 43.416, "loss": 1.5}
  assert report["details"]["per_class"] == {"a|b": 0.25, "c": None}
  assert report["tables"][0]["rows"] == [["a|b", 25.0], ["c", None]]
  assert report["pictures"] == ["confusion.png"]
  assert report["skipped"] == {"bad.jpg": "empty file"}
  assert report["model"]["name"] == "mine"
  assert report["model"]["digest"] == subject.frozen.description.digest
  assert report["command"] == "tools.evaluate  --x"
  assert {"python", "tensorflow", "scikit-learn"} <= set(report["versions"])
  assert report["hardware"]["cores"] >= 1
  assert report["provenance"] is None
  assert (tmp_path / "confusion.png").read_bytes() == b"\x89PNG"


def test_the_report_has_the_models_provenance(subject, tmp_path):
  (tmp_path / "run.json").write_text('{"seed": 3, "data": {"sha256": "ab"}}')
  of_a_run = protocol.Subject(f"mine={tmp_path}")
  of_a_run.__dict__["frozen"] = subject.frozen
  report, page = _write(_OUTCOME, of_a_run, tmp_path)
  assert report["provenance"] == {
    "file": str(tmp_path / "run.json"),
    "content": {"seed": 3, "data": {"sha256": "ab"}},
  }
  assert "| seed | 3 |" in page.splitlines()


def test_the_page_starts_with_the_results_and_escapes_names(subject, tmp_path):
  _, page = _write(_OUTCOME, subject, tmp_path)
  lines = page.splitlines()
  assert lines[0] == "# Nearest neighbors: mine"
  assert lines[2:6] == [
    "| result | value |",
    "|---|---|",
    "| top1 | 43.42 % |",
    "| loss | 1.5 |",
  ]
  assert "- Chosen \\*before\\* the test." in lines
  assert "![confusion](confusion.png)" in lines
  table = lines.index("### By class")
  assert lines[table + 2 : table + 6] == [
    "| class | top-1 |",
    "|---|---|",
    "| a\\|b | 25 |",
    "| c | – |",
  ]
  assert "| k | 20, 200 |" in lines
  assert "| train images | count: 12; sha256: 0123456789ab |" in lines
  assert "1 skipped: bad.jpg (empty file)" in lines
  assert "    tools.evaluate --x" in lines
  assert any(line.startswith("| provenance | unknown") for line in lines)


def test_a_long_table_is_cut_on_the_page_only(subject, tmp_path):
  rows = [[f"class {i}", i] for i in range(50)]
  table = protocol.Table("By class", ["class", "top-1"], rows)
  report, page = _write(_OUTCOME._replace(tables=[table]), subject, tmp_path)
  assert len(report["tables"][0]["rows"]) == 50
  assert "| class 19 | 19 |" in page and "class 20" not in page
  assert "The first 20 of 50 rows" in page


def test_a_result_that_is_not_finite_has_a_note(subject, tmp_path):
  outcome = _OUTCOME._replace(results={"top1_percent": math.nan})
  report, page = _write(outcome, subject, tmp_path)
  assert report["results"] == {"top1_percent": None}
  assert "top1_percent" in report["notes"][-1]
  assert "| top1 | not a finite number |" in page


def test_a_folder_that_cannot_be_written_is_an_error(subject, tmp_path):
  with pytest.raises(errors.UsageError, match="nowhere.*--output_dir"):
    report_lib.write(_OUTCOME, subject, "", str(tmp_path / "nowhere"))


def test_any_name_fits_the_report(subject, tmp_path):
  hostile = "a\n\udcff"
  outcome = _OUTCOME._replace(
    data={"train": {"folder": hostile}},
    skipped={hostile: "why"},
    tables=[protocol.Table(hostile, [hostile], [[hostile]])],
  )
  report, page = _write(outcome, subject, tmp_path)
  assert report["skipped"] == {r"a\n\xff": "why"}
  assert report["data"]["train"]["folder"] == "a\n\\xff"
  assert r"1 skipped: a\\n\\xff (why)" in page


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
