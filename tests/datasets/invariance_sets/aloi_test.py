import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import aloi


@pytest.fixture
def root(tmp_path):
  """Objects 2, 10 and 1000 in ALOI's layout, with few images each."""
  names = {
    "ALOI_viewpoint": ["r0", "r5", "r100", "r355"],
    "ALOI_illumdir": ["l1c1", "l1c2", "l8c3"],
    "ALOI_illumcolor": ["i110", "i190", "i250"],
  }
  for part, ends in names.items():
    for number in (2, 10, 1000):
      folder = tmp_path / part / str(number)
      folder.mkdir(parents=True)
      for end in ends:
        image = Image.new("RGB", (4, 3), (number % 255, 0, 0))
        image.save(folder / f"{number}_{end}.png")
  return tmp_path


def test_all_views_of_an_object_are_a_set_and_a_class(root):
  found = aloi.viewpoint(str(root))
  assert found.invariance == "viewpoint"
  assert found.set_names == found.class_names == ("2", "10", "1000")
  np.testing.assert_array_equal(found.sets, np.repeat([0, 1, 2], 4))
  np.testing.assert_array_equal(found.classes, found.sets)
  np.testing.assert_array_equal(found.factor, [0, 5, 100, 355] * 3)
  assert (found.factor_name, found.factor_period) == ("angle", 360)
  assert found.images.name(6) == "ALOI_viewpoint/10/10_r100.png"
  size = (root / "ALOI_viewpoint/10/10_r100.png").stat().st_size
  assert found.images.sizes[6] == size
  assert (found.image_size, found.cropped) == (128, False)
  assert not found.skipped


def test_lights_have_no_factor(root):
  found = aloi.illumination_direction(str(root))
  assert found.invariance == "illumination_direction"
  np.testing.assert_array_equal(found.sets, np.repeat([0, 1, 2], 3))
  assert found.images.name(5) == "ALOI_illumdir/10/10_l8c3.png"
  assert np.isnan(found.factor).all() and found.factor_name == ""


def test_the_factor_of_colors_is_the_lamp_setting(root):
  found = aloi.illumination_colour(str(root))
  assert found.invariance == "illumination_colour"
  np.testing.assert_array_equal(found.factor, [110, 190, 250] * 3)
  assert (found.factor_name, found.factor_period) == ("lamp setting", None)


def test_files_with_unexpected_names_are_skipped(root):
  folder = root / "ALOI_viewpoint/2"
  for name in ("1_r0.png", "2_r0.png~", "2_l1c1.png"):
    (folder / name).touch()
  found = aloi.viewpoint(str(root))
  assert found.images.num_images == 12
  assert found.skipped == {
    "unexpected file name": (
      "ALOI_viewpoint/2/1_r0.png",
      "ALOI_viewpoint/2/2_l1c1.png",
      "ALOI_viewpoint/2/2_r0.png~",
    )
  }


@pytest.mark.parametrize(
  ("read", "tar", "folder", "count"),
  [
    (aloi.viewpoint, "aloi_red2_view", "ALOI_viewpoint", "72,000"),
    (aloi.illumination_direction, "aloi_red2_ill", "ALOI_illumdir", "24,000"),
    (aloi.illumination_colour, "aloi_red2_col", "ALOI_illumcolor", "12,000"),
  ],
)
def test_the_error_for_missing_data_says_what_to_download(
  tmp_path, read, tar, folder, count
):
  with pytest.raises(errors.UsageError) as caught:
    read(str(tmp_path / "nowhere"))
  message = str(caught.value)
  assert f"ALOI: no images in '{tmp_path}/nowhere'; expected" in message
  assert f"{count} images of 384x288 px" in message
  assert f"http://aloi.science.uva.nl/tars/{tar}.tar" in message
  assert f"rename its folder png2 to {folder}" in message
  assert "change ALOI" in message and "\n" not in message


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
