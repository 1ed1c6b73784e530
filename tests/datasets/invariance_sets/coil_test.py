import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import coil


def _write(folder, *names):
  for name in names:
    Image.new("L", (2, 2)).save(folder / name)


def test_coil_20_numbers_views(tmp_path):
  _write(tmp_path, "obj1__0.png", "obj1__10.png", "obj1__9.png")
  _write(tmp_path, "obj20__71.png", "obj3__2.png", "other.png")
  found = coil.viewpoint(str(tmp_path))
  assert found.source == "COIL-20"
  assert found.set_names == found.class_names == ("obj1", "obj3", "obj20")
  np.testing.assert_array_equal(found.sets, [0, 0, 0, 1, 2])
  np.testing.assert_array_equal(found.classes, found.sets)
  np.testing.assert_array_equal(found.factor, [0, 45, 50, 10, 355])
  assert found.factor_period == 360
  assert found.skipped == {"unexpected file name": ("other.png",)}


def test_coil_100_names_degrees(tmp_path):
  _write(tmp_path, "obj100__0.png", "obj100__75.png", "obj2__5.png")
  (tmp_path / "convertGroupppm2png.pl").touch()  # As the archive has it.
  found = coil.viewpoint(str(tmp_path))
  assert found.source == "COIL-100"
  assert found.set_names == ("obj2", "obj100")
  np.testing.assert_array_equal(found.factor, [5, 0, 75])
  assert not found.skipped


def test_the_real_coil_20_is_complete(shared_data):
  found = coil.viewpoint(str(shared_data / "coil20"))
  assert found.images.num_images == 1440
  np.testing.assert_array_equal(np.bincount(found.sets), [72] * 20)
  np.testing.assert_array_equal(found.factor, np.tile(np.arange(72) * 5, 20))
  assert found.set_names[:2] == ("obj1", "obj2")
  assert not found.skipped


def test_the_error_for_missing_data_says_what_to_download(tmp_path):
  with pytest.raises(
    errors.UsageError,
    match=r"COIL.*: no images in .*obj1__0.png.*coil-20-proc.zip \(12 MB\)"
    r".*coil-100.zip \(125 MB\).*change COIL$",
  ):
    coil.viewpoint(str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
