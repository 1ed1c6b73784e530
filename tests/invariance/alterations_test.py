"""Alterations against NumPy's, Pillow's and SciPy's own operations."""

import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tf_ssl import errors
from tf_ssl.invariance import alterations

SIZE = 32


def _picture(seed=0, size=SIZE):
  """A smooth colored picture."""
  rng = np.random.default_rng(seed)
  side = alterations.whole_side(size)
  noise = rng.normal(size=[side, side, 3])
  smooth = ndimage.gaussian_filter(noise, [3, 3, 0], mode="wrap")
  smooth = (smooth - smooth.min()) / np.ptp(smooth)
  return alterations.Picture((60 + 140 * smooth).astype(np.uint8), size)


def _one(name):
  [found] = alterations.named([name])
  return found


def _difference(one, other):
  return np.abs(one.astype(float) - other.astype(float)).mean()


def test_the_window_is_the_middle_of_the_picture():
  picture = _picture()
  assert picture.whole.shape == (72, 72, 3)
  assert picture.wide.shape == (48, 48, 3)
  assert np.array_equal(picture.window, picture.wide[8:40, 8:40])


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_right_angles_move_pixels_exactly(sign):
  picture = _picture()
  rotate = _one("rotation").alter
  expected = np.rot90(picture.window, int(sign))
  assert _difference(rotate(picture, 90.0, sign), expected) < 0.1
  expected = np.rot90(picture.window, 2)
  assert _difference(rotate(picture, 180.0, sign), expected) < 0.1


def test_other_angles_equal_those_of_scipy():
  picture = _picture()
  turned = ndimage.rotate(
    picture.wide.astype(float), 30.0, reshape=False, order=3
  )[8:40, 8:40]
  found = _one("rotation").alter(picture, 30.0, 1.0)
  assert _difference(found, np.clip(turned, 0, 255)) < 1
  assert _difference(found, picture.window) > 5


def test_a_shift_moves_the_window_over_the_picture():
  picture = _picture()
  found = _one("translation").alter(picture, 0.25, 0.0)
  assert np.array_equal(found, picture.wide[8:40, 16:48])
  assert _one("translation").target(0.25, 0.0) == (0.25, 0.0)
  found = _one("translation").alter(picture, 0.25, np.pi / 2)
  assert np.array_equal(found, picture.wide[16:48, 8:40])


def test_a_zoom_shows_all_of_the_picture_or_its_pixels():
  picture = _picture()
  zoom = _one("scale").alter
  assert np.array_equal(zoom(picture, 1.5, 1.0), picture.whole[20:52, 20:52])
  small = Image.fromarray(picture.whole).resize([SIZE] * 2, Image.BOX)
  assert _difference(zoom(picture, 1.5, -1.0), np.asarray(small)) < 1.5


@pytest.mark.parametrize(
  "name", ["rotation", "scale", "translation", "blur", "horizontal_flip"]
)
def test_geometry_adds_no_border(name):
  side = alterations.whole_side(SIZE)
  plain = alterations.Picture(np.full([side, side, 3], 200, np.uint8), SIZE)
  alteration = _one(name)
  for picture in range(5):
    drawn = alterations.drawn(alteration, picture, seed=0)
    for strength in alteration.strengths:
      found = alteration.alter(plain, strength, drawn)
      assert found.shape == (SIZE, SIZE, 3)
      assert (found == 200).all()


def test_a_patch_covers_its_share_and_grows_around_one_middle():
  picture = _picture()
  alteration = _one("occluding_patch")
  for number in range(5):
    drawn = alterations.drawn(alteration, number, seed=0)
    before = np.zeros([SIZE, SIZE], bool)
    for share in alteration.strengths:
      found = alteration.alter(picture, share, drawn)
      hidden = (found == alterations._GRAY).all(axis=-1)
      assert hidden.mean() == pytest.approx(share, abs=0.04)
      assert (before <= hidden).all()
      before = hidden
      assert np.array_equal(found[~hidden], picture.window[~hidden])


def test_brightness_and_contrast_go_either_way():
  picture = _picture()
  values = picture.window.astype(float)
  darker = _one("brightness").alter(picture, 2.0, -1.0)
  assert _difference(darker, values / 2) < 0.5
  brighter = _one("brightness").alter(picture, 2.0, 1.0)
  assert _difference(brighter, np.clip(values * 2, 0, 255)) < 0.5
  flat = _one("contrast").alter(picture, 2.0, -1.0)
  middle = (values @ [0.299, 0.587, 0.114]).mean()
  assert _difference(flat, (values + middle) / 2) < 0.5


def test_half_a_turn_of_the_hues_gives_the_complement():
  side = alterations.whole_side(SIZE)
  red = np.broadcast_to(np.uint8([200, 50, 50]), [side, side, 3])
  found = _one("hue").alter(
    alterations.Picture(np.ascontiguousarray(red), SIZE), 180.0, 1.0
  )
  assert (found == [50, 200, 200]).all()


def test_blur_equals_that_of_scipy():
  picture = _picture()
  expected = ndimage.gaussian_filter(
    picture.wide.astype(float), [0.04 * SIZE, 0.04 * SIZE, 0]
  )[8:40, 8:40]
  assert _difference(_one("blur").alter(picture, 4.0, None), expected) < 1


def test_noise_has_its_deviation_and_one_pattern():
  side = alterations.whole_side(SIZE)
  gray = alterations.Picture(np.full([side, side, 3], 128, np.uint8), SIZE)
  alter = _one("noise").alter
  weak, strong = alter(gray, 8.0, 5) - 128.0, alter(gray, 16.0, 5) - 128.0
  assert weak.std() == pytest.approx(8, rel=0.1)
  assert np.abs(strong - 2 * weak).max() <= 1.5
  assert not np.array_equal(alter(gray, 8.0, 6) - 128.0, weak)


def test_jpeg_equals_that_of_pillow():
  picture = _picture()
  stream = io.BytesIO()
  Image.fromarray(picture.window).save(stream, "JPEG", quality=10)
  expected = np.asarray(Image.open(stream))
  assert _difference(_one("jpeg").alter(picture, 10.0, None), expected) < 1


def test_gray_has_no_color_and_flipping_twice_changes_nothing():
  picture = _picture()
  gray = _one("gray").alter(picture, 100.0, None)
  expected = cv2.cvtColor(picture.window, cv2.COLOR_RGB2GRAY)
  assert (np.abs(gray - expected[..., np.newaxis].astype(float)) <= 1).all()
  flipped = _one("horizontal_flip").alter(picture, 1.0, None)
  assert np.array_equal(np.fliplr(flipped), picture.window)


@pytest.mark.parametrize(
  "alteration", alterations.ALL, ids=lambda one: one.name
)
def test_a_larger_strength_changes_more(alteration):
  distances = []
  for level in alteration.strengths:
    distances.append(
      np.mean(
        [
          _difference(
            alteration.alter(
              picture, level, alterations.drawn(alteration, seed, seed=0)
            ),
            picture.window,
          )
          for seed in range(4)
          for picture in [_picture(seed, size=96)]
        ]
      )
    )
  assert min(distances) > 0.05
  # Angles come round, and no place of the picture is like another.
  if alteration.name not in ("rotation", "hue", "translation"):
    assert distances == sorted(distances)


def test_versions_depend_on_picture_and_seed_alone():
  chosen = alterations.named(["rotation", "noise"])
  whole = _picture().whole

  def made(picture=0, seed=0, some=chosen):
    return alterations.versions(
      whole, some, size=SIZE, picture=picture, seed=seed
    )

  found = made()
  assert found.shape == (10, SIZE, SIZE, 3)
  assert np.array_equal(found[0], _picture().window)
  assert np.array_equal(found, made())
  assert not np.array_equal(found, made(seed=1))
  assert not np.array_equal(found, made(picture=1))
  # Other alterations of the same call change nothing.
  alone = made(some=alterations.named(["noise"]))
  assert np.array_equal(found[[0, 6, 7, 8, 9]], alone)


def test_half_of_the_pictures_are_altered_either_way():
  signs = [alterations.drawn(_one("scale"), i, seed=0) for i in range(200)]
  assert {*signs} == {-1.0, 1.0}
  assert 70 < signs.count(1.0) < 130


def test_unknown_alterations_are_refused():
  with pytest.raises(errors.UsageError, match=r"'rotation,spin'.*rotation"):
    alterations.named(["rotation", "spin"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
