"""Tests of tf_ssl.training.monitors.base: what a run hands to its monitors."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from tf_ssl import batches, errors
from tf_ssl.augment import jigsaw, multi_crop, recipes
from tf_ssl.datasets import open_images
from tf_ssl.training.monitors import base


@pytest.fixture(name="records")
def fixture_records(tmp_path):
  rng = np.random.default_rng(0)
  for i in range(20):
    image = rng.integers(0, 256, [18, 18, 3], np.uint8)
    Image.fromarray(image).save(tmp_path / f"{i}.png")
  return open_images.open_images(str(tmp_path))


def _method(view_type):
  return types.SimpleNamespace(view_type=view_type, encoder=None)


def test_the_probe_is_a_fixed_batch_of_pairs(records, make_context):
  values = {"records": records, "recipe": recipes.moco_v2(), "image_size": 16}
  context = make_context(_method(batches.ImagePair), **values)
  assert context.probe.query.shape == context.probe.key.shape == (20, 16, 16, 3)
  assert not np.array_equal(context.probe.query, context.probe.key)
  assert context.sample is context.probe
  again = make_context(_method(batches.ImagePair), **values)
  np.testing.assert_array_equal(again.probe.query, context.probe.query)


def test_the_sample_has_the_views_of_the_method(records, make_context):
  patches = jigsaw.pirl_patches(patch=recipes.pirl(), cell_size=6, patch_size=4)
  context = make_context(
    _method(batches.JigsawPair),
    records=records,
    recipe=(recipes.pirl(), patches),
    image_size=18,
  )
  assert isinstance(context.sample, batches.JigsawPair)
  assert context.sample[1].shape == (16, 9, 4, 4, 3)
  assert isinstance(context.probe, batches.ImagePair)


@pytest.mark.parametrize("view_type", [batches.MultiCropPair, batches.Crops])
def test_the_probe_has_no_small_crops_but_the_sample_has(
  records, make_context, view_type
):
  full = recipes.moco_v2(blur_probability=0.0)
  crops = multi_crop.crops(recipe=full, number=3, size=8)
  recipe = crops if view_type is batches.Crops else (full, crops)
  context = make_context(
    _method(view_type),
    records=records,
    recipe=recipe,
    image_size=16,
  )
  side = 8 if view_type is batches.Crops else 16
  assert isinstance(context.probe, batches.ImagePair)
  assert context.probe.query.shape[1:] == (side, side, 3)
  assert context.sample.crops.shape[1:] == (3, 8, 8, 3)


def test_sources_may_be_functions():
  assert base.located("photos/") == base.located(lambda: "photos/") == "photos/"


@pytest.mark.parametrize("every", [-1, True, 2.5, None])
def test_a_period_is_a_number_of_steps(every):
  with pytest.raises(errors.UsageError, match=f"every={every}"):
    base.check_every(every)
  assert base.check_every(0) == 0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
