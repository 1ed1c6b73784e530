"""The command that diagnoses a dataset: with boxes, without, and mistakes."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tools import diagnose_dataset


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  """Twelve pictures of 96 x 64, each with a square; boxes as COCO's JSON."""
  (tmp_path / "images").mkdir()
  rng = np.random.default_rng(0)
  images, boxes = [], []
  for i in range(12):
    image = rng.normal(120, 4, [64, 96, 3])
    image[20:50, 10 + i : 50 + i] = (220, 40, 30)
    name = f"{i}.png"
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(
      tmp_path / "images" / name
    )
    images.append({"id": i, "file_name": name, "width": 96, "height": 64})
    boxes.append(
      {"id": i, "image_id": i, "category_id": 1, "bbox": [10 + i, 20, 40, 30]}
    )
  content = {
    "images": images,
    "categories": [{"id": 1, "name": "square"}],
    "annotations": boxes,
  }
  (tmp_path / "boxes.json").write_text(json.dumps(content))
  return tmp_path


def call(data, *words):
  diagnose_dataset.TOOL.call([f"--output_dir={data}/out", *words])
  return json.loads((data / "out" / "diagnosis.json").read_text())


def test_boxes_are_diagnosed(data, capsys):
  found = call(
    data,
    f"--images={data}/images",
    f"--annotations={data}/boxes.json",
    "--area=0.1,0.5",
    "--pairs=8",
    "--min_inside=0.75",
    "--max_images=10",
  )
  assert found["settings"] == {
    "area": [0.1, 0.5],
    "aspect": [0.75, 4 / 3],
    "pairs_per_image": 8,
    "view_size": 224,
    "min_inside": 0.75,
    "min_filled": 0.5,
    "seed": 0,
  }
  assert found["images"][0]["images"] == 10
  assert found["images"][0]["objects"] == 1
  assert "diagnose_dataset" in found["command"]
  printed = capsys.readouterr().out
  for sentence in found["sentences"]:
    assert sentence in printed
  assert f"report: {data}/out/report.html" in printed


def test_without_boxes_it_is_an_estimate(data, capsys):
  found = call(data, f"--images={data}/images", "--pairs=4")
  assert found["estimate"].startswith("objects are")
  assert found["images"][0]["largest_area"] == pytest.approx(
    40 * 30 / (96 * 64), rel=0.3
  )
  assert capsys.readouterr().out.count("ESTIMATE") == 4


@pytest.mark.parametrize(
  "words, message",
  [
    ([], "neither images nor annotations were given"),
    (["--images=DATA/none"], "none.*; change --images$"),
    (
      ["--images=DATA/images", "--annotations=DATA/none"],
      "none.*--annotations",
    ),
    (["--annotations=DATA/boxes.json"], "--images=FOLDER"),
    (
      ["--images=DATA/images", "--annotations=DATA/boxes.json", "--area=2"],
      "area='2'",
    ),
    (
      ["--images=DATA/images", "--annotations=DATA/boxes.json", "--pairs=0"],
      "pairs=0",
    ),
    (
      [
        "--images=DATA/images",
        "--annotations=DATA/boxes.json",
        "--encoder=x",
      ],
      "leave --encoder out",
    ),
    (["--images=DATA/images", "--encoder=DATA"], "not a SavedModel"),
  ],
)
def test_mistakes_are_named(data, words, message):
  words = [word.replace("DATA", str(data)) for word in words]
  with pytest.raises(errors.UsageError, match=message):
    call(data, *words)


@pytest.mark.parametrize(
  "rows, change, message",
  [
    ("annotations", None, "0 boxes in 12 images"),
    (
      "annotations",
      {"category_id": 9},
      "(category 9)",
    ),
    (
      "images",
      {"file_name": "gone.png"},
      "(12 skipped: no such image, such as 'gone.png')",
    ),
  ],
)
def test_bad_annotations_are_one_line_and_exit_code_2(
  data, capsys, rows, change, message
):
  content = json.loads((data / "boxes.json").read_text())
  content[rows] = [row | change for row in content[rows] if change]
  (data / "boxes.json").write_text(json.dumps(content))
  with pytest.raises(SystemExit) as end:
    diagnose_dataset.TOOL.run(
      [
        f"--images={data}/images",
        f"--annotations={data}/boxes.json",
        f"--output_dir={data}/out",
      ]
    )
  assert end.value.code == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert message in line and not (data / "out").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
