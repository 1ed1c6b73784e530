"""COCO's JSON: small files, whole and damaged, and a real one."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import coco as reference

from tf_ssl import errors
from tf_ssl.datasets.annotations import coco


class _Data:
  """An annotation file and its images, changed entry by entry."""

  def __init__(self, root):
    self.file, self.images = root / "instances.json", root / "images"
    self.images.mkdir()
    self.content = {
      "info": {"year": 2017},
      # Not in the order of their numbers, which have gaps, as in COCO.
      "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
      "images": [],
      "annotations": [],
    }

  def image(self, number, size=(20, 10), **changes):
    name = f"{number:04d}.jpg"
    Image.new("RGB", size, (30, 200, 30)).save(self.images / name)
    width, height = size
    entry = {"id": number, "file_name": name, "width": width, "height": height}
    self.content["images"].append({**entry, **changes})

  def box(self, image, category, *box, **changes):
    entry = {
      "id": 100 + len(self.content["annotations"]),
      "image_id": image,
      "category_id": category,
      "bbox": list(box),
      "iscrowd": 0,
    }
    if "area" not in changes and len(box) == 4:
      entry["area"] = box[2] * box[3] / 2
    self.content["annotations"].append({**entry, **changes})

  def read(self, **options):
    self.file.write_text(json.dumps(self.content))
    options = {"max_skipped_fraction": 0.9, **options}
    return coco.read(str(self.file), str(self.images), **options)


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  """Images 7 (dog, car, crowd of cars) and 5 (nothing)."""
  data = _Data(tmp_path)
  data.image(7)
  data.image(5)
  data.box(7, 18, 1.5, 2, 3, 4)
  data.box(7, 3, 0, 0, 20, 10, iscrowd=1, area=50)
  data.box(7, 3, 4, 4, 2, 2)
  return data


def test_boxes_and_classes_are_read(data):
  found = data.read()
  assert found.class_names == ("car", "dog")
  np.testing.assert_array_equal(found.category_ids, [3, 18])
  assert found.image_ids == (7, 5)
  assert [found.images.name(i) for i in range(2)] == ["0007.jpg", "0005.jpg"]
  np.testing.assert_array_equal(found.image_sizes, [[20, 10], [20, 10]])
  np.testing.assert_array_equal(
    found.boxes, [[1.5, 2, 4.5, 6], [0, 0, 20, 10], [4, 4, 6, 6]]
  )
  np.testing.assert_array_equal(found.class_ids, [1, 0, 0])
  np.testing.assert_array_equal(found.image_index, [0, 0, 0])
  np.testing.assert_array_equal(found.crowd, [False, True, False])
  np.testing.assert_array_equal(found.areas, [6, 50, 2])
  np.testing.assert_array_equal(found.targets, [[1, 1], [0, 0]])
  assert not found.skipped and not found.difficult.any()


def test_a_class_that_is_there_only_as_a_crowd_is_ignored(data):
  data.content["annotations"].pop()
  np.testing.assert_array_equal(data.read().targets, [[-1, 1], [0, 0]])


def test_unusable_boxes_are_skipped_and_named(data):
  data.box(5, 18, -2, -2, 5, 5)  # 103, partly outside: cut
  data.box(5, 18, 25, 0, 5, 5)  # 104
  data.box(5, 18, 5, 5, -2, 3)  # 105
  data.box(5, 18, 5, 5, 0, 3)  # 106
  data.box(5, 18, 5, 5, 3)  # 107
  data.box(5, 18, 5, 5, 3, "wide", area="large")  # 108
  data.box(5, 99, 5, 5, 3, 3)  # 109
  data.box(6, 18, 5, 5, 3, 3)  # 110
  data.box(5, None, 5, 5, 3, 3)  # 111
  data.box([5], 18, 5, 5, 3, 3)  # 112
  data.box(5, 18, 5, 5, float("nan"), 3)  # 113
  data.box(5, 18, 5, 5, 10**400, 3, area=9)  # 114
  data.content["annotations"].append("no object")
  found = data.read()
  np.testing.assert_array_equal(found.boxes[3:], [[0, 0, 3, 3]])
  assert found.clipped == 1
  assert found.skipped == {
    "a box outside its image": ("annotation 104",),
    "a box that is inverted or of zero area": (
      "annotation 105",
      "annotation 106",
    ),
    "an annotation without a box of 4 numbers": (
      "annotation 107",
      "annotation 108",
      "annotation 113",
      "annotation 114",
    ),
    "unknown category": (
      "annotation 109 (category 99)",
      "annotation 111 (category None)",
    ),
    "an annotation of an unlisted image": (
      "annotation 110",
      "annotation 112",
      "annotation at position 15",
    ),
  }
  with pytest.raises(
    errors.UsageError, match="12 of 16 boxes .*104.*max_skipped_fraction"
  ):
    data.read(max_skipped_fraction=0.7)


def test_missing_images_are_skipped_up_to_a_maximum_fraction(data):
  data.image(9)
  data.box(9, 18, 1, 1, 5, 5)
  (data.images / "0009.jpg").unlink()
  data.content["images"] += [
    {"id": 10, "file_name": "../instances.json", "width": 9, "height": 9},
    {"id": 11, "file_name": str(data.file), "width": 9, "height": 9},
    {"file_name": "0007.jpg"},
  ]
  found = data.read()
  assert found.num_images == 2 and found.num_boxes == 3
  outside = "a path outside the folder of images"
  assert found.skipped == {
    "no such image": ("0009.jpg",),
    outside: ("../instances.json", str(data.file)),
    "an image without id or file_name": ("image 5",),
    "an annotation of a skipped image": ("annotation 103",),
  }
  with pytest.raises(
    errors.UsageError, match="4 of 6 images .*max_skipped_fraction"
  ):
    data.read(max_skipped_fraction=0.5)


def test_a_missing_size_is_read_from_the_image(data):
  for entry in data.content["images"]:
    entry["width"] = None
  (data.images / "0005.jpg").write_bytes(b"damaged")
  found = data.read()
  np.testing.assert_array_equal(found.image_sizes, [[20, 10]])
  assert found.skipped == {"an image without a readable size": ("0005.jpg",)}


@pytest.mark.parametrize(
  ("part", "entry", "message"),
  [
    ("images", {"id": 7, "file_name": "a.jpg"}, "image id 7 twice"),
    ("categories", {"id": 3, "name": "bus"}, "category 3 twice .*'car', 'bus'"),
    ("categories", {"id": "c4", "name": "fox"}, "'c4'.*expected an id .*name"),
    ("categories", {"id": 4.5, "name": "fox"}, "4.5.*expected an id .*name"),
    ("categories", {"id": 4, "name": 4}, "4.*expected an id .* a name"),
    ("categories", 4, "a category of .* is 4; expected an id .* a name"),
  ],
)
def test_ambiguous_ids_and_names_are_errors(data, part, entry, message):
  data.content[part].append(entry)
  with pytest.raises(errors.UsageError, match=message):
    data.read()


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("{", "is not JSON"),
    ('{"images": [' + "9" * 5000 + "]}", "is not JSON"),
    ("[" * 100000, "is not JSON"),
    ("\udcff", "is not JSON"),
    ("[1]", "no list images and no list categories and no list annotations"),
    ('{"images": [], "categories": {}}', "no list categories and no list ann"),
  ],
)
def test_other_files_are_refused(data, text, message):
  data.file.write_bytes(text.encode("utf-8", "surrogateescape"))
  with pytest.raises(errors.UsageError, match=message):
    coco.read(str(data.file), str(data.images))


def test_a_class_that_is_listed_twice_is_one_class(data, caplog):
  # As exports of Roboflow: a group without objects, and the class.
  data.content["categories"].append({"id": 0, "name": "dog"})
  plain = data.read()
  assert plain.class_names == ("car", "dog")
  np.testing.assert_array_equal(plain.category_ids, [3, 18])
  np.testing.assert_array_equal(plain.class_ids, [1, 0, 0])
  assert "'dog' with the ids [0, 18]; read as one class, id 18" in caplog.text
  data.box(5, 0, 1, 1, 5, 5)
  merged = data.read()
  np.testing.assert_array_equal(merged.category_ids, [0, 3])
  np.testing.assert_array_equal(merged.class_ids, [0, 1, 1, 0])
  data.content["categories"].append({"id": 3, "name": "car"})
  np.testing.assert_array_equal(data.read().category_ids, [0, 3])
  del data.content["annotations"][:]
  np.testing.assert_array_equal(data.read().category_ids, [3, 18])


@pytest.mark.parametrize("convert", [str, float, lambda n: f" {float(n)} "])
def test_numbers_may_be_floats_or_text(data, convert):
  plain = data.read()

  def converted(value):
    if isinstance(value, dict):
      return {k: converted(v) for k, v in value.items()}
    if isinstance(value, list):
      return [converted(each) for each in value]
    return convert(value) if isinstance(value, int | float) else value

  data.content = converted(data.content)
  found = data.read()
  for name in ("boxes", "class_ids", "category_ids", "crowd", "areas"):
    np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
  assert found.image_sizes.tolist() == plain.image_sizes.tolist()
  assert list(map(float, found.image_ids)) == [7.0, 5.0]
  assert not found.skipped


def test_an_id_as_text_may_name_a_number_unless_it_is_ambiguous(data):
  data.content["annotations"][0]["image_id"] = "7"
  data.content["annotations"][1]["category_id"] = "3"
  assert data.read().image_index.tolist() == [0, 0, 0]
  data.content["images"][0]["id"] = "07"
  data.content["images"][1]["id"] = "7"
  found = data.read()
  assert found.image_ids == ("07", "7") and found.image_index.tolist() == [1]
  assert len(found.skipped["an annotation of an unlisted image"]) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_understood(data, encoding):
  plain = data.read()
  data.file.write_text(json.dumps(data.content), encoding=encoding)
  found = coco.read(str(data.file), str(data.images))
  np.testing.assert_array_equal(found.boxes, plain.boxes)


@pytest.mark.parametrize("side", [2**31, 2**40, 10**30, -20, 0, 0.5, "wide"])
def test_an_impossible_size_is_read_from_the_image(data, side):
  data.content["images"][0]["width"] = side
  np.testing.assert_array_equal(data.read().image_sizes, [[20, 10], [20, 10]])


@pytest.mark.parametrize("value", [2**31, 2.0**40, 1e308, -(2**62)])
def test_a_huge_coordinate_is_skipped(data, value):
  data.box(5, 18, value, 1, 3, 3)
  data.box(5, 18, 1, 1, value, 3)
  found = data.read()
  assert found.num_boxes == 3
  assert sum(map(len, found.skipped.values())) == 2


_STRANGE = [None, "\ud800", -1, 10**30, float("nan"), [[]], {"id": 7}]


def _places(value, path=()):
  yield path
  if isinstance(value, dict | list):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
      yield from _places(value[key], (*path, key))


def test_strange_values_at_any_place_give_an_error_or_sound_boxes(data):
  del data.content["info"], data.content["annotations"][1:]
  plain = json.dumps(data.content)
  refused = 0
  for path in list(_places(data.content))[1:]:
    for strange in _STRANGE:
      data.content = json.loads(plain)
      at = data.content
      for key in path[:-1]:
        at = at[key]
      at[path[-1]] = strange
      try:
        found = data.read(max_skipped_fraction=1.0)
      except errors.UsageError as error:
        assert "\n" not in str(error)
        refused += 1
        continue
      np.testing.assert_array_equal(found.image_sizes[:, 0], 20)
      assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
      assert (found.boxes >= 0).all() and np.isfinite(found.areas).all()
      assert (found.boxes[:, 2:] <= found.image_sizes[found.image_index]).all()
  assert refused > len(_STRANGE)


def test_a_deeply_nested_value_is_named_briefly(data):
  deep = json.loads("[" * 900 + "]" * 900)
  data.content["annotations"][0]["category_id"] = deep
  assert len(str(data.read().skipped)) < 200
  data.content["categories"][0] = deep
  with pytest.raises(errors.UsageError, match=r"is \[\[.*expected an id"):
    data.read()


def test_missing_categories_are_an_error(data):
  data.content["categories"], data.content["annotations"] = [], []
  with pytest.raises(errors.UsageError, match="no class in the annotations"):
    data.read()


def test_the_error_for_missing_data_says_what_to_download(data):
  with pytest.raises(
    errors.UsageError,
    match=r"cannot read .*nothing.json.*annotations_trainval2017.zip \(241 MB",
  ):
    coco.read(str(data.images / "nothing.json"), str(data.images))
  data.read()
  with pytest.raises(
    errors.UsageError,
    match=r"no images in .*\(2 skipped: no such image.*train2017.zip "
    r"\(118,287 images, 18 GB\)",
  ):
    coco.read(str(data.file), str(data.images / "elsewhere"))
  with pytest.raises(errors.UsageError, match="no folder of images was given"):
    coco.read(str(data.file), None)


def test_no_annotation_file_is_no_dataset():
  assert coco.read(None, None) is None


def test_real_annotations_equal_those_of_pycocotools(shared_data):
  file = str(shared_data / "coco/annotations/instances_train2017.json")
  found = coco.read(file, str(shared_data / "coco/train2017"))
  index = reference.COCO(file)
  assert found.num_images == len(index.imgs) == 128
  assert found.num_boxes == len(index.anns)
  assert int(found.crowd.sum()) == len(index.getAnnIds(iscrowd=True))
  for i, number in enumerate(found.image_ids):
    entries = index.loadAnns(index.getAnnIds(number))
    boxes = found.boxes[found.image_index == i]
    expected = np.array([e["bbox"] for e in entries], float).reshape(-1, 4)
    expected[:, 2:] += expected[:, :2]
    np.testing.assert_allclose(boxes, expected, atol=1e-3)
    assert {
      found.category_ids[c] for c in np.flatnonzero(found.targets[i] == 1)
    } == {e["category_id"] for e in entries if not e["iscrowd"]}
  assert not found.skipped and found.clipped == 0


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
