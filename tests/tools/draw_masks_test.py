"""The command that draws masks, and a batch with changed backgrounds."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import coco as reference

from tf_ssl.augment import background_change, recipes
from tf_ssl.datasets import image_folder
from tf_ssl.datasets.masks import object_masks
from tf_ssl.input_pipeline import view_batches
from tools import draw_masks


@pytest.fixture(name="coco")
def _coco(shared_data):
  folder = shared_data / "coco_mini"
  if not folder.is_dir():
    pytest.skip(f"needs real data in {folder}")
  return folder


def test_drawn_masks_change_the_background_of_real_images(
  coco, tmp_path, capsys
):
  file = coco / "annotations" / "instances_train2017.json"
  masks = tmp_path / "masks"
  words = [
    f"--annotations={file}",
    f"--images={coco / 'train2017'}",
    f"--output_dir={masks}",
  ]
  draw_masks.TOOL.call(words)
  printed = capsys.readouterr().out
  assert "skipped 8: a crowd, such as annotation" in printed
  records = object_masks.ObjectMasks(folder=str(masks)).attach(
    image_folder.read(str(coco / "train2017"))
  )
  index = reference.COCO(str(file))
  with_objects = {
    each["image_id"] for each in index.anns.values() if not each["iscrowd"]
  }
  names = [records.name(i) for i in range(records.num_images)]
  assert records.masks.known.tolist() == [
    int(name.removesuffix(".jpg")) in with_objects for name in names
  ]
  without = len(names) - len(with_objects)
  assert (f"{without} images have no object" in printed) == (without > 0)
  assert f"{len(with_objects)} masks, of which 0 were there" in printed
  # The pixels are those of pycocotools.
  number = int(names[0].removesuffix(".jpg"))
  objects = index.loadAnns(index.getAnnIds(number, iscrowd=False))
  expected = np.max([index.annToMask(each) for each in objects], axis=0)
  mask = np.asarray(Image.open(os.fsdecode(records.masks.files[0])))
  np.testing.assert_array_equal(mask, 255 * expected)

  [plain], [changed] = (
    list(
      view_batches.view_batches(
        records,
        recipe=recipes.moco_v2(),
        image_size=32,
        batch_size=16,
        seed=0,
        num_steps=1,
        finish_views=False,
        change=change,
      )
    )
    for change in (None, background_change.BackgroundChange(probability=1.0))
  )
  for before, after in zip(plain, changed, strict=True):
    moved = (before.numpy() != after.numpy()).any(-1)
    # Parts of the view change, and parts are the object's.
    assert 0.1 < moved.mean() < 0.9
  draw_masks.TOOL.call(words)
  assert f"of which {len(with_objects)} were there" in capsys.readouterr().out


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, capsys):
  (tmp_path / "images").mkdir()
  file = tmp_path / "boxes.json"
  file.write_text(
    json.dumps({"images": [], "categories": [], "annotations": []})
  )
  with pytest.raises(SystemExit) as end:
    draw_masks.TOOL.run(
      [
        f"--annotations={file}",
        f"--images={tmp_path / 'images'}",
        f"--output_dir={tmp_path / 'masks'}",
      ]
    )
  assert end.value.code == 2
  message = capsys.readouterr().err
  assert message.count("\n") == 1 and message.startswith("draw_masks: ")
  assert "no images in" in message


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
