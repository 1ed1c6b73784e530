"""Masks drawn from COCO's JSON: a small folder, resumed, and bad input."""

import json
import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageOps

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.datasets.masks import coco_masks, object_masks

_POLYGON = [[2, 3, 7, 3, 7, 9, 2, 9]]


class _Data:
  """An annotation file and its images."""

  def __init__(self, root):
    self.file, self.images = root / "instances.json", root / "images"
    self.masks = root / "masks"
    self.content = {"categories": [], "images": [], "annotations": []}

  def image(self, name, *segmentations, size=(20, 10), given=None, **saved):
    """Adds an image with objects; `given` is the size in the file."""
    path = self.images / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, **saved)
    number = len(self.content["images"])
    width, height = given or size
    entry = {"id": number, "file_name": name, "width": width, "height": height}
    self.content["images"].append(entry)
    for segmentation in segmentations:
      self.object(number, segmentation)

  def object(self, image, segmentation, **changes):
    number = 100 + len(self.content["annotations"])
    entry = {"id": number, "image_id": image, "segmentation": segmentation}
    self.content["annotations"].append({**entry, **changes})

  def write(self, **options):
    self.file.write_text(json.dumps(self.content))
    return coco_masks.write(
      str(self.file), str(self.images), str(self.masks), **options
    )

  def mask(self, name):
    with Image.open(self.masks / name) as image:
      assert image.mode == "L" and image.format == "PNG"
      return np.asarray(image)

  def files(self):
    paths = self.masks.rglob("*.png")
    return sorted(path.relative_to(self.masks).as_posix() for path in paths)


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  """Images with an object, below a folder with two, and without one."""
  data = _Data(tmp_path)
  data.image("a.jpg", _POLYGON)
  data.image("sub/b.png", _POLYGON, {"size": [10, 20], "counts": [150, 20, 30]})
  data.image("empty.jpg")
  return data


def rectangle(x0, y0, x1, y1, size=(20, 10)):
  expected = np.zeros(size[::-1], np.uint8)
  expected[y0:y1, x0:x1] = 255
  return expected


def test_masks_have_the_paths_of_their_images_and_training_finds_them(data):
  written = data.write()
  assert written._replace(path="") == ("", 2, 0, 1, 0, {})
  assert data.files() == ["a.png", "sub/b.png"]
  np.testing.assert_array_equal(data.mask("a.png"), rectangle(2, 3, 7, 9))
  np.testing.assert_array_equal(
    data.mask("sub/b.png"), rectangle(2, 3, 7, 9) | rectangle(15, 0, 17, 10)
  )
  found = object_masks.ObjectMasks(folder=str(data.masks)).attach(
    image_folder.read(str(data.images))
  )
  assert found.masks.known.tolist() == [True, False, True]


def test_crowds_are_left_out_as_their_boxes_are(data):
  data.image("crowd.jpg")
  for image in (0, 3):
    data.object(image, {"size": [10, 20], "counts": [0, 200]}, iscrowd=1)
  written = data.write()
  np.testing.assert_array_equal(data.mask("a.png"), rectangle(2, 3, 7, 9))
  assert data.files() == ["a.png", "sub/b.png"]
  assert written.without_objects == 2
  assert written.skipped == {"a crowd": ["annotation 103", "annotation 104"]}


def test_objects_without_a_usable_outline_are_counted(data):
  data.image("boxes.jpg", [], None)
  data.object(0, _POLYGON[0])
  data.object(0, [[2, 3, 7, 3, 7, 9, 2]])
  data.object(99, _POLYGON)
  written = data.write()
  assert data.files() == ["a.png", "sub/b.png"]
  assert (written.masks, written.without_outline) == (2, 1)
  assert {reason: len(names) for reason, names in written.skipped.items()} == {
    "an object without a segmentation": 2,
    "a segmentation that is neither polygons nor an RLE": 1,
    "a polygon with an odd number of coordinates": 1,
    "an annotation of an unlisted image": 1,
  }


def test_outlines_scale_with_copies_and_not_with_cropped_ones(data):
  data.image("half.jpg", [[4, 6, 14, 6, 14, 18, 4, 18]], given=(40, 20))
  data.image("rounded.jpg", _POLYGON, size=(199, 100), given=(20, 10))
  data.image("cropped.jpg", _POLYGON, given=(20, 12))
  written = data.write()
  np.testing.assert_array_equal(data.mask("half.png"), rectangle(2, 3, 7, 9))
  assert data.mask("rounded.png").shape == (100, 199)
  assert abs((data.mask("rounded.png") > 0).mean() - 30 / 200) < 0.01
  assert written.skipped == {
    "an image of another aspect ratio than its annotations": ["cropped.jpg"]
  }


@pytest.mark.parametrize("stored", [False, True])
def test_masks_are_upright(tmp_path, stored):
  """Outlines of a turned photo, upright or, if the size says so, as stored."""
  data, expected = _Data(tmp_path), {}
  for number in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = number
    picture = Image.fromarray(rectangle(2, 3, 7, 9))
    picture.getexif()[0x0112] = number
    upright = np.asarray(ImageOps.exif_transpose(picture))
    given, polygon = (20, 10), _POLYGON
    if not stored or number < 5:
      given = upright.shape[::-1]
      ys, xs = np.nonzero(upright)
      x0, y0, x1, y1 = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
      corners = [x0, y0, x1, y0, x1, y1, x0, y1]
      polygon = [[int(corner) for corner in corners]]
    data.image(f"{number}.jpg", polygon, given=given, exif=exif)
    expected[f"{number}.png"] = upright
  assert data.write().masks == 8
  for name, upright in expected.items():
    np.testing.assert_array_equal(data.mask(name), upright)


def test_an_interrupted_call_continues_and_keeps_what_is_there(
  data, monkeypatch
):
  def interrupted(rles):
    if (data.masks / "a.png").exists():
      raise KeyboardInterrupt
    return drawn(rles)

  drawn = coco_masks.coco_outlines.pixels
  monkeypatch.setattr(coco_masks, "_THREADS", 1)
  monkeypatch.setattr(coco_masks.coco_outlines, "pixels", interrupted)
  with pytest.raises(KeyboardInterrupt):
    data.write()
  assert data.files() == ["a.png"]
  monkeypatch.setattr(coco_masks.coco_outlines, "pixels", drawn)
  before = (data.masks / "a.png").stat()
  time.sleep(0.01)
  written = data.write()
  assert (written.masks, written.resumed) == (2, 1)
  assert (data.masks / "a.png").stat().st_mtime_ns == before.st_mtime_ns
  # An image in another size gets another mask.
  Image.new("RGB", (40, 20)).save(data.images / "a.jpg")
  assert data.write().resumed == 1
  assert data.mask("a.png").shape == (20, 40)
  assert data.write().resumed == 2


def test_masks_of_other_annotations_are_replaced_only_if_told(data):
  data.write()
  data.content["annotations"].pop(0)
  with pytest.raises(errors.UsageError, match="different: annotations"):
    data.write()
  assert data.files() == ["a.png", "sub/b.png"]
  data.write(overwrite=True)
  assert data.files() == ["sub/b.png"]


def test_images_that_would_share_a_mask_get_none(data):
  data.image("a.png")
  data.image("./sub/b.jpg", _POLYGON)
  data.image("c.jpg", _POLYGON)
  written = data.write()
  assert data.files() == ["c.png"]
  assert written.skipped == {
    "an image with the name of another": ["a.jpg", "sub/b.png", "./sub/b.jpg"]
  }


def test_unreadable_and_missing_images_are_counted(data):
  data.image("broken.jpg", _POLYGON)
  data.image("gone.jpg", _POLYGON)
  (data.images / "broken.jpg").write_bytes(b"no image")
  (data.images / "gone.jpg").unlink()
  written = data.write()
  assert written.masks == 2
  assert written.skipped == {
    "an image without a readable size": ["broken.jpg"],
    "no such image": ["gone.jpg"],
    "an annotation of a skipped image": ["annotation 104"],
  }


def test_annotations_without_outlines_are_refused(data):
  for entry in data.content["annotations"]:
    entry["segmentation"] = []
  with pytest.raises(
    errors.UsageError, match="none of 3 objects in 3 images has a segmentation"
  ):
    data.write()
  data.content["annotations"][0]["segmentation"] = [[1, 2]]
  with pytest.raises(errors.UsageError, match="fewer than 3.*annotation 100"):
    data.write()
  assert not data.files()


@pytest.mark.parametrize("name", ["boxes.csv", "a.xml", "xml"])
def test_formats_of_boxes_are_refused(data, tmp_path, name):
  path = tmp_path / name
  if "." in name:
    path.write_text("path,xmin,ymin,xmax,ymax\n")
  else:
    path.mkdir()
  with pytest.raises(errors.UsageError, match="boxes of VOC or of a CSV file"):
    coco_masks.write(str(path), str(data.images), str(data.masks))
  assert not data.masks.exists()


def test_folders_that_cannot_be_meant_are_refused(data, tmp_path):
  with pytest.raises(errors.UsageError, match="in the folder of the images"):
    data.masks = data.images / "masks"
    data.write()
  data.masks = tmp_path
  with pytest.raises(errors.UsageError, match="files of another origin"):
    data.write()
  data.masks = tmp_path / "masks"
  images, data.images = data.images, tmp_path / "elsewhere"
  with pytest.raises(errors.UsageError, match="elsewhere.*no such folder"):
    data.write()
  data.images.mkdir()
  with pytest.raises(errors.UsageError, match="no images in .*no such image"):
    data.write()
  data.images = images
  data.masks.write_text("")
  with pytest.raises(errors.UsageError, match="cannot write to"):
    data.write()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
