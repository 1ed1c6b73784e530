"""From files to a report; tools/diagnose_dataset_test has the command."""

import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

from tests.dataset_bias import training_sets_reference
from tf_ssl.dataset_bias import diagnose, diagnosis, objectness

_QUICK = diagnosis.Settings(pairs=2, reference_images=2, min_areas=())


def _content(page):
  path = pathlib.Path(page).with_name("diagnosis.json")
  return json.loads(path.read_text())


def test_skipped_boxes_are_named_before_the_three_sentences(tmp_path):
  training_sets_reference.coco_set(tmp_path)
  file = tmp_path / "boxes.json"
  content = json.loads(file.read_text())
  content["annotations"][0]["iscrowd"] = 1
  file.write_text(json.dumps(content))
  said = []
  found = diagnose.diagnose_dataset(
    str(tmp_path / "images"),
    str(file),
    str(tmp_path / "out"),
    settings=_QUICK,
    say=said.append,
  )
  assert found.page == str(tmp_path / "out/report.html")
  reason = "a crowd, which is not one object"
  assert said[0] == f"skipped 1: {reason} (0.png)"
  content = _content(found.page)
  assert said[1:4] == content["sentences"]
  advice = content["recommendation"]
  assert said[4:] == [advice["sentence"], *(f"  {x}" for x in advice["gin"])]


def test_boxes_of_open_images_are_diagnosed_as_those_of_coco(tmp_path):
  annotated = training_sets_reference.coco_set(tmp_path)
  rows = [
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,"
    "IsTruncated,IsGroupOf,IsDepiction,IsInside"
  ]
  for image, box in zip(annotated.image_index, annotated.boxes, strict=True):
    xmin, ymin, xmax, ymax = (box / [60, 40, 60, 40]).tolist()
    rows.append(f"{image},xclick,/m/0x,1,{xmin},{xmax},{ymin},{ymax},0,0,0,0,0")
  (tmp_path / "boxes.csv").write_text("\n".join(rows))
  csv, coco = (
    diagnose.diagnose_dataset(
      str(tmp_path / "images"),
      str(tmp_path / name),
      str(tmp_path / f"out-{name}"),
      settings=_QUICK,
    )
    for name in ("boxes.csv", "boxes.json")
  )
  csv, coco = _content(csv.page), _content(coco.page)
  assert csv["sentences"] == coco["sentences"]
  assert csv["images"][0]["objects"] == coco["images"][0]["objects"] == 2


def test_an_estimate_uses_a_subset_by_default(tmp_path, monkeypatch):
  monkeypatch.setattr(diagnose, "_ESTIMATED_IMAGES", 3)
  monkeypatch.setattr(
    objectness, "find", lambda image: np.array([[4.0, 4.0, 12.0, 12.0]])
  )
  (tmp_path / "images").mkdir()
  for number in range(5):
    picture = Image.new("RGB", (40, 30), (40 * number, 50, 90))
    picture.save(tmp_path / f"images/{number}.png")
  for max_images, expected in ((None, 3), (4, 4), (0, 5)):
    found = diagnose.diagnose_dataset(
      str(tmp_path / "images"),
      None,
      str(tmp_path / "out"),
      settings=_QUICK,
      max_images=max_images,
    )
    own, *references = _content(found.page)["images"]
    assert own["images"] == expected and own["objects"] == 1
    assert [row["images"] for row in references] == [2, 2]


def test_names_that_are_not_unicode_reach_the_report(tmp_path):
  training_sets_reference.coco_set(tmp_path)
  file = tmp_path / "boxes.json"
  content = json.loads(file.read_text())
  for number, name in enumerate(("a\nb.png", "\udcff.png")):
    path = tmp_path / "images" / f"{number}.png"
    path.rename(path.with_name(name))
    content["images"][number]["file_name"] = name
  content["annotations"][0]["iscrowd"] = 1
  content["annotations"][2]["iscrowd"] = 1
  content["categories"][0]["name"] = "\ud800"
  file.write_text(json.dumps(content))
  said = []
  found = diagnose.diagnose_dataset(
    str(tmp_path / "images"),
    str(file),
    str(tmp_path / "out"),
    settings=_QUICK,
    say=said.append,
  )
  assert said[0].endswith(r"(a\nb.png; \xff.png)")
  (skipped,) = _content(found.page)["skipped"].values()
  assert skipped["some"] == [r"a\nb.png", r"\xff.png"]
  for path in (tmp_path / "out").iterdir():
    if path.suffix != ".png":
      path.read_text(encoding="utf-8")
  table = (tmp_path / "out/per_image.csv").read_text()
  assert table.splitlines()[1].startswith(r"a\nb.png,")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
