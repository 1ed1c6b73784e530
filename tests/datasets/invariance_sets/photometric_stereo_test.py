import math
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import photometric_stereo

# Their mean is the z axis; 0, 45 and 45 degrees away.
_LIGHTS = "3\n0 0 2\n1 0 1\n-3 0 3\n"


@pytest.fixture
def root(tmp_path):
  (tmp_path / "lights.txt").write_text(_LIGHTS)
  for name in ("cat", "owl"):
    (tmp_path / name).mkdir()
    for end in ("0", "1", "2", "mask"):
      Image.new("RGB", (3, 2)).save(tmp_path / name / f"{name}.{end}.png")
  return tmp_path


def test_an_object_is_a_set_and_the_factor_the_angle_of_its_light(root):
  found = photometric_stereo.illumination_direction(str(root))
  assert found.invariance == "illumination_direction"
  assert found.set_names == found.class_names == ("cat", "owl")
  np.testing.assert_array_equal(found.sets, [0, 0, 0, 1, 1, 1])
  np.testing.assert_array_equal(found.classes, found.sets)
  np.testing.assert_allclose(found.factor, [0, 45, 45] * 2, atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(found.targets, axis=1), 1)
  np.testing.assert_array_equal(found.targets[:3], found.targets[3:])
  mean = found.targets[:3].sum(axis=0)
  cosine = found.targets[:3] @ mean / np.linalg.norm(mean)
  np.testing.assert_allclose(np.cos(np.radians([0, 45, 45])), cosine, atol=1e-6)
  assert found.images.name(4) == "owl/owl.1.png"
  assert found.factor_unit == "degrees" and found.factor_period is None


def test_the_real_images_have_the_angles_of_their_lights(shared_data):
  root = shared_data / "photometric_stereo"
  found = photometric_stereo.illumination_direction(str(root))
  assert found.set_names == ("buddha", "cat", "horse", "owl", "rock")
  np.testing.assert_array_equal(np.bincount(found.sets), [12] * 5)
  lines = (root / "lights.txt").read_text().split("\n")[1:13]
  lights = [[float(word) for word in line.split()] for line in lines]
  lights = [[v / math.hypot(*light) for v in light] for light in lights]
  mean = [sum(column) / 12 for column in zip(*lights, strict=True)]
  for light, angle in zip(lights, found.factor[:12], strict=True):
    cosine = sum(a * b for a, b in zip(light, mean, strict=True))
    expected = math.degrees(math.acos(cosine / math.hypot(*mean)))
    assert angle == pytest.approx(expected)
  assert 1 < found.factor.min() < found.factor.max() < 40


@pytest.mark.parametrize(
  "text", ["", "x", "2\n1 2 3", "1\n1 2", "1\n0 0 0", "1\n1 2 nan", "0"]
)
def test_a_malformed_list_of_lights_is_refused(root, text):
  (root / "lights.txt").write_text(text)
  with pytest.raises(errors.UsageError, match="lights.txt.*no list of lights"):
    photometric_stereo.illumination_direction(str(root))


def test_an_image_of_an_unlisted_light_is_refused(root):
  (root / "owl/owl.3.png").touch()
  with pytest.raises(errors.UsageError, match="owl.3.png shows light 3.*lists"):
    photometric_stereo.illumination_direction(str(root))


@pytest.mark.parametrize("lights", [True, False])
def test_the_error_for_missing_data_says_what_to_download(tmp_path, lights):
  if lights:
    (tmp_path / "lights.txt").write_text(_LIGHTS)
  with pytest.raises(
    errors.UsageError,
    match="photometric stereo: no images in .*psmImages.zip.*TGA.*change",
  ):
    photometric_stereo.illumination_direction(str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
