"""A change of background in the pipeline, alone and beside a cropper."""

import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import batches as batches_lib
from tf_ssl import errors
from tf_ssl.augment import background_change, croppers, recipes
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.masks import object_masks
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.input_pipeline import view_batches

_COUNT = 6


@pytest.fixture(name="records", scope="module")
def _records(tmp_path_factory):
  """Red objects on backgrounds whose green is the image's; 5 has no mask."""
  folder = tmp_path_factory.mktemp("data")
  for name in ("images", "masks"):
    (folder / name).mkdir()
  for number in range(_COUNT):
    image = np.full([32, 40, 3], (0, 40 * number, 0), np.uint8)
    mask = np.zeros([32, 40], np.uint8)
    x = 3 * number
    image[8:24, x : x + 20] = (250, 0, 0)
    mask[8:24, x : x + 20] = number + 1
    Image.fromarray(image).save(folder / "images" / f"{number}.png")
    if number < 5:
      Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
  return object_masks.ObjectMasks(folder=str(folder / "masks")).attach(
    image_folder.read(str(folder / "images"))
  )


def batches(records, change, **options):
  values = {
    "recipe": recipes.moco_v2(),
    "image_size": 16,
    "batch_size": 6,
    "seed": 0,
    "num_steps": 2,
    "finish_views": False,
    "change": change,
    **options,
  }
  return list(view_batches.view_batches(records, **values))


def test_the_images_know_their_masks(records):
  assert records.masks.known.tolist() == [True] * 5 + [False]


def test_objects_stay_where_they_are_and_backgrounds_are_of_others(records):
  plain = batches(records, None)
  always = background_change.BackgroundChange(probability=1.0, min_object=0.02)
  changed = batches(records, always)
  moved = 0
  for before, after in zip(plain, changed, strict=True):
    for old, new in zip(before, after, strict=True):
      old, new = old.numpy().astype(int), new.numpy().astype(int)
      for one, other in zip(old, new, strict=True):
        red = one[..., 0] > 240
        green = np.median(one[~red][:, 1]) if (~red).any() else 0
        # The object is what it was, at the same place.
        assert (np.abs(one[red] - other[red]) <= 8).all()
        if green > 190 or red.mean() < 0.04:
          np.testing.assert_array_equal(one, other)  # No mask, or no object.
          continue
        free = one[..., 0] < 10
        moved += (np.abs(one[free] - other[free]).max(1) > 20).sum()
  assert moved > 200


def test_batches_depend_on_seed_and_step_alone_also_with_a_cropper(records):
  change = background_change.BackgroundChange(probability=0.5)
  objects = records_lib.Objects(
    np.arange(_COUNT + 1),
    np.tile(np.float32([0.25, 0.2, 0.75, 0.7]), [_COUNT, 1, 1]),
  )
  records = records._replace(objects=objects)
  cropper = croppers.SameObjectCrop()
  _, last = batches(records, change, cropper=cropper)
  [again] = batches(records, change, cropper=cropper, start_step=1)
  [part] = batches(
    records,
    change,
    cropper=cropper,
    start_step=1,
    share=view_batches.Share(1, 3),
  )
  for view, same, cut in zip(last, again, part, strict=True):
    np.testing.assert_array_equal(view, same)
    np.testing.assert_array_equal(view[2:4], cut)


def test_a_damaged_file_costs_no_image_but_its_own(records, tmp_path):
  folder = shutil.copytree(records.root, tmp_path / "images")
  masks = shutil.copytree(
    os.path.dirname(os.fsdecode(records.masks.files[0])), tmp_path / "masks"
  )
  (folder / "3.png").write_bytes(b"")
  (masks / "1.png").write_bytes((masks / "1.png").read_bytes()[:60])
  damaged = image_folder.read(str(folder))
  damaged = object_masks.ObjectMasks(folder=str(masks)).attach(damaged)
  skipped = skipped_lib.SkippedFiles(None, _COUNT, max_fraction=0.5)
  change = background_change.BackgroundChange(probability=1.0, min_object=0.0)
  batches(damaged, change, skipped=skipped, num_steps=8)
  assert sorted(skipped.reasons) == ["1.png", "3.png"]
  assert skipped.reasons["1.png"].startswith("its mask: truncated")
  assert skipped.reasons["3.png"] == "empty file"


def test_a_later_mask_of_another_size_skips_its_image(
  records, tmp_path, monkeypatch
):
  monkeypatch.setattr(object_masks, "_CHECKED", 2)
  masks = shutil.copytree(
    os.path.dirname(os.fsdecode(records.masks.files[0])), tmp_path / "masks"
  )
  # Objects everywhere: changed views of image 3 would show no background.
  Image.new("L", (80, 64), 1).save(masks / "3.png")
  other = object_masks.ObjectMasks(folder=str(masks)).attach(records)
  skipped = skipped_lib.SkippedFiles(None, _COUNT, max_fraction=0.5)
  change = background_change.BackgroundChange(probability=1.0, min_object=0.0)
  seen = batches(
    other,
    change,
    skipped=skipped,
    num_steps=4,
    view_type=batches_lib.IndexedImage,
  )
  assert skipped.reasons == {"3.png": "its mask: 80x64 px, but the image 40x32"}
  indices = np.concatenate([batch.index for batch in seen])
  assert len(indices) == 4 * 6 and 3 not in indices


def test_masks_of_other_images_are_refused(records, tmp_path):
  Image.new("L", (4, 4)).save(tmp_path / "other.png")
  masks = object_masks.ObjectMasks(folder=str(tmp_path))
  with pytest.raises(errors.UsageError, match="has a mask"):
    masks.attach(records)
  Image.new("L", (4, 4)).save(tmp_path / "0.png")
  with pytest.raises(errors.UsageError, match="4.*its image '0.png'"):
    masks.attach(records)
  pairs = records._replace(examples=records_lib.Examples(np.array([[0, 1]])))
  with pytest.raises(errors.UsageError, match="MASKS"):
    masks.attach(pairs)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
