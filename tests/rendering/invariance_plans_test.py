import sys

import cv2
import numpy as np
import pytest

from tf_ssl.rendering import factors, invariance_plans, stills

_VARY = {
  "occlusion": {"cover"},
  "viewpoint": {"azimuth"},
  "illumination_direction": {"light_azimuth"},
  "illumination_colour": {"light_color"},
  "instance": {"instance"},
  "instance_viewpoint": {"instance", "azimuth"},
  "background": {"background"},
  "position": {"x", "y"},
  "scale": {"scale"},
  "rotation": {"roll"},
}
_SIZE = 48


def _rendered(invariance, *, number, count=6):
  """The members of a set of category `number`, and their stills."""
  members = invariance_plans.plan(invariance, 10, count, seed=4)[number]
  return members, [
    stills.render_with_mask(member.factors, image_size=_SIZE, seed=4)
    for member in members
  ]


def _near(mask):
  """The mask, extended by two pixels, where edges are soft."""
  return cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) > 0


def _same(images, where):
  return all((image[where] == images[0][where]).all() for image in images[1:])


@pytest.mark.parametrize("invariance", invariance_plans.KINDS)
def test_only_the_factor_varies_within_a_set(invariance):
  for members in invariance_plans.plan(invariance, 20, 7, seed=1):
    assert len(members) == 7
    varying = {
      name
      for name in factors.Factors._fields
      if len({getattr(member.factors, name) for member in members}) > 1
    }
    assert varying == _VARY[invariance]
    for member in members:
      factors.check(member.factors)


@pytest.mark.parametrize("invariance", invariance_plans.KINDS)
def test_a_set_depends_on_seed_and_number_only(invariance):
  few = invariance_plans.plan(invariance, 3, 5, seed=1)
  many = invariance_plans.plan(invariance, 12, 5, seed=1)
  other = invariance_plans.plan(invariance, 3, 5, seed=2)
  shown = [
    [[m.factors for m in s] for s in sets] for sets in (few, many, other)
  ]
  assert shown[0] == shown[1][:3] != shown[2]


@pytest.mark.parametrize("invariance", invariance_plans.KINDS)
def test_sets_and_splits_share_no_instance(invariance):
  seen = set()
  for members in invariance_plans.plan(invariance, 40, 5, seed=0):
    instances = {(m.factors.category, m.factors.instance) for m in members}
    assert not instances & seen
    assert min(number for _, number in instances) >= 3 * factors.POOL
    seen |= instances


def test_occlusion_hides_more_and_more_of_one_picture():
  members, shown = _rendered("occlusion", number=4, count=24)
  assert [member.value for member in members] == list(range(1, 9))
  free = shown[-1]
  for member, seen in zip(members, shown, strict=True):
    np.testing.assert_array_equal(seen.mask, free.mask)
    part = seen.visible.sum() / seen.mask.sum()
    assert part == pytest.approx(member.value / 8, abs=1 / seen.mask.sum())
  hidden = [np.any(seen.image != free.image, axis=-1) for seen in shown]
  # The occluder grows; uncovered pixels stay.
  for larger, smaller in zip(hidden, hidden[1:], strict=False):
    assert not (smaller & ~_near(larger)).any()
    assert larger.sum() > smaller.sum()


@pytest.mark.parametrize(
  "invariance", ["viewpoint", "instance", "instance_viewpoint", "position"]
)
def test_the_background_stays_while_the_object_changes(invariance):
  _, shown = _rendered(invariance, number=4)
  images = [seen.image for seen in shown]
  union = np.any([seen.mask for seen in shown], axis=0)
  assert (~_near(union)).any() and _same(images, ~_near(union))
  masks = {seen.mask.tobytes() for seen in shown}
  assert len(masks) == 6


@pytest.mark.parametrize("invariance", invariance_plans.KINDS)
def test_a_changing_background_is_another_one_in_each_image(invariance):
  fixed = invariance_plans.plan(invariance, 3, 9, seed=1)
  found = invariance_plans.plan(invariance, 3, 9, seed=1, background="changing")
  if invariance == "background":
    assert found == fixed
    return
  orders = set()
  for members, still in zip(found, fixed, strict=True):
    behind = [member.factors.background for member in members]
    assert len(set(behind)) == len(members)
    orders.add(tuple(behind))
    for member, other in zip(members, still, strict=True):
      number = other.factors.background
      assert member.factors._replace(background=number) == other.factors
  assert len(orders) == 3


def test_more_images_than_backgrounds_see_each_about_equally_often():
  [members] = invariance_plans.plan(
    "viewpoint", 1, 150, seed=1, background="changing"
  )
  counts = np.bincount([member.factors.background for member in members])
  assert len(counts) == factors.BACKGROUNDS and set(counts) == {2, 3}


def test_a_black_background_has_no_number():
  [members] = invariance_plans.plan("scale", 1, 4, seed=1, background="black")
  assert {member.factors.background for member in members} == {factors.BLACK}


def test_rotation_turns_the_object_counterclockwise_in_the_image():
  members, shown = _rendered("rotation", number=4, count=4)
  assert [member.value for member in members] == [0, 90, 180, 270]
  first = members[0].factors
  centered = first._replace(x=0.5, y=0.5)
  upright = stills.render_with_mask(centered, image_size=_SIZE, seed=4)
  for turns in (1, 2, 3):
    turned = stills.render_with_mask(
      centered._replace(roll=90.0 * turns), image_size=_SIZE, seed=4
    )
    expected = np.rot90(upright.mask, turns)
    assert np.mean(turned.mask != expected) < 0.01
    assert np.mean(turned.mask != upright.mask) > 0.02
  assert _same(
    [seen.image for seen in shown],
    ~_near(np.any([seen.mask for seen in shown], axis=0)),
  )


def test_viewpoints_are_evenly_spaced_over_360_degrees():
  members, _ = _rendered("viewpoint", number=4)
  angles = np.array([member.value for member in members])
  np.testing.assert_allclose(np.diff(angles) % 360, 60)
  assert all(member.factors.azimuth == member.value for member in members)


@pytest.mark.parametrize(
  "invariance", ["illumination_direction", "illumination_colour"]
)
@pytest.mark.parametrize("number", [2, 6])
def test_light_changes_the_shading_but_not_the_mask(invariance, number):
  _, shown = _rendered(invariance, number=number)
  images = [seen.image for seen in shown]
  for seen in shown:
    np.testing.assert_array_equal(seen.mask, shown[0].mask)
  assert _same(images, ~_near(shown[0].mask))
  assert len({image.tobytes() for image in images}) == 6


def test_the_factor_is_the_side_of_the_light():
  members, shown = _rendered("illumination_direction", number=6)
  assert [member.value for member in members] == [-110, -66, -22, 22, 66, 110]
  x = np.arange(_SIZE)[None]

  def bright_side(seen):
    """How far right of the object's middle its light falls."""
    weight = seen.image.astype(float).sum(axis=-1) * seen.mask
    return (weight * x).sum() / weight.sum() - (seen.mask * x).sum() / (
      seen.mask.sum()
    )

  assert bright_side(shown[1]) < bright_side(shown[4])


def test_redder_light_makes_redder_images():
  for number in range(10):
    members, shown = _rendered("illumination_colour", number=number)
    np.testing.assert_allclose(
      [member.value for member in members], np.linspace(-0.8, 0.8, 6)
    )
    red, _, blue = np.array([s.image[s.mask].mean(axis=0) for s in shown]).T
    assert (np.diff(red) > 0).all() and (np.diff(blue) < 0).all()


def test_background_changes_everything_but_the_object():
  _, shown = _rendered("background", number=6)
  inside = cv2.erode(shown[0].mask.astype(np.uint8), np.ones((5, 5))) > 0
  images = [seen.image for seen in shown]
  assert inside.sum() > 50 and _same(images, inside)
  outside = ~_near(shown[0].mask)
  for image in images[1:]:
    assert (image[outside] != images[0][outside]).mean() > 0.5


def test_background_sets_have_at_most_the_number_of_backgrounds():
  (members,) = invariance_plans.plan("background", 1, 1000, seed=0)
  numbers = [member.factors.background for member in members]
  assert sorted(numbers) == list(range(factors.BACKGROUNDS))


def test_the_object_moves_by_the_shift_and_stays_inside_the_image():
  for number in (2, 4, 7):
    members, shown = _rendered("position", number=number)
    shifts = [member.value for member in members]
    np.testing.assert_allclose(shifts, np.linspace(-0.25, 0.25, 6))
    # Of the box, as the outline of a solid changes a little on its way.
    middles = []
    for seen in shown:
      assert not seen.mask[[0, -1]].any() and not seen.mask[:, [0, -1]].any()
      y, x = np.nonzero(seen.mask)
      middles.append([x.min() + x.max(), y.min() + y.max()])
    way = np.diff(middles, axis=0) / 2 / _SIZE
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 0.1, atol=0.035)
    np.testing.assert_allclose(np.linalg.norm(way.sum(axis=0)), 0.5, atol=0.06)


def test_scale_is_the_diameter_of_the_object():
  members, shown = _rendered("scale", number=6)
  scales = np.array([member.value for member in members])
  np.testing.assert_allclose(scales[1:] / scales[:-1], (1 / 0.35) ** 0.2)
  sides = np.sqrt([seen.mask.sum() for seen in shown])
  np.testing.assert_allclose(sides / sides[-1], scales, rtol=0.12)
  assert _same([s.image for s in shown], ~_near(shown[-1].mask))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
