"""A diagnosis from boxes to sentences, tables and the page."""

import csv
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.augment import crop
from tf_ssl.dataset_bias import (
  diagnosis,
  diagnosis_report,
  diagnosis_tables,
  object_boxes,
  reference,
  subject,
  verdict,
)
from tf_ssl.datasets import records

_EVIL = "<script>alert(1)</script> $x"


def pictures(boxes, count):
  return object_boxes.from_rows(
    np.full([count, 2], 96),
    np.repeat(np.arange(count), len(boxes)),
    np.tile(boxes, [count, 1]),
    np.tile(np.arange(len(boxes)) % 2, count),
    (_EVIL, "b"),
  )


def one_object(count=8):
  return pictures([[10, 10, 86, 86]], count)


def corners(count=8):
  return pictures([[0, 0, 30, 30], [66, 66, 96, 96]], count)


def of(objects, folder, *, estimated_by="", **settings):
  for i in range(objects.num_images):
    Image.new("RGB", (96, 96), (9 * i, 50, 90)).save(folder / f"{i}.png")
  names = np.array([f"{i}.png".encode() for i in range(objects.num_images)])
  sizes = np.full(objects.num_images, 100)
  given = subject.Subject(
    source=f"test {_EVIL}",
    images=records.ImageRecords(str(folder), names, sizes),
    objects=objects,
    digest={"sha256": "0123456789abcdef"},
    skipped={"a reason": tuple(f"file{i} {_EVIL}" for i in range(9))},
    estimated_by=estimated_by,
  )
  mark = subject.marked if estimated_by else str
  references = zip(reference.MEANING, (one_object(), corners()), strict=True)
  return diagnosis.diagnose(
    given,
    {mark(name): them for name, them in references},
    diagnosis.Settings(pairs=20, min_areas=(0.1, 0.2, 0.9), **settings),
    command="the command",
  )


def test_the_references_are_told_apart_and_place_the_dataset(tmp_path):
  centric = of(one_object(), tmp_path)
  assert verdict.position(centric) == pytest.approx(1, abs=0.1)
  text = " ".join(verdict.sentences(centric))
  assert "object-centric" in text and "scene-centric" not in text
  scenes = of(corners(), tmp_path)
  assert verdict.position(scenes) == pytest.approx(0, abs=0.1)
  assert "scene-centric" in verdict.sentences(scenes)[1]


def test_there_are_three_sentences_with_the_numbers(tmp_path):
  found = of(corners(), tmp_path)
  first, second, third = verdict.sentences(found)
  assert first == (
    "an image with objects shows 2.0 of them (1.0 in rendered objects, 2.0 in "
    "rendered scenes), and the largest takes up 9.8 % of it (63 % in rendered "
    "objects, 9.8 % in rendered scenes)."
  )
  share = found.at_recipe("this dataset")["same_foremost"].value
  assert f"same object in {verdict.percent(share)} of pairs" in second
  assert "from a smallest area of 10 % to one of 90 %" in third


def test_crops_too_mild_tell_nothing(tmp_path):
  mild = of(corners(), tmp_path, crop=crop.CropRange(area=(0.99, 1.0)))
  assert np.isnan(verdict.position(mild))
  assert "do not tell objects from scenes" in verdict.sentences(mild)[1]


def test_the_curve_ends_at_the_largest_area_and_holds_the_recipe():
  settings = diagnosis.Settings(crop=crop.CropRange(area=(0.3, 0.5)))
  assert settings.curve == [0.02, 0.05, 0.08, 0.14, 0.2, 0.3, 0.35, 0.5]


def test_milder_crops_share_more(tmp_path):
  curve = of(corners(), tmp_path).own.curve
  values = [curve[area]["same_object"].value for area in (0.1, 0.2, 0.9)]
  assert values == sorted(values) and values[2] == 1
  hidden = [curve[area]["main_hidden"].value for area in (0.1, 0.9)]
  assert hidden[0] > hidden[1]


def test_images_without_objects_are_not_cropped_but_counted(tmp_path):
  objects = one_object()
  half = object_boxes.from_rows(
    objects.sizes,
    np.arange(0, 8, 2),
    objects.boxes[::2],
    objects.classes[::2],
    objects.class_names,
  )
  found = of(half, tmp_path)
  assert found.own.inhabited.tolist() == [0, 2, 4, 6]
  row = diagnosis_tables.overview(found)[0]
  assert (row["images"], row["images_without_objects"]) == (8, 4)
  assert row["objects"] == 1
  diagnosis_report.write(found, str(tmp_path / "out"))
  with open(tmp_path / "out" / "per_image.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert [row["objects"] for row in rows] == ["1", "0"] * 4
  assert [bool(row["same_object"]) for row in rows] == [True, False] * 4


def test_all_files_are_written_and_agree(tmp_path):
  found = of(corners(), tmp_path)
  diagnosis_report.write(found, str(tmp_path / "out"))
  written = {path.name for path in (tmp_path / "out").iterdir()}
  assert written == {
    "report.html",
    "diagnosis.json",
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
  assert [(row["class"], row["other"]) for row in pairs] == [(_EVIL, "b")]
  assert pairs[0]["images_with_both"] == "8"


def test_the_page_loads_nothing_and_names_are_text(tmp_path):
  page = diagnosis_report.page(
    of(corners(), tmp_path),
    {
      "curves": b"1",
      "distributions": b"2",
      "co_occurrence": b"3",
    },
  )
  assert "<script" not in page
  assert page.count("&lt;script&gt;") >= 2  # the source, and what was left out
  sources = re.findall(r'(?:src|href)="([^"]*)"', page)
  assert len(sources) == 3 + 6  # charts and examples
  assert all(source.startswith("data:image/") for source in sources)
  assert "ESTIMATE" not in page
  assert "file5" not in page  # of nine names five are shown
  assert "the command" in page


def test_an_estimate_is_marked_everywhere(tmp_path):
  found = of(corners(), tmp_path, estimated_by="by guessing")
  diagnosis_report.write(found, str(tmp_path / "out"))
  page = (tmp_path / "out" / "report.html").read_text()
  assert "Everything on this page is an ESTIMATE" in page
  assert "by guessing" in page
  assert page.count("this dataset (estimate)") >= 2
  assert all(s.startswith("ESTIMATE") for s in verdict.sentences(found))
  content = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
  assert content["estimate"] == "by guessing"
  assert {row["dataset"] for row in content["images"]} == {
    "this dataset (estimate)",
    "rendered objects (estimate)",
    "rendered scenes (estimate)",
  }
  for name in ("curves.csv", "per_image.csv", "co_occurrence.csv"):
    with open(tmp_path / "out" / name, newline="") as file:
      assert {row["estimate"] for row in csv.DictReader(file)} == {"True"}


def test_an_example_that_cannot_be_read_is_left_out(tmp_path):
  found = of(corners(), tmp_path)
  for path in tmp_path.glob("*.png"):
    path.write_bytes(b"no picture")
  page = diagnosis_report.page(
    found, dict.fromkeys(("curves", "distributions", "co_occurrence"), b"")
  )
  assert "Some images" not in page


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("")
  found = of(one_object(2), tmp_path)
  with pytest.raises(errors.UsageError, match="report cannot be written"):
    diagnosis_report.write(found, str(tmp_path / "file" / "out"))


@pytest.mark.parametrize("text", ["0.2", "a,b", "1,2,3"])
def test_a_range_that_is_not_two_numbers_is_refused(text):
  with pytest.raises(errors.UsageError, match="smallest and the largest"):
    diagnosis.crop_range(text, None)


def test_ranges_are_read_from_text():
  assert diagnosis.crop_range(None, None) == crop.CropRange()
  assert diagnosis.crop_range("0.08,1", "0.5,2") == crop.CropRange(
    (0.08, 1.0), (0.5, 2.0)
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
