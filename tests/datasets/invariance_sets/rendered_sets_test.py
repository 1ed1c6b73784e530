import pathlib
import sys

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import (
  invariance_sets,
  rendered_sets,
)
from tf_ssl.rendering import invariance_plans, stills, synthetic, workers


def _make(cache_dir, invariance="viewpoint", **changes):
  arguments = {"num_sets": 12, "images_per_set": 3, "image_size": 16, "seed": 5}
  arguments.update(changes)
  return rendered_sets.rendered_sets(
    invariance, cache_dir=str(cache_dir), **arguments
  )


@pytest.mark.parametrize("invariance", invariance_sets.INVARIANCES)
def test_every_invariance_can_be_rendered(tmp_path, invariance):
  found = _make(tmp_path, invariance)
  assert found.invariance == invariance and found.source == "rendered"
  np.testing.assert_array_equal(found.sets, np.repeat(np.arange(12), 3))
  categories = np.repeat([*range(10), 0, 1], 3)
  np.testing.assert_array_equal(found.classes, categories)
  assert found.class_names == synthetic.CATEGORIES
  assert found.set_names[:2] == ("bottle 0", "cactus 1")
  assert found.set_names[11] == "cactus 11"
  assert (found.image_size, found.cropped, found.skipped) == (16, False, {})
  valued = invariance not in ("instance", "background")
  assert np.isfinite(found.factor).all() == valued == bool(found.factor_name)
  # Each file shows its planned factors.
  planned = invariance_plans.plan(
    invariance, 12, 3, seed=5, background="changing", tint_reach=1.0
  )
  for i in (0, 4, 35):
    member = planned[i // 3][i % 3]
    image = cv2.imread(found.images.path(i))[..., ::-1]
    expected = synthetic.render(member.factors, image_size=16, seed=5)
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(found.factor[i], member.value)
    if invariance == "position":
      place = member.factors.x, member.factors.y
      np.testing.assert_array_equal(found.targets[i], place)
    elif invariance == "scale":
      assert found.targets[i] == np.log(member.value)
    else:
      assert found.targets is None
    assert (
      found.images.sizes[i] == pathlib.Path(found.images.path(i)).stat().st_size
    )


def test_a_black_background_changes_only_the_background(tmp_path):
  # A bottle and a cactus: finer objects consist of edges only.
  sizes = {"num_sets": 2, "images_per_set": 2, "image_size": 48}
  usual = _make(tmp_path, "occlusion", background="fixed", **sizes)
  black = _make(tmp_path, "occlusion", background="black", **sizes)
  earlier = _make(tmp_path, "occlusion", black_background=True, **sizes)
  assert earlier.images.root == black.images.root
  assert black.images.root != usual.images.root
  np.testing.assert_array_equal(black.factor, usual.factor)
  planned = invariance_plans.plan("occlusion", 2, 2, seed=5)
  for i in range(4):
    shown = planned[i // 2][i % 2].factors
    mask = stills.render_with_mask(shown, image_size=48, seed=5).mask
    behind = cv2.imread(usual.images.path(i))[..., ::-1]
    nothing = cv2.imread(black.images.path(i))[..., ::-1]
    square = np.ones((5, 5))  # Edges are blends with what is behind.
    inside = cv2.erode(np.uint8(mask), square) > 0
    np.testing.assert_array_equal(nothing[inside], behind[inside])
    if shown.cover == 8:  # The occluder reaches beyond the object.
      outside = cv2.dilate(np.uint8(mask), square) == 0
      assert outside.any() and not nothing[outside].any()
      assert behind[outside].any()


@pytest.mark.parametrize("background", invariance_plans.BACKGROUNDS)
def test_the_background_of_each_image_is_known(tmp_path, background):
  sizes = {"num_sets": 2, "images_per_set": 3, "image_size": 48}
  found = _make(tmp_path, "viewpoint", background=background, **sizes)
  assert found.backgrounds.num_images == 71
  planned = invariance_plans.plan("viewpoint", 2, 3, 5, background=background)
  for i, number in enumerate(found.background_of):
    image = cv2.imread(found.images.path(i))
    alone = cv2.imread(found.backgrounds.path(number))
    shown = planned[i // 3][i % 3].factors
    mask = stills.render_with_mask(shown, image_size=48, seed=5).mask
    outside = cv2.dilate(np.uint8(mask), np.ones((5, 5))) == 0
    assert outside.any()
    np.testing.assert_array_equal(image[outside], alone[outside])
  assert alone.any() == (background != "black")
  kinds = len(set(found.background_of[:3].tolist()))
  assert kinds == (3 if background == "changing" else 1)


def test_the_color_of_the_light_reaches_as_far_as_asked(tmp_path):
  strong = _make(tmp_path, "illumination_colour")
  np.testing.assert_allclose(strong.factor[:3], [-1, 0, 1])
  weak = _make(tmp_path, "illumination_colour", tint_reach=0.8)
  np.testing.assert_allclose(weak.factor[:3], [-0.8, 0, 0.8])
  assert weak.images.root != strong.images.root
  # Earlier versions knew no other reach; their images are found.
  assert "tint" not in weak.images.root


def test_images_are_rendered_once(tmp_path, monkeypatch):
  first = _make(tmp_path, "scale")

  def never(*args, **kwargs):
    raise AssertionError("rendered again")

  monkeypatch.setattr(workers, "render", never)
  again = _make(tmp_path, "scale")
  assert again.images.root == first.images.root
  changes = [{"seed": 6}, {"num_sets": 11}, {"images_per_set": 4}]
  changes += [{"background": name} for name in ("fixed", "black")]
  for other in changes:
    with pytest.raises(AssertionError, match="rendered again"):
      _make(tmp_path, "scale", **other)


def test_a_damaged_image_is_rendered_again(tmp_path):
  found = _make(tmp_path)
  file = pathlib.Path(found.images.path(7))
  data = file.read_bytes()
  file.write_bytes(b"")
  assert pathlib.Path(_make(tmp_path).images.path(7)).read_bytes() == data


def test_occlusion_has_at_most_eight_levels(tmp_path):
  found = _make(tmp_path, "occlusion", num_sets=1, images_per_set=24)
  np.testing.assert_array_equal(found.factor, range(1, 9))
  assert found.class_names == ("bottle",)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"invariance": "time"}, "invariance='time': expected one of occlusion, "),
    (
      {"invariance": "background", "background": "black"},
      "background='black'.*invariance='background'",
    ),
    ({"background": "gray"}, "background='gray': expected one of changing, "),
    ({"tint_reach": 1.5}, "tint_reach=1.5: expected more than 0, at most 1"),
    ({"num_sets": 0}, "num_sets=0: expected 1 to 1000000; change num_sets"),
    ({"images_per_set": 0}, "images_per_set=0: expected 1 to"),
    ({"image_size": 8}, "image_size=8: expected 16 to 512"),
    ({"seed": -1}, "seed=-1: expected"),
  ],
)
def test_arguments_out_of_range_are_named(tmp_path, changes, message):
  with pytest.raises(errors.UsageError, match=message):
    _make(tmp_path, **changes)


def test_each_invariance_has_a_plan():
  assert tuple(invariance_plans.KINDS) == invariance_sets.INVARIANCES


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
