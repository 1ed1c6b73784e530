"""The command that finds objects, and the boxes that training reads."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets.annotations import known_objects
from tools import find_objects


@pytest.fixture(name="folder")
def _folder(tmp_path):
  folder = tmp_path / "photos"
  (folder / "sub").mkdir(parents=True)
  rng = np.random.default_rng(0)
  for name, x in (("a.png", 12), ("sub/b.png", 50)):
    image = rng.normal(120, 4, [64, 96, 3])
    image[20:50, x : x + 30] = (220, 40, 30)
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name)
  Image.new("RGB", (40, 30), "red").save(folder / "flat.png")
  (folder / "broken.png").write_bytes(b"no image")
  return folder


def test_training_reads_the_boxes_that_were_found(folder, tmp_path, capsys):
  words = [
    f"--images={folder}",
    f"--output_dir={tmp_path / 'out'}",
    "--max_skipped_fraction=0.5",
  ]
  find_objects.TOOL.call(words)
  printed = capsys.readouterr().out
  assert "skipped broken.png" in printed and "1 have none" in printed
  file = tmp_path / "out" / "boxes.csv"
  text = file.read_text()
  find_objects.TOOL.call([*words, "--max_boxes=1"])
  assert file.read_text().count("\n") <= text.count("\n")
  records = known_objects.KnownObjects(annotations=str(file)).attach(
    image_folder.read(str(folder))
  )
  names = [records.name(i) for i in range(records.num_images)]
  counts = dict(zip(names, np.diff(records.objects.offsets), strict=True))
  assert counts["flat.png"] == counts["broken.png"] == 0
  for name, x in (("a.png", 12), ("sub/b.png", 50)):
    assert counts[name] == 1
    box = records.objects.boxes[records.objects.offsets[names.index(name)], 0]
    y0, x0, y1, x1 = box * [64, 96, 64, 96]
    assert abs(x0 - x) < 8 and abs(x1 - x - 30) < 8
    assert abs(y0 - 20) < 8 and abs(y1 - 50) < 8


def test_mistakes_are_named(folder, tmp_path):
  words = [f"--images={folder}", f"--output_dir={tmp_path / 'out'}"]
  with pytest.raises(errors.UsageError, match="broken.png"):
    find_objects.TOOL.call(words)
  with pytest.raises(errors.UsageError, match="max_boxes=0"):
    find_objects.TOOL.call([*words, "--max_boxes=0"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
