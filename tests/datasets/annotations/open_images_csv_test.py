"""Miniatures of Open Images' boxes, intact and damaged."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.annotations import (
  collector,
  open_annotations,
  open_images_csv,
  open_images_rows,
)

HEADER = (
  "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,"
  "IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
CLICKS = ",".join(f"XClick{i}{axis}" for i in range(1, 5) for axis in "XY")
CAT, DOG = "/m/01yrx", "/m/0bt9lr"
A, B, C = "0001eeaf4aed83f9", "00000000000000e5", "1234567890123456"


@pytest.fixture(name="images")
def fixture_images(tmp_path):
  """Three photos of 40x20 px, one of them in a folder of its own."""
  folder = tmp_path / "images"
  (folder / "train_0").mkdir(parents=True)
  for name in (A, f"train_0/{B}", C):
    Image.new("RGB", (40, 20)).save(folder / f"{name}.jpg")
  return folder


def row(image, label, box, *, confidence=1, group=0, depiction=0, rest=""):
  """A row; `box` is xmin, ymin, xmax, ymax."""
  xmin, ymin, xmax, ymax = box
  cells = [image, "xclick", label, confidence, xmin, xmax, ymin, ymax]
  return ",".join(map(str, [*cells, 0, -1, group, depiction, 0])) + rest


def written(tmp_path, *rows, header=HEADER, name="train-bbox.csv"):
  file = tmp_path / name
  file.write_text("\n".join([header, *rows, ""]))
  return str(file)


def read(tmp_path, images, *rows, **settings):
  return open_annotations.open_annotations(
    written(tmp_path, *rows), str(images), **settings
  )


BOX = (0.25, 0.5, 0.75, 1)


def test_boxes_equal_those_of_the_same_objects_in_coco(tmp_path, images):
  objects = [
    (A, CAT, (0.1, 0.2, 0.5, 0.9), 0),
    (B, DOG, (0, 0, 1, 1), 0),
    (A, DOG, (0.05, 0.25, 0.3, 1.2), 0),  # Clipped.
    (C, CAT, (0.5, 0.5, 0.75, 0.75), 1),
    (A, CAT, (0.6, 0.2, 0.5, 0.9), 0),  # Inverted.
    ("gone", CAT, (0.6, 0.2, 0.5, 0.9), 0),
  ]
  files = {A: f"{A}.jpg", B: f"train_0/{B}.jpg", C: f"{C}.jpg"}
  content = {
    "images": [
      {"id": i, "file_name": f, "width": 40, "height": 20}
      for i, f in (files | {"gone": "gone.jpg"}).items()
    ],
    "categories": [{"id": i, "name": n} for i, n in enumerate((CAT, DOG))],
    "annotations": [
      {
        "id": i,
        "image_id": image,
        "category_id": (CAT, DOG).index(name),
        "bbox": [40 * x1, 20 * y1, 40 * (x2 - x1), 20 * (y2 - y1)],
        "iscrowd": crowd,
      }
      for i, (image, name, (x1, y1, x2, y2), crowd) in enumerate(objects)
    ],
  }
  (tmp_path / "coco.json").write_text(json.dumps(content))
  expected = open_annotations.open_annotations(
    str(tmp_path / "coco.json"), str(images), max_skipped_fraction=0.5
  )
  found = read(
    tmp_path,
    images,
    *(row(i, n, box, group=crowd) for i, n, box, crowd in objects),
    max_skipped_fraction=0.5,
  )
  assert found.source == "Open Images train-bbox.csv"
  assert found.class_names == expected.class_names == (CAT, DOG)
  assert found.image_ids == expected.image_ids == (A, B, C)
  for name in ("image_sizes", "class_ids", "image_index", "crowd", "difficult"):
    np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
  np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-6)
  np.testing.assert_allclose(found.areas, expected.areas, rtol=1e-5)
  assert found.clipped == expected.clipped == 1
  assert [found.images.name(i) for i in range(3)] == list(files.values())
  assert found.images.sizes.tolist() == expected.images.sizes.tolist()
  assert [len(names) for names in found.skipped.values()] == [
    len(names) for names in expected.skipped.values()
  ]
  assert found.skipped == {
    "no such image": ("gone.jpg",),
    "a row of a skipped image": ("gone",),
    "a box that is inverted or of zero area": ("line 6",),
  }


def test_too_many_missing_images_are_an_error_as_in_coco(tmp_path, images):
  with pytest.raises(
    errors.UsageError, match="1 of 2 images .*'gone.jpg'.*max_skipped_fraction"
  ):
    read(tmp_path, images, row(A, CAT, BOX), row("gone", CAT, BOX))


def test_no_image_of_the_file_in_the_folder_is_one_clear_line(tmp_path, images):
  with pytest.raises(errors.UsageError) as caught:
    read(tmp_path, images, row("gone", CAT, BOX), max_skipped_fraction=1.0)
  message = str(caught.value)
  assert "\n" not in message and f"no images in '{images}'" in message
  assert "'gone.jpg'" in message and "ImageID.jpg" in message
  with pytest.raises(errors.UsageError, match="no images in"):
    read(tmp_path, images)


def test_groups_are_crowds_and_drawings_are_objects(tmp_path, images):
  found = read(
    tmp_path,
    images,
    row(A, CAT, BOX, group=1),
    row(A, CAT, BOX, group=-1),
    row(A, DOG, BOX, depiction=1),
  )
  assert found.crowd.tolist() == [True, False, False]


def test_classes_without_a_box_are_unknown(tmp_path, images):
  found = read(tmp_path, images, row(A, CAT, BOX), row(B, DOG, BOX, group=1))
  np.testing.assert_array_equal(found.targets, [[1, -1], [-1, -1]])


def test_rows_of_confidence_0_are_no_objects(tmp_path, images):
  found = read(
    tmp_path,
    images,
    row(A, CAT, BOX, confidence=0),
    row(A, CAT, BOX, confidence="0.0"),
    row(A, DOG, BOX, confidence=0.5),
  )
  assert found.class_names == (DOG,) and found.num_boxes == 1
  assert found.skipped == {"a row of Confidence 0": ("line 2", "line 3")}


@pytest.mark.parametrize(
  ("text", "told"),
  [
    (row(A, CAT, ("left", 0.5, 0.75, 1)), "line 3 (XMin: 'left')"),
    (row(A, CAT, (0.25, "", 0.75, 1)), "line 3 (YMin: '')"),
    (row(A, CAT, (0.25, 0.5, "nan", 1)), "line 3 (XMax: 'nan')"),
    (row(A, CAT, (0.25, 0.5, "inf", 1)), "line 3 (XMax: 'inf')"),
    (row(A, CAT, (0.25, 0.5, 0.75, "1_0")), "line 3 (YMax: '1_0')"),
    (row(A, CAT, (0.25, 0.5, 0.75, True)), "line 3 (YMax: 'True')"),
    (row(A, CAT, BOX, confidence="high"), "line 3 (Confidence: 'high')"),
    (row(A, CAT, BOX, group="yes"), "line 3 (IsGroupOf: 'yes')"),
    (row(A, CAT, BOX, group=7), "line 3 (IsGroupOf: '7')"),
    (row(A, "", BOX), "line 3 (LabelName: '')"),
    (row("", CAT, BOX), "line 3 (ImageID: '')"),
    (f"{A},xclick,{CAT},1,0.25,0.7", "line 3 (YMin: '')"),
    (
      row(A, CAT, BOX) + row(B, CAT, BOX),
      "line 3 (a cell beyond the header: 'xclick')",
    ),
  ],
)
def test_a_damaged_row_is_skipped_with_its_line(tmp_path, images, text, told):
  rows = row(A, CAT, BOX), text, row(B, CAT, BOX)
  found = read(tmp_path, images, *rows, max_skipped_fraction=0.34)
  assert found.skipped == {"a damaged row": (told,)}
  np.testing.assert_array_equal(found.boxes, [[10, 10, 30, 20]] * 2)
  with pytest.raises(errors.UsageError) as caught:
    read(tmp_path, images, *rows)
  assert "1 of 3 boxes cannot be used" in str(caught.value)
  assert told.split(" (")[0] in str(caught.value)


def test_a_column_of_truth_values_does_not_become_numbers(tmp_path, images):
  rows = [row(A, CAT, (0, 0, "True", 1))] * 2
  with pytest.raises(
    errors.UsageError, match="2 skipped: a damaged row.*XMax: 'True'"
  ):
    read(tmp_path, images, *rows)


def test_boxes_in_pixels_are_not_clipped_to_the_whole_image(tmp_path, images):
  rows = [row(A, CAT, (0, 0, 30, 15))] * 2
  with pytest.raises(
    errors.UsageError, match=r"not in fractions .*'line 2 \(0,0,30,15\)'"
  ):
    read(tmp_path, images, *rows)


def test_damaged_lines_do_not_end_a_long_run(tmp_path, images, monkeypatch):
  monkeypatch.setattr(open_images_rows, "_BLOCK", 200)
  rows = []
  for number in range(60):
    rows.append(row(A, CAT, (0, 0, (number + 1) / 100, 1)))
    if number % 20 == 7:
      rows += ['"' + rows.pop(), "", "\0\0", "x" * 500, "," * 40]
  file = tmp_path / "train-bbox.csv"
  file.write_bytes(
    b"\r\n".join([HEADER.encode(), *map(str.encode, rows), b"\xff\xfe,"])
    + f"\r\n{B},xclick,{CAT},1,0.".encode()  # An interrupted download.
  )
  found = open_annotations.open_annotations(
    str(file), str(images), max_skipped_fraction=1.0
  )
  assert found.num_boxes == 60
  np.testing.assert_allclose(found.boxes[:, 2], np.arange(1, 61) * 0.4)
  last = len(rows) + 3
  assert found.skipped["a damaged row"][-1] == f"line {last} (YMin: '')"


def test_blank_lines_are_passed_over(tmp_path, images):
  found = read(tmp_path, images, "", row(A, CAT, BOX), "", "")
  assert found.num_boxes == 1 and not found.skipped


def test_boxes_of_photographs_are_turned_upright(tmp_path, images, caplog):
  exif = Image.Exif()
  exif[0x0112] = 6
  Image.new("RGB", (40, 20)).save(images / "turned.jpg", exif=exif)
  found = read(
    tmp_path, images, row("turned", CAT, (0.1, 0.2, 0.5, 0.6)), row(A, CAT, BOX)
  )
  expected = collector.Collector(str(images))
  expected.add_image("turned.jpg", 0, (40, 20))
  expected.add_box(0, (4, 4, 20, 12), 0, "box")
  expected = expected.build(
    source="mine", class_names=("x",), expected="", max_skipped_fraction=0
  )
  assert found.image_sizes.tolist() == [[20, 40], [40, 20]]
  np.testing.assert_allclose(found.boxes, [expected.boxes[0], [10, 10, 30, 20]])
  assert "1 of 2 images are annotated as stored" in caplog.text


def test_further_columns_any_order_and_quotes_are_read(tmp_path, images):
  file = written(
    tmp_path,
    row(A, CAT, BOX, rest="," + ",".join(["0.5"] * 8)),
    header=f"{HEADER},{CLICKS}",
  )
  found = open_annotations.open_annotations(file, str(images))
  np.testing.assert_array_equal(found.boxes, [[10, 10, 30, 20]])
  names = "YMax,YMin,XMax,XMin,IsGroupOf,Confidence,LabelName,ImageID"
  cells = ["1.0", "0.5", "0.75", "0.25", "0", "1", CAT, A]
  file = written(
    tmp_path,
    ",".join(f'"{cell}"' for cell in cells),
    header=",".join(f'"{name}"' for name in names.split(",")),
  )
  again = open_annotations.open_annotations(file, str(images))
  np.testing.assert_array_equal(again.boxes, found.boxes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_is_recognized_by_its_header_in_any_encoding(
  tmp_path, images, encoding
):
  file = tmp_path / "boxes.txt"
  file.write_text(f"{HEADER}\n{row(A, CAT, BOX)}\n", encoding=encoding)
  found = open_annotations.open_annotations(str(file), str(images))
  assert found.source == "Open Images boxes.txt" and found.num_boxes == 1


def test_a_manifest_remains_a_manifest(tmp_path, images):
  file = tmp_path / "validation-annotations-bbox.csv"
  file.write_text(f"path,label,xmin,ymin,xmax,ymax\n{A}.jpg,x,0,0,9,9\n")
  found = open_annotations.open_annotations(str(file), str(images))
  assert found.source.startswith("manifest")
  assert not open_images_csv.is_boxes(str(images))
  assert not open_images_csv.is_boxes(str(images / f"{A}.jpg"))


def test_missing_columns_and_a_missing_folder_are_named(tmp_path, images):
  header = "ImageID,Source,LabelName,Confidence"
  file = written(tmp_path, f"{A},verification,{CAT},1", header=header)
  with pytest.raises(
    errors.UsageError,
    match="no column XMin and no column XMax .*IsGroupOf; expected ImageID,",
  ):
    open_annotations.open_annotations(file, str(images))
  with pytest.raises(errors.UsageError, match="no folder of images was given"):
    open_annotations.open_annotations(file)


def test_an_unreadable_image_is_skipped_with_its_boxes(tmp_path, images):
  (images / f"{B}.jpg").write_text("no image")
  (images / f"train_0/{B}.jpg").unlink()
  rows = row(B, CAT, BOX), row(A, CAT, BOX), row(B, CAT, ("x", 0, 1, 1))
  found = read(tmp_path, images, *rows, max_skipped_fraction=0.5)
  assert found.image_ids == (A,) and found.num_boxes == 1
  assert found.skipped == {
    "an image without a readable size": (f"{B}.jpg",),
    "a row of a skipped image": (B, B),
  }


def test_one_of_several_images_of_an_id_is_read(tmp_path, images, caplog):
  Image.new("RGB", (40, 20)).save(images / f"{B}.png")
  found = read(tmp_path, images, row(B, CAT, BOX))
  assert found.images.name(0) == f"train_0/{B}.jpg"
  assert "several images have one ImageID (1 times)" in caplog.text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
