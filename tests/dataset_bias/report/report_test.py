"""The report of a diagnosis: its page, tables and charts."""

import csv
import html
import json
import re
import sys

import numpy as np
import pytest

from tests.dataset_bias import diagnoses_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.report import report, summary


def test_all_files_are_written_and_agree(tmp_path):
  found = diagnoses_reference.of(diagnoses_reference.corners(), tmp_path)
  report.write(found, str(tmp_path / "out"))
  written = {path.name for path in (tmp_path / "out").iterdir()}
  assert written == {
    "report.html",
    "diagnosis.json",
    "croppers.csv",
    "curves.csv",
    "per_image.csv",
    "co_occurrence.csv",
    "curves.png",
    "distributions.png",
    "co_occurrence.png",
  }
  content = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
  assert content["estimate"] is None
  assert content["settings"]["pairs_per_image"] == 20
  assert content["skipped"]["a reason"]["count"] == 9
  advice = content["recommendation"]
  assert advice["cropper"] == found.remedy.chosen
  page = (tmp_path / "out" / "report.html").read_text()
  for line in advice["gin"]:
    assert html.escape(line, quote=False) in html.unescape(page)
  assert {row["cropper"] for row in content["croppers"]} == set(
    found.remedy.means
  )
  own = found.at_recipe("this dataset")
  at_recipe = {
    row["quantity"]: row["value"]
    for row in content["crops"]
    if row["dataset"] == "this dataset" and row["is_recipe"]
  }
  assert at_recipe == {name: mean.value for name, mean in own.items()}
  with open(tmp_path / "out" / "per_image.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert np.mean([float(row["same_object"]) for row in rows]) == pytest.approx(
    own["same_object"].value
  )
  with open(tmp_path / "out" / "co_occurrence.csv", newline="") as file:
    pairs = list(csv.DictReader(file))
  assert [(row["class"], row["other"]) for row in pairs] == [
    (diagnoses_reference.EVIL, "b")
  ]
  assert pairs[0]["images_with_both"] == "8"


def test_the_page_loads_nothing_and_escapes_names(tmp_path):
  page = report.page(
    diagnoses_reference.of(diagnoses_reference.corners(), tmp_path),
    {
      "curves": b"1",
      "distributions": b"2",
      "co_occurrence": b"3",
    },
  )
  assert "<script" not in page
  assert page.count("&lt;script&gt;") >= 2  # the source, and a skipped file
  sources = re.findall(r'(?:src|href)="([^"]*)"', page)
  assert len(sources) == 3 + 6  # charts and examples
  assert all(source.startswith("data:image/") for source in sources)
  assert "ESTIMATE" not in page
  assert "file5" not in page  # five of nine names are shown
  assert "the command" in page


def test_an_estimate_is_marked_everywhere(tmp_path):
  found = diagnoses_reference.of(
    diagnoses_reference.corners(), tmp_path, estimated_by="by looks"
  )
  report.write(found, str(tmp_path / "out"))
  page = (tmp_path / "out" / "report.html").read_text()
  assert "an ESTIMATE" in page
  assert "by looks" in page
  assert page.count("this dataset (estimate)") >= 2
  assert all(s.startswith("ESTIMATE") for s in summary.sentences(found))
  content = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
  assert content["estimate"] == "by looks"
  assert {row["dataset"] for row in content["images"]} == {
    "this dataset (estimate)",
    "rendered objects (estimate)",
    "rendered scenes (estimate)",
  }
  for name in ("curves.csv", "per_image.csv", "co_occurrence.csv"):
    with open(tmp_path / "out" / name, newline="") as file:
      assert {row["estimate"] for row in csv.DictReader(file)} == {"True"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("")
  found = diagnoses_reference.of(diagnoses_reference.one_object(2), tmp_path)
  with pytest.raises(errors.UsageError, match="file/out.*--output_dir"):
    report.write(found, str(tmp_path / "file" / "out"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
