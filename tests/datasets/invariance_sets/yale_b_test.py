import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import yale_b
from tf_ssl.input_pipeline import decoding


@pytest.fixture
def root(tmp_path):
  for person in ("yaleB01", "yaleB39"):
    folder = tmp_path / person
    folder.mkdir()
    (folder / f"{person}_P00.info").touch()
    names = ["P00A+000E+00", "P00A-035E+00", "P00A+000E+90", "P00A+110E-20"]
    if person == "yaleB39":
      names += ["P08A+000E-40"]
    for name in (*names, "P00_Ambient"):
      pixels = np.arange(12, dtype=np.uint8).reshape(4, 3) * len(name)
      Image.fromarray(pixels).save(folder / f"{person}_{name}.pgm", "PPM")
  (tmp_path / "yaleB01/yaleB01_P00A+050E-40.pgm.bad").touch()
  (tmp_path / "yaleB01/DEADJOE.pgm").touch()
  (tmp_path / "notes.pgm").touch()
  return tmp_path


def test_a_set_is_a_person_in_one_pose_and_the_class_is_the_person(root):
  found = yale_b.illumination_direction(str(root))
  assert found.set_names == (
    "yaleB01, pose 0",
    "yaleB39, pose 0",
    "yaleB39, pose 8",
  )
  assert found.class_names == ("yaleB01", "yaleB39")
  np.testing.assert_array_equal(found.sets, [0] * 4 + [1] * 4 + [2])
  np.testing.assert_array_equal(found.classes, [0] * 4 + [1] * 5)
  assert found.images.name(8) == "yaleB39/yaleB39_P08A+000E-40.pgm"
  assert found.invariance == "illumination_direction"


def test_the_factor_is_the_angle_between_light_and_camera(root):
  found = yale_b.illumination_direction(str(root))
  angles = {found.images.name(i): found.factor[i] for i in range(4)}
  # cos(110) cos(20) = -0.3214
  expected = {"A+000E+00": 0, "A-035E+00": 35, "A+000E+90": 90}
  lights = dict(zip(angles, found.targets[:4].tolist(), strict=True))
  left = -np.sin(np.radians(35)), 0, np.cos(np.radians(35))
  for light, vector in (("A-035E+00", left), ("A+000E+90", (0, 1, 0))):
    [seen] = [seen for name, seen in lights.items() if light in name]
    np.testing.assert_allclose(seen, vector, atol=1e-9)
  np.testing.assert_allclose(np.linalg.norm(found.targets, axis=1), 1)
  expected["A+110E-20"] = 108.747
  for name, angle in expected.items():
    found_angle = angles[f"yaleB01/yaleB01_P00{name}.pgm"]
    assert found_angle == pytest.approx(angle, abs=1e-3)


def test_ambient_and_bad_images_are_skipped(root):
  assert yale_b.illumination_direction(str(root)).skipped == {
    "ambient light": (
      "yaleB01/yaleB01_P00_Ambient.pgm",
      "yaleB39/yaleB39_P00_Ambient.pgm",
    ),
    "marked as bad by the dataset": ("yaleB01/yaleB01_P00A+050E-40.pgm.bad",),
    "unexpected file name": ("yaleB01/DEADJOE.pgm",),
  }


def test_the_images_can_be_decoded(root):
  images = yale_b.illumination_direction(str(root)).images
  with open(images.path(0), "rb") as file:
    image = decoding.decode(tf.constant(file.read()))
  expected = np.arange(12, dtype=np.uint8).reshape(4, 3, 1) * 12
  np.testing.assert_array_equal(image, np.repeat(expected, 3, axis=-1))


def test_the_error_for_missing_data_says_what_to_download(tmp_path):
  with pytest.raises(
    errors.UsageError,
    match=r"Extended Yale B: no images in .*CroppedYale.zip \(2,414 images of "
    "168x192 px, about 80 MB unpacked.*change YALE_B$",
  ):
    yale_b.illumination_direction(str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
