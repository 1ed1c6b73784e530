"""Tests of tf_ssl.datasets.annotations.collector."""

import math
import os
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageOps

from tf_ssl import errors
from tf_ssl.datasets.annotations import collector


@pytest.fixture(name="collected")
def fixture_collected(tmp_path):
  """A collector with one image of 20x10 px."""
  Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
  found = collector.Collector(str(tmp_path))
  assert found.add_image("a.png", 7, None) == 0
  return found


def _build(collected, **changes):
  settings = {
    "source": "mine",
    "class_names": ("cat", "dog"),
    "expected": "images; change MINE",
    "max_skipped_fraction": 0.0,
    **changes,
  }
  return collected.build(**settings)


def test_sizes_come_from_the_header_or_from_the_source(collected, tmp_path):
  (tmp_path / "b.jpg").write_bytes(b"12345")
  assert collected.add_image("b.jpg", "b", (3, 4)) == 1
  found = _build(collected)
  assert found.image_sizes.tolist() == [[20, 10], [3, 4]]
  assert found.image_ids == (7, "b")
  assert found.images.sizes.tolist() == [os.path.getsize(tmp_path / "a.png"), 5]
  assert found.images.path(1) == str(tmp_path / "b.jpg")


def test_an_image_is_found_in_another_unicode_form(collected, tmp_path):
  stored, listed = (unicodedata.normalize(f, "é.jpg") for f in ("NFD", "NFC"))
  (tmp_path / stored).touch()
  index = collected.add_image(listed, 8, (3, 4))
  assert _build(collected).images.path(index) == str(tmp_path / stored)


def test_class_names_fit_every_report(collected):
  found = _build(collected, class_names=("\udcff", "\ud800", "a\nb"))
  assert found.class_names == (r"\xff", r"\ud800", r"a\nb")


@pytest.mark.parametrize(
  ("file", "reason"),
  [
    ("../a.png", "outside"),
    ("x/../../a.png", "outside"),
    ("x\\..\\a.png", "outside"),
    ("/etc/passwd", "outside"),
    ("", "outside"),
    ("gone.png", "no such image"),
    ("folder", "no such image"),
    ("nul\0.png", "no such image"),
    ("text.png", "readable size"),
  ],
)
def test_an_image_that_cannot_be_used_is_skipped(
  collected, tmp_path, file, reason
):
  (tmp_path / "folder").mkdir()
  (tmp_path / "text.png").write_text("no image")
  assert collected.add_image(file, 0, None) is None
  found = _build(collected, max_skipped_fraction=0.5)
  [(told, names)] = found.skipped.items()
  assert reason in told and names == (file,)
  assert found.num_images == 1
  with pytest.raises(errors.UsageError, match="1 of 2 images.*mine|mine.*1 of"):
    _build(collected, max_skipped_fraction=0.49)


@pytest.mark.parametrize(
  "listed",
  [
    "{root}/sub/b c.png",
    "{root}/sub/../sub/b c.png",
    "{link}/sub/b c.png",
    "/data/old/{name}/sub/b c.png",
    "C:\\data\\{name}\\sub\\b c.png",
    "{name}/sub/b c.png",
    "../data/{name}/sub/b c.png",
    "sub\\b c.png",
    " sub/b c.png ",
  ],
)
def test_paths_of_other_tools_are_found(tmp_path, listed):
  folder, link = tmp_path / "images", tmp_path / "link"
  (folder / "sub").mkdir(parents=True)
  link.symlink_to(folder)
  Image.new("RGB", (20, 10)).save(folder / "sub/b c.png")
  names = {"root": folder, "link": link, "name": folder.name}
  for root in (folder, link):
    collected = collector.Collector(str(root))
    file = listed.format(**names | {"name": root.name})
    if "{link}" in listed and root == folder:
      continue  # Only the root may be a link.
    assert collected.add_image(file, 7, None) == 0
    assert _build(collected).images.name(0) == "sub/b c.png"


@pytest.mark.parametrize("listed", ["{root}/../a.png", "/old/{name}/../a.png"])
def test_an_absolute_path_does_not_leave_the_root(tmp_path, listed):
  (tmp_path / "images").mkdir()
  Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
  collected = collector.Collector(str(tmp_path / "images"))
  file = listed.format(root=tmp_path / "images", name="images")
  assert collected.add_image(file, 7, None) is None


@pytest.mark.parametrize(
  ("given", "size", "told"),
  [
    ((20, 10), (20, 10), ""),
    (("20", 10.0), (20, 10), ""),
    ((0, None), (20, 10), ""),
    (("", "0"), (20, 10), ""),
    ((40, 20), (40, 20), "annotated as 40x20"),
    ((10, 20), (20, 10), "annotated as 10x20"),
    ((2**40, 10), (20, 10), "annotated as 1099511627776x10"),
    ((0.5, 10), (20, 10), "annotated as 0.5x10"),
    ((-20, 10), (20, 10), "annotated as -20x10"),
    (("wide", 10), (20, 10), "annotated as 'wide'x10"),
  ],
)
def test_a_size_that_is_not_the_images_is_told(
  collected, tmp_path, caplog, given, size, told
):
  for name in ("b.png", "c.png"):
    Image.new("RGB", (20, 10)).save(tmp_path / name)
    collected.add_image(name, name, given)
  collected.add_box(1, (0, 0, 20, 10), 0, "box")
  found = _build(collected)
  assert found.image_sizes[1:].tolist() == [list(size)] * 2
  warnings = [record.getMessage() for record in caplog.records]
  assert len(warnings) == bool(told)
  if told:
    assert "2 of 3 images have another size" in warnings[0]
    assert f"'b.png' (20x10 px, {told})" in warnings[0]


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("stored", [False, True])
def test_boxes_of_photographs_are_turned_upright(
  tmp_path, caplog, number, stored
):
  exif = Image.Exif()
  exif[0x0112] = number
  pixels = Image.new("RGB", (32, 16))
  pixels.paste((255, 0, 0), (4, 2, 14, 7))
  pixels.save(tmp_path / "a.jpg", exif=exif, quality=95)
  upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
  ys, xs = np.nonzero(np.asarray(upright)[..., 0] > 128)
  box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
  collected = collector.Collector(str(tmp_path))
  collected.add_image("a.jpg", 0, pixels.size if stored else upright.size)
  quarter = number >= 5
  collected.add_box(0, (4, 2, 14, 7) if stored and quarter else box, 0, "box")
  found = _build(collected)
  np.testing.assert_array_equal(found.boxes, [box])
  np.testing.assert_array_equal(found.image_sizes, [upright.size])
  assert ("1 of 1 images are annotated as stored" in caplog.text) == (
    stored and quarter
  )


@pytest.mark.parametrize(
  ("corners", "inside", "clipped"),
  [
    ((1, 2, 3, 4), (1, 2, 3, 4), 0),
    ((-3, -4, 30, 40), (0, 0, 20, 10), 1),
    ((0, 0, 20.4, 10), (0, 0, 20, 10), 0),  # Rounding of the source.
    ((19.5, 9.5, 21, 11), (19.5, 9.5, 20, 10), 1),
  ],
)
def test_boxes_are_clipped_to_their_image(collected, corners, inside, clipped):
  collected.add_box(0, corners, 1, "box")
  found = _build(collected)
  np.testing.assert_allclose(found.boxes, [inside])
  xmin, ymin, xmax, ymax = inside
  np.testing.assert_allclose(found.areas, [(xmax - xmin) * (ymax - ymin)])
  assert found.clipped == clipped and not found.skipped


@pytest.mark.parametrize("unit", [1, 10])
def test_boxes_as_fractions_are_told(collected, caplog, unit):
  for corner in (0.5, 0.75):
    collected.add_box(0, (0, 0, corner * unit, 0.5 * unit), 0, "box")
  _build(collected)
  assert ("2 boxes lie within the first pixel" in caplog.text) == (unit == 1)


@pytest.mark.parametrize("area", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_area_becomes_that_of_the_box(collected, area):
  collected.add_box(0, (0, 0, 4, 5), 0, "one", area=area)
  collected.add_box(0, (0, 0, 4, 5), 0, "two", area=7.5)
  assert _build(collected).areas.tolist() == [20.0, 7.5]


@pytest.mark.parametrize(
  ("corners", "reason"),
  [
    ((0, 0, math.nan, 1), "not finite"),
    ((0, 0, math.inf, 1), "not finite"),
    ((0, 0, 2.0**31, 1), "not finite"),
    ((3, 0, 3, 1), "zero area"),
    ((4, 0, 3, 1), "zero area"),
    ((20, 0, 25, 1), "outside"),
    ((-5, 0, 0, 1), "outside"),
    ((0, 10, 1, 12), "outside"),
  ],
)
def test_a_box_that_cannot_be_used_is_skipped(collected, corners, reason):
  collected.add_box(0, corners, 1, "bad")
  collected.add_box(0, (0, 0, 1, 1), 0, "good")
  found = _build(collected, max_skipped_fraction=0.5)
  [(told, names)] = found.skipped.items()
  assert reason in told and names == ("bad",)
  assert found.num_boxes == 1
  # The image is not known to show no object of the other class.
  np.testing.assert_array_equal(found.targets, [[1, -1]])
  with pytest.raises(
    errors.UsageError, match="1 of 2 boxes .*max_skipped_fraction"
  ):
    _build(collected, max_skipped_fraction=0.49)


def test_other_skipped_inputs_do_not_count(collected):
  for number in range(9):
    collected.skip("not XML", str(number))
  assert _build(collected).skipped == {"not XML": tuple("012345678")}


def test_without_an_image_or_a_class_nothing_is_returned(collected, tmp_path):
  with pytest.raises(errors.UsageError, match="1 images, 0 boxes.*change MINE"):
    _build(collected, class_names=())
  empty = collector.Collector(str(tmp_path))
  empty.skip_image("no such image", "x.png")
  with pytest.raises(errors.UsageError, match="x.png.*change MINE"):
    _build(empty, max_skipped_fraction=1.0)


def test_given_targets_and_categories_are_kept(collected):
  targets = np.array([[-1, 1]], np.int8)
  found = _build(collected, targets=targets, category_ids=[3, 90])
  np.testing.assert_array_equal(found.targets, targets)
  assert found.category_ids.tolist() == [3, 90]
  assert _build(collected).category_ids.tolist() == [0, 1]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
