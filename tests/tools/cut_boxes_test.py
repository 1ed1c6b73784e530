"""The command that writes the three training sets, on real annotations."""

import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tools import cut_boxes


def call(*words):
  cut_boxes.TOOL.call([str(word) for word in words])


def test_the_three_training_sets_of_real_data(shared_data, tmp_path, capsys):
  coco = shared_data / "coco"
  call(
    f"--annotations={coco}/annotations/instances_train2017.json",
    f"--images={coco}/train2017",
    f"--output_dir={tmp_path}/boxes",
    "--format=tfrecord",
    "--min_size=64",
    "--match_to=100",
  )
  call(
    f"--subset_of={shared_data}/imagenette/val",
    f"--match_to={tmp_path}/boxes",
    f"--output_dir={tmp_path}/objects",
  )
  call(
    f"--subset_of={coco}/train2017",
    f"--match_to={tmp_path}/boxes",
    f"--output_dir={tmp_path}/scenes",
  )
  for name in ("boxes", "objects", "scenes"):
    found = open_images.open_images(str(tmp_path / name))
    assert found.num_images == 100
  summary = json.loads((tmp_path / "boxes/summary.json").read_text())
  assert summary["left_out"]["a crowd"] == 10
  assert "--min_size=64" in summary["command"]
  assert "100 pictures, 0 skipped" in capsys.readouterr().out
  labeled = open_images.open_images(str(tmp_path / "objects"), labeled=True)
  assert len(labeled.class_names) == 10


@pytest.mark.parametrize("stored", [False, True])
def test_cuts_of_photographs_show_the_object(tmp_path, stored):
  """In all orientations, annotated upright or, if it differs, as stored."""
  images, boxes = [], []
  (tmp_path / "images").mkdir()
  for number in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = number
    picture = Image.new("RGB", (64, 48), (0, 0, 255))
    picture.paste((255, 0, 0), (4, 8, 24, 20))
    name = f"{number}.jpg"
    picture.save(tmp_path / "images" / name, exif=exif, quality=95)
    width, height = picture.size
    x, y, right, bottom = 4, 8, 24, 20
    if not stored or number < 5:
      picture.getexif()[0x0112] = number
      upright = np.asarray(ImageOps.exif_transpose(picture))
      height, width = upright.shape[:2]
      ys, xs = np.nonzero(upright[..., 0])
      x, y, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    images.append(
      {"id": number, "file_name": name, "width": width, "height": height}
    )
    boxes.append(
      {
        "image_id": number,
        "category_id": 1,
        "bbox": [int(x), int(y), int(right - x), int(bottom - y)],
      }
    )
  content = {"images": images, "annotations": boxes}
  content["categories"] = [{"id": 1, "name": "red"}]
  (tmp_path / "a.json").write_text(json.dumps(content))
  call(
    f"--annotations={tmp_path}/a.json",
    f"--images={tmp_path}/images",
    f"--output_dir={tmp_path}/out",
    "--min_size=8",
    "--margin=0",
  )
  written = sorted((tmp_path / "out/red").iterdir())
  assert len(written) == 8
  for file in written:
    pixels = np.asarray(Image.open(file)).astype(int)
    assert sorted(pixels.shape[:2]) == [12, 20]
    assert pixels[2:-2, 2:-2, 0].min() > 200, file
    assert pixels[2:-2, 2:-2, 2].max() < 60, file


@pytest.mark.parametrize(
  "words, message",
  [
    ([], "expected either --annotations"),
    (["--annotations=a", "--subset_of=b"], "expected either --annotations"),
    (["--subset_of=IMAGES"], "--subset_of needs --match_to"),
    (["--subset_of=IMAGES", "--match_to=5"], "1 to 1"),
    (["--subset_of=IMAGES", "--match_to=none"], "change --match_to$"),
    (["--subset_of=none", "--match_to=5"], "; change --subset_of$"),
    (["--annotations=none.json"], "none.json.*--annotations"),
    (["--subset_of=IMAGES", "--match_to=1", "--format=zip"], "format='zip'"),
  ],
)
def test_mistakes_are_named(tmp_path, words, message):
  (tmp_path / "images").mkdir()
  Image.new("RGB", (8, 8)).save(tmp_path / "images/a.png")
  words = [word.replace("IMAGES", str(tmp_path / "images")) for word in words]
  with pytest.raises(errors.UsageError, match=message):
    call(f"--output_dir={tmp_path}/out", *words)


def test_bad_input_ends_with_code_2(tmp_path, capsys):
  with pytest.raises(SystemExit) as end:
    cut_boxes.TOOL.run([f"--output_dir={tmp_path}/out"])
  assert end.value.code == 2
  assert len(capsys.readouterr().err.strip().splitlines()) == 1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
