"""The gin fragments of multi-crop, after the configs they are for."""

import sys

import pytest

from tf_ssl.augment import multi_crop, recipes
from tf_ssl.methods import emp_ssl, moco, pirl, simclr
from tf_ssl.methods import multi_crop as methods
from tf_ssl.training import settings as settings_lib
from tools._cli import gin_files, gin_runs

IMAGES = ["IMAGES='photos'", "LABELLED_IMAGES=None"]
BINDINGS = [
  *IMAGES,
  "CROPS=3",
  "CROP_SIZE=16",
  "CROP_AREA=(0.1, 0.4)",
  "CROP_WEIGHT=0.5",
]


def configured(files, bindings):
  with gin_runs._own_config():
    gin_files.load([f"gin_configs/{name}.gin" for name in files], bindings)
    settings = gin_files.configured(settings_lib.Pretraining)()
    setup = methods.base.Setup(num_images=9000, batch_size=64, image_size=24)
    return settings, settings.method(setup)


@pytest.mark.parametrize(
  "config, fragment, plain, ours",
  [
    ("moco_v2", "multi_crop", moco.MoCo, methods.MultiCropMoCo),
    ("simclr", "multi_crop_simclr", simclr.SimClr, methods.MultiCropSimClr),
    ("pirl", "multi_crop_pirl", pirl.Pirl, methods.MultiCropPirl),
  ],
)
def test_a_fragment_adds_crops_and_leaves_the_rest(
  config, fragment, plain, ours
):
  config = f"pretrain/{config}_cifar10"
  before, method = configured([config], IMAGES)
  after, with_crops = configured([config, f"base/{fragment}"], BINDINGS)
  assert type(method) is plain and type(with_crops) is ours
  assert with_crops.crop_weight == 0.5
  assert with_crops.temperature == method.temperature
  *full, crops = after.recipe
  views = before.recipe if plain is pirl.Pirl else [before.recipe]
  assert full == list(views)
  first = full[0]
  window = first.crop._replace(area=(0.1, 0.4))
  expected = multi_crop.MultiCrop(first._replace(crop=window, size=16), 3)
  assert crops == expected
  assert after.steps == before.steps and after.optimizer == before.optimizer


def test_the_crops_can_have_another_photometry_than_the_views():
  settings, _ = configured(
    ["pretrain/moco_v2_cifar10", "base/multi_crop"],
    [*BINDINGS, "crops/recipes.moco_v2.jitter_strength=0.0"],
  )
  full, crops = settings.recipe
  assert full.jitter.hue == 0.1 and crops.recipe.jitter.hue == 0.0


def test_emp_ssl_sees_a_quarter_of_an_image_in_each_crop():
  settings, method = configured(["pretrain/emp_ssl_cifar10"], IMAGES)
  assert type(method) is emp_ssl.EmpSsl
  crops = settings.recipe
  assert isinstance(crops, multi_crop.MultiCrop)
  assert isinstance(crops.recipe, recipes.Recipe)
  assert crops.crop.area == (0.25, 0.25) and crops.crop.aspect == (1.0, 1.0)
  assert crops.crop_size(settings.image_size) == settings.image_size == 16


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
