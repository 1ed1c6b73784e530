import re
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.rendering import categories, factors, stills

_PLAIN = factors.Factors(category=6, instance=1, scale=1.0, background=2)


def _render(image_size=48, seed=0, **changes):
  return stills.render_with_mask(
    _PLAIN._replace(**changes), image_size=image_size, seed=seed
  )


def _centroid(mask):
  rows, columns = np.nonzero(mask)
  return columns.mean() + 0.5, rows.mean() + 0.5


def test_an_image_is_uint8_and_shows_the_object():
  made = _render(image_size=33)
  assert made.image.dtype == np.uint8 and made.image.shape == (33, 33, 3)
  assert made.mask.dtype == bool and made.mask.shape == (33, 33)
  assert 0.1 < made.mask.mean() < 0.6
  assert made.image.max() > 150


@pytest.mark.parametrize("category", range(10))
def test_azimuth_360_is_azimuth_0(category):
  np.testing.assert_array_equal(
    _render(category=category, azimuth=360.0).image,
    _render(category=category, azimuth=0.0).image,
  )


@pytest.mark.parametrize(
  "change",
  [
    {"category": 2},
    {"instance": 2},
    {"azimuth": 120.0},
    {"elevation": 45.0},
    {"x": 0.6},
    {"y": 0.6},
    {"scale": 0.8},
  ],
)
def test_shape_and_pose_change_the_mask_but_not_the_background(change):
  first, second = _render(), _render(**change)
  assert (first.mask != second.mask).any()
  clear = _without_edges(first.mask | second.mask)
  np.testing.assert_array_equal(first.image[clear], second.image[clear])


@pytest.mark.parametrize(
  "change", [{"light_azimuth": 80.0}, {"light_color": (1.0, 0.4, 0.2)}]
)
def test_light_changes_the_shading_but_not_the_mask(change):
  first, second = _render(), _render(**change)
  np.testing.assert_array_equal(first.mask, second.mask)
  clear = _without_edges(first.mask)
  np.testing.assert_array_equal(first.image[clear], second.image[clear])
  apart = np.abs(np.int32(first.image) - second.image)[first.mask]
  assert apart.mean() > 5


def _without_edges(mask):
  """Pixels outside the mask and away from its soft edges."""
  near = np.zeros_like(mask)
  for down in (-2, -1, 0, 1, 2):
    for right in (-2, -1, 0, 1, 2):
      near |= np.roll(mask, (down, right), (0, 1))
  return ~near


def test_background_changes_only_the_background():
  first, second = _render(), _render(background=3)
  np.testing.assert_array_equal(first.mask, second.mask)
  core = _without_edges(~first.mask)
  # Nearly all: the background shows through holes smaller than a pixel.
  same = (first.image == second.image).all(axis=-1)
  assert core.sum() > 100 and same[core].mean() > 0.97
  assert same[~first.mask].mean() < 0.1


@pytest.mark.parametrize("category", range(10))
@pytest.mark.parametrize("occluder", [0, 1, 2])
def test_cover_is_the_number_of_visible_eighths(category, occluder):
  full = _render(category=category)
  for cover in range(9):
    made = _render(category=category, cover=cover, occluder=occluder)
    np.testing.assert_array_equal(made.mask, full.mask)
    assert not (made.visible & ~made.mask).any()
    visible = made.visible.sum() / made.mask.sum()
    assert abs(visible - cover / 8) < 1 / 16
  np.testing.assert_array_equal(
    _render(category=category, occluder=occluder).image, full.image
  )


def test_light_from_the_right_lights_the_right_side():
  for azimuth, brighter in ((90.0, 1), (270.0, -1)):
    # Bottles are round, so the light alone makes their sides differ.
    made = _render(category=0, instance=7, light_azimuth=azimuth, image_size=64)
    gray = made.image.mean(axis=-1)
    columns = np.broadcast_to(np.arange(64), (64, 64))
    middle, _ = _centroid(made.mask)
    right = gray[made.mask & (columns > middle)].mean()
    left = gray[made.mask & (columns < middle - 1)].mean()
    assert (right - left) * brighter > 5


def test_position_is_a_fraction_of_the_image():
  middle = _centroid(_render(image_size=64).mask)
  for x, y in ((0.6, 0.5), (0.4, 0.5), (0.5, 0.6), (0.5, 0.42)):
    moved = _centroid(_render(image_size=64, x=x, y=y).mask)
    expected = (middle[0] + (x - 0.5) * 64, middle[1] + (y - 0.5) * 64)
    np.testing.assert_allclose(moved, expected, atol=1.0)


def test_scale_is_the_size_of_the_bounding_sphere_in_the_image():
  for scale in (0.4, 0.8):
    mask = _render(category=4, scale=scale, image_size=128).mask
    rows, columns = np.nonzero(mask)
    distance = np.hypot(rows + 0.5 - 64, columns + 0.5 - 64).max()
    assert 0.75 * scale * 64 < distance < 1.1 * scale * 64


def test_size_decides_only_the_resolution():
  fine = _render(image_size=128).image.reshape(64, 2, 64, 2, 3).mean((1, 3))
  coarse = np.float64(_render(image_size=64).image)
  assert np.abs(fine - coarse).mean() < 4


def test_instances_differ_between_worlds():
  assert (_render(seed=0).mask != _render(seed=1).mask).any()


def test_shape_alone_identifies_the_category():
  # The nearest silhouette, averaged over views, finds the category of other
  # instances far more often than chance, 0.1.
  def silhouettes(instance):
    return np.stack(
      [
        np.concatenate(
          [
            _render(
              image_size=24, category=c, instance=instance, azimuth=azimuth
            ).mask.ravel()
            for azimuth in (30.0, 75.0, 120.0)
          ]
        )
        for c in range(len(categories.CATEGORIES))
      ]
    ).astype(float)

  known = np.mean([silhouettes(instance) for instance in range(5)], axis=0)
  right = []
  for instance in (10, 11, 12):
    apart = np.abs(silhouettes(instance)[:, None] - known).mean(-1)
    right.append(np.argmin(apart, axis=1) == np.arange(10))
  assert np.mean(right) > 0.75


def test_color_is_independent_of_the_category():
  # The mean color of each category is close to the mean of all objects.
  means = np.stack(
    [
      np.mean(
        [
          made.image[made.mask].mean(axis=0)
          for made in (
            _render(image_size=16, category=c, instance=instance)
            for instance in range(30)
          )
        ],
        axis=0,
      )
      for c in range(10)
    ]
  )
  assert means.std(axis=0).max() < 20


def test_a_change_of_the_pixels_needs_a_new_renderer_version():
  # Coarse means, so that the last bits of other processors' sines pass. If
  # this fails, increase synthetic.RENDERER_VERSION and update the numbers.
  means = [
    stills.render_index(0, index, 64).mean() for index in (0, 1, 2, 3, 4)
  ]
  np.testing.assert_allclose(
    means, [136.1, 99.8, 106.9, 107.4, 143.6], atol=0.1
  )


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"category": 10}, "category=10: expected 0 to 9; change category"),
    ({"cover": 9}, "cover=9: expected 0 to 8; change cover"),
    ({"instance": -1}, "instance=-1: expected 0 to"),
    ({"elevation": 90}, "elevation=90: expected -80 to 80"),
    ({"scale": 0}, "scale=0: expected 0.1 to 2"),
    ({"light_color": (1, 3, 1)}, "light_color=(1, 3, 1): expected three"),
    ({"image_size": 15}, "image_size=15: expected 16 to 512 pixels"),
    ({"seed": -2}, "seed=-2: expected a whole number >= 0"),
  ],
)
def test_a_factor_out_of_range_is_named(change, message):
  with pytest.raises(errors.UsageError, match=re.escape(message)):
    _render(**change)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
