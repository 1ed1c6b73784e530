"""The command that writes the three training sets, on real annotations."""

import json
import sys

import pytest
from PIL import Image

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
