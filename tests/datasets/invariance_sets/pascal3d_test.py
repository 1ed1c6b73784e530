import sys

import numpy as np
import pytest
import scipy.io

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import pascal3d


class _Data:
  """A miniature of the dataset's folder."""

  def __init__(self, root):
    self.root = root
    self.lists = {}
    (root / "Image_sets").mkdir()

  def category(self, name):
    for part in ("imagenet_train", "imagenet_val", "pascal"):
      self.lists[name, part] = []

  def add(self, category, part, name, objects, number=None):
    """Adds an image with objects (class, box, azimuth, elevation)."""
    origin = f"{category}_{part.split('_')[0]}"
    end = "jpg" if part == "pascal" else "JPEG"
    image = self.root / "Images" / origin / f"{name}.{end}"
    annotation = self.root / "Annotations" / origin / f"{name}.mat"
    for file in (image, annotation):
      file.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(b"image")
    fields = [(key, object) for key in ("class", "bbox", "viewpoint")]
    found = np.zeros((1, len(objects)), fields)
    for i, (of, box, azimuth, elevation) in enumerate(objects):
      viewpoint = {"azimuth": 1.5, "elevation": 2.5}
      if azimuth is not None:
        viewpoint["azimuth_coarse"] = np.uint16(azimuth)
        viewpoint["elevation_coarse"] = np.int16(elevation)
      found[0, i] = (of, np.array(box, float), viewpoint)
    scipy.io.savemat(annotation, {"record": {"objects": found}})
    self.line(category, part, name if number is None else f"{name} {number}")
    return annotation

  def line(self, category, part, text):
    self.lists[category, part].append(text)
    for (of, kind), lines in self.lists.items():
      file = self.root / "Image_sets" / f"{of}_{kind}.txt"
      file.write_text("".join(f"{line}\n" for line in lines))


BOX = (10.4, 20.6, 30, 40)


@pytest.fixture
def data(tmp_path):
  """Five cars and a boat; azimuths 10 and 190 share a bin."""
  data = _Data(tmp_path)
  data.category("car")
  data.category("boat")
  data.add("car", "imagenet_train", "n1_1", [("car", BOX, 10, 5)])
  data.add("car", "imagenet_val", "n1_2", [("car", (1, 2, 9, 8), 190, 29)])
  two = [("car", (0, 0, 5, 5), 15, 0), ("car", (5, 5, 9, 9), 170, -10)]
  data.add("car", "pascal", "2008_1", [("dog", BOX, None, None), *two], 1)
  data.line("car", "pascal", "2008_1 2")
  data.add("car", "imagenet_val", "n1_3", [("car", BOX, 45, 5)])
  data.add("boat", "imagenet_train", "n2_1", [("boat", BOX, 350, 40)])
  return data


def _sets(found):
  """Images by set name."""
  sets = {name: [] for name in found.set_names}
  for i, number in enumerate(found.sets):
    sets[found.set_names[number]].append(found.images.name(i))
  return sets


def test_instance_sets_share_category_azimuth_and_elevation(data):
  found = pascal3d.instance(str(data.root))
  # -10 % 90 is 80, in the third bin of elevation; 350 % 180 is 170.
  assert _sets(found) == {
    "boat, azimuth 150-180, elevation 30-60": [
      "Images/boat_imagenet/n2_1.JPEG"
    ],
    "car, azimuth 0-30, elevation 0-30": [
      "Images/car_imagenet/n1_1.JPEG",
      "Images/car_imagenet/n1_2.JPEG",
      "Images/car_pascal/2008_1.jpg",
    ],
    "car, azimuth 30-60, elevation 0-30": ["Images/car_imagenet/n1_3.JPEG"],
    "car, azimuth 150-180, elevation 60-90": ["Images/car_pascal/2008_1.jpg"],
  }
  assert found.class_names == ("boat", "car")
  np.testing.assert_array_equal(found.classes, [0, 1, 1, 1, 1, 1])
  assert np.isnan(found.factor).all() and found.factor_name == ""
  assert found.invariance == "instance" and found.image_size == 224
  assert not found.skipped


def test_each_box_of_a_file_is_its_own_image(data):
  found = pascal3d.instance(str(data.root))
  boxes = [
    found.images.boxes[i].tolist()
    for i in range(6)
    if found.images.name(i) == "Images/car_pascal/2008_1.jpg"
  ]
  assert boxes == [[0, 0, 5, 5], [5, 5, 9, 9]]
  assert found.images.boxes[0].tolist() == [10, 21, 30, 40]


def test_instance_viewpoint_sets_take_the_jth_of_each_bin(data):
  found = pascal3d.instance_viewpoint(str(data.root))
  assert _sets(found) == {
    "boat 1": ["Images/boat_imagenet/n2_1.JPEG"],
    "car 1": [
      "Images/car_imagenet/n1_1.JPEG",
      "Images/car_imagenet/n1_3.JPEG",
      "Images/car_pascal/2008_1.jpg",
    ],
    "car 2": ["Images/car_imagenet/n1_2.JPEG"],
    "car 3": ["Images/car_pascal/2008_1.jpg"],
  }
  np.testing.assert_array_equal(found.factor, [350, 10, 190, 45, 15, 170])
  assert (found.factor_name, found.factor_period) == ("azimuth", 360)
  assert found.invariance == "instance_viewpoint"


def test_unusable_objects_are_skipped_and_named(data):
  data.line("car", "imagenet_val", "n1_9")
  data.line("car", "imagenet_val", "../boat_imagenet/n2_1")
  data.line("car", "pascal", "2008_1 3")
  data.line("car", "pascal", "2008_1 0")
  data.line("car", "pascal", "2008_1")
  damaged = data.add("car", "pascal", "2008_2", [("car", BOX, 1, 1)], 0)
  damaged.write_bytes(damaged.read_bytes()[:150])
  data.add("car", "pascal", "2008_3", [("car", (5, 5, 5, 9), 1, 1)], 0)
  data.add("car", "pascal", "2008_4", [("car", BOX, None, None)], 0)
  data.add("car", "pascal", "2008_5", [("car", (1, 2, 3), 1, 1)], 0)
  data.add("car", "pascal", "2008_6", [("car", BOX, 1, 1)], 0)
  (data.root / "Images/car_pascal/2008_6.jpg").unlink()
  found = pascal3d.instance(str(data.root))
  assert found.images.num_images == 6
  assert found.skipped == {
    "no annotation": ("car_imagenet/n1_9",),
    "a name with a folder in it": ("car_imagenet/../boat_imagenet/n2_1",),
    "an annotation without this object": ("car_pascal/2008_1 3",),
    "an object of another category": ("car_pascal/2008_1 0",),
    "a line that is not a name and a number": ("car_pascal/2008_1",),
    "an unreadable annotation": ("car_pascal/2008_2 0",),
    "an object without a box": ("car_pascal/2008_3 0", "car_pascal/2008_5 0"),
    "an object without a viewpoint": ("car_pascal/2008_4 0",),
    "no such image": ("Images/car_pascal/2008_6.jpg",),
  }


def test_a_pickle_is_never_loaded(data, tmp_path):
  class Bomb:
    def __reduce__(self):
      return open, (str(tmp_path / "exploded"), "w")

  bomb = data.root / "Annotations/car_imagenet/n1_1.mat"
  np.save(tmp_path / "bomb.npy", np.array([Bomb()]), allow_pickle=True)
  bomb.write_bytes((tmp_path / "bomb.npy").read_bytes())
  found = pascal3d.instance(str(data.root))
  assert found.skipped == {"an unreadable annotation": ("car_imagenet/n1_1",)}
  assert not (tmp_path / "exploded").exists()


def test_a_missing_list_is_named(data):
  (data.root / "Image_sets/car_pascal.txt").unlink()
  with pytest.raises(errors.UsageError, match="cannot read .*car_pascal.txt"):
    pascal3d.instance(str(data.root))


@pytest.mark.parametrize(
  "read", [pascal3d.instance, pascal3d.instance_viewpoint]
)
def test_the_error_for_missing_data_says_what_to_download(tmp_path, read):
  with pytest.raises(
    errors.UsageError,
    match=r"PASCAL3D\+: no images in .*Annotations/ of release 1.1.*"
    r"PASCAL3D\+_release1.1.zip \(several GB.*change PASCAL3D$",
  ):
    read(str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
