"""The gin fragments of croppers, after the configs they are for."""

import json
import sys

import gin
import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.augment import background_change, croppers
from tf_ssl.datasets.annotations import known_objects
from tf_ssl.datasets.masks import object_masks
from tf_ssl.training import attention_boxes, metrics_log
from tf_ssl.training import settings as settings_lib
from tools import train
from tools._cli import gin_files, gin_runs

BOXES = ["BOXES='boxes.csv'", "BOX_MIN_AREA=0.02"]
_PATCH_SIDES = ("cell_size=6", "patch_size=4")  # Of views of 16 px.
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


@pytest.fixture(name="photos")
def _photos(tmp_path):
  """Photos with boxes and masks, and a folder of others."""
  rng = np.random.default_rng(0)
  for name in ("photos/a.png", "photos/b.png", "others/z.png", "masks/z.png"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    pixels = rng.integers(0, 256, size=[20, 40, 3], dtype=np.uint8)
    Image.fromarray(pixels).save(path)
  (tmp_path / "boxes.csv").write_text(
    "path,xmin,ymin,xmax,ymax\na.png,0,0,20,10\nb.png,10,5,30,20\n"
  )
  yield tmp_path
  gin.clear_config()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["simclr", "pirl"])
@pytest.mark.parametrize(
  "fragment, bindings",
  [
    ("contrastive", ["BOX_RENEWALS=1"]),
    ("object_aware", ["BOXES='{}/boxes.csv'"]),
    ("same_object", ["BOXES='{}/boxes.csv'"]),
    ("box_scale", ["BOXES='{}/boxes.csv'"]),
  ],
)
def test_other_methods_train_with_the_crops_of_a_fragment(
  photos, method, fragment, bindings
):
  values = [
    f"IMAGES='{photos}/photos'",
    "IMAGE_SIZE=16",
    "BATCH_SIZE=2",
    "STEPS=2",
    "resnet.resnet18.width=0.0625",
    "resnet.resnet18.stem='small'",
    "settings.Pretraining.monitors=()",
    *(binding.format(photos) for binding in bindings),
  ]
  if method == "pirl":
    values += [f"jigsaw.pirl_patches.{side}" for side in _PATCH_SIDES]
  run = photos / "run"
  train.TOOL.run(
    [
      f"--gin_file=gin_configs/pretrain/{method}_folder.gin",
      f"--gin_file=gin_configs/base/crops_{fragment}.gin",
      f"--model_dir={run}",
      *(f"--gin_bindings={value}" for value in values),
    ]
  )
  record = json.loads((run / "run.json").read_text())
  assert record["examples_without_boxes"] == 0
  log = metrics_log.read(run / "metrics.jsonl")
  assert np.isfinite([each["loss"] for each in log if "loss" in each]).all()
  assert log[-1]["step"] == 2


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


@pytest.mark.parametrize(
  "fragment, images, bindings, message",
  [
    (
      "crops_same_object",
      "others",
      ["BOXES='{}/boxes.csv'"],
      "relative to '{}/others' (BOX_IMAGES)",
    ),
    (
      "crops_box_scale",
      "others",
      ["BOXES='{}/boxes.csv'", "BOX_IMAGES='{}/photos'"],
      "none of its 2 images, such as",
    ),
    ("crops_box_scale", "photos", ["BOXES='{}/gone.csv'"], "gone.csv"),
    (
      "crops_object_aware",
      "photos",
      ["BOXES='{}/boxes.csv'", "BOX_MIN_AREA=0.9"],
      "lower BOX_MIN_AREA",
    ),
    (
      "crops_same_object",
      "photos",
      ["BOXES='{}/boxes.csv'", "CROP_SHARE=2.0"],
      "SameObjectCrop.share=2.0",
    ),
    (
      "crops_contrastive",
      "photos",
      ["BOX_THRESHOLD=1.0"],
      "AttentionBoxes.threshold=1.0",
    ),
    ("background_change", "photos", ["MASKS='{}/masks'"], "has a mask"),
    ("background_change", "photos", ["MASKS='{}/gone'"], "gone"),
  ],
)
def test_a_run_with_boxes_that_do_not_fit_ends_in_one_line(
  photos, capsys, fragment, images, bindings, message
):
  values = [f"IMAGES='{photos}/{images}'", "BATCH_SIZE=1", *bindings]
  with pytest.raises(SystemExit) as end:
    train.TOOL.run(
      [
        "--gin_file=gin_configs/pretrain/moco_v2_folder.gin",
        f"--gin_file=gin_configs/base/{fragment}.gin",
        f"--model_dir={photos / 'run'}",
        *(f"--gin_bindings={v.format(photos)}" for v in values),
      ]
    )
  assert end.value.code == 2
  lines = capsys.readouterr().err.strip().splitlines()
  assert message.format(photos) in lines[-1]
  assert sum(line.startswith("train: ") for line in lines) == 1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
