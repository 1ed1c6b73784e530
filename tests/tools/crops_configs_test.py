"""The gin fragments of croppers, after the configs they are for."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.augment import background_change, croppers
from tf_ssl.datasets.annotations import known_objects
from tf_ssl.datasets.masks import object_masks
from tf_ssl.training import attention_boxes
from tf_ssl.training import settings as settings_lib
from tools._cli import gin_files, gin_runs

BOXES = ["BOXES='boxes.csv'", "BOX_MIN_AREA=0.02"]
KNOWN = known_objects.KnownObjects(annotations="boxes.csv", min_area=0.02)


def configured(files, bindings):
  with gin_runs._own_config():
    gin_files.load(
      [f"gin_configs/{name}.gin" for name in files],
      ["IMAGES='photos'", *bindings],
    )
    return gin_files.configured(settings_lib.Pretraining)()


@pytest.mark.parametrize("method", ["moco_v2", "simclr", "pirl"])
@pytest.mark.parametrize(
  "fragment, bindings, cropper, boxes",
  [
    (
      "contrastive",
      ["CROP_ALPHA=0.1"],
      croppers.ContrastiveCrop(alpha=0.1),
      attention_boxes.AttentionBoxes(),
    ),
    (
      "object_aware",
      [*BOXES, "CROP_SCENE=True"],
      croppers.ObjectAwareCrop(scene=True),
      KNOWN,
    ),
    (
      "same_object",
      [*BOXES, "CROP_SHARE=0.3"],
      croppers.SameObjectCrop(share=0.3),
      KNOWN,
    ),
    (
      "box_scale",
      [*BOXES, "CROP_CONTEXT=(0.0, 0.5)"],
      croppers.BoxScaleCrop(context=(0.0, 0.5)),
      KNOWN,
    ),
  ],
)
def test_a_fragment_adds_its_cropper_and_leaves_the_rest(
  method, fragment, bindings, cropper, boxes
):
  plain = configured([f"pretrain/{method}_folder"], [])
  found = configured(
    [f"pretrain/{method}_folder", f"base/crops_{fragment}"], bindings
  )
  assert plain.cropper is None and plain.boxes is None
  assert found.cropper == cropper and found.boxes == boxes
  assert found.recipe == plain.recipe and found.steps == plain.steps


def test_another_cropper_can_use_the_boxes_of_the_encoder():
  found = configured(
    ["pretrain/moco_v2_folder", "base/crops_contrastive"],
    ["settings.Pretraining.cropper=@croppers.ObjectAwareCrop()"],
  )
  assert found.cropper == croppers.ObjectAwareCrop()
  assert found.renews_boxes
  assert len(found.timeline.parts) == 5


def test_a_background_change_goes_beside_a_cropper():
  found = configured(
    [
      "pretrain/pirl_folder",
      "base/crops_same_object",
      "base/background_change",
    ],
    [*BOXES, "MASKS='masks'", "BACKGROUND_PROBABILITY=0.25"],
  )
  assert found.cropper == croppers.SameObjectCrop()
  assert found.masks == object_masks.ObjectMasks(folder="masks")
  assert found.background_change == background_change.BackgroundChange(
    probability=0.25
  )


def test_tracked_objects_replace_the_images():
  found = configured(
    ["pretrain/moco_v2_folder", "base/crops_tracked_object"],
    ["IMAGES=@region_tracks.tracked_objects", "TRACKS='tracks'"],
  )
  assert callable(found.images) and found.boxes is None
  assert found.cropper == croppers.SameObjectCrop()


def test_boxes_must_be_given():
  with pytest.raises(errors.UsageError, match="BOXES must be set"):
    configured(["pretrain/moco_v2_folder", "base/crops_same_object"], [])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
