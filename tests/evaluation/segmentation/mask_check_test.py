"""Unusable images and masks are found before training."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import mask_folders
from tf_ssl.evaluation import seeds
from tf_ssl.evaluation.segmentation import mask_check

_GOOD = 20


def _write(root, spoil=None, good=_GOOD, **reading):
  """Twenty good pairs (ids 0 to 2, void 255), and what `spoil` adds."""
  for name in ("images", "masks"):
    (root / name).mkdir()
  mask = np.zeros([6, 8], np.uint8)
  mask[:, 2:4], mask[:, 4:6], mask[:, 6:] = 1, 2, 255
  for i in range(good):
    Image.new("RGB", [8, 6]).save(root / "images" / f"{i:02}.png")
    Image.fromarray(mask).save(root / "masks" / f"{i:02}.png")
  if spoil is not None:
    Image.new("RGB", [8, 6]).save(root / "images" / "bad.png")
    spoil(root, mask)
  return mask_folders.read(str(root / "images"), str(root / "masks"), **reading)


def _check(data, root, **changes):
  (root / "kept").mkdir(exist_ok=True)
  kept = seeds.KeptResults(str(root / "kept"))
  return mask_check.check(data, kept, role="train", **changes)


def _saved(mask):
  return lambda root, _: mask.save(root / "masks" / "bad.png")


def _bytes(folder, data):
  def spoil(root, mask):
    Image.fromarray(mask).save(root / "masks" / "bad.png")
    (root / folder / "bad.png").write_bytes(data)

  return spoil


def test_good_pairs_are_counted(tmp_path):
  found = _check(_write(tmp_path), tmp_path)
  assert found.num_classes == 3 and found.data.num_images == _GOOD
  np.testing.assert_array_equal(found.pixels, [12 * _GOOD] * 3)
  assert found.void_pixels == 12 * _GOOD
  assert not found.skipped


@pytest.mark.parametrize(
  ("spoil", "reason"),
  [
    (
      _saved(Image.new("L", [6, 8])),
      "the mask is 6x8 px, the image 8x6",
    ),
    (
      _saved(Image.new("RGB", [8, 6])),
      "the mask is a color image (RGB)",
    ),
    (_saved(Image.new("L", [8, 6], 255)), "the mask is all void"),
    (
      _saved(Image.new("L", [8, 6], 9)),
      "the mask has the id 9, which is beyond the classes 0 to 2 and void",
    ),
    (_bytes("masks", b""), "the mask is an empty file"),
    (_bytes("images", b""), "empty file"),
    (
      _bytes("images", b"\x89PNG nothing"),
      "truncated or corrupt PNG, or of an",
    ),
    (lambda root, mask: None, "no mask"),
  ],
)
def test_one_bad_example_is_skipped_and_named(tmp_path, spoil, reason):
  data = _write(tmp_path, spoil)
  found = _check(data, tmp_path, num_classes=3)
  assert list(found.skipped) == ["bad.png"]
  assert found.skipped["bad.png"].startswith(reason)
  assert found.data.num_images == _GOOD
  np.testing.assert_array_equal(found.pixels, [12 * _GOOD] * 3)


def test_several_ids_beyond_the_named_classes_are_counted(tmp_path):
  (tmp_path / "c.yaml").write_text("{0: a, 1: b, 2: c, 40: d}")
  values = np.arange(48, dtype=np.uint8).reshape(6, 8)
  data = _write(
    tmp_path, _saved(Image.fromarray(values)), classes=str(tmp_path / "c.yaml")
  )
  found = _check(data, tmp_path)
  assert found.num_classes == 4
  assert found.skipped["bad.png"] == (
    "the mask has the id 3 and 43 more, which is beyond the classes 0 to 40 (4 "
    "of them) and void (255)"
  )


def test_too_many_bad_examples_are_an_error_that_names_one(tmp_path):
  data = _write(tmp_path, _saved(Image.new("RGB", [8, 6])), good=3)
  with pytest.raises(
    errors.UsageError,
    match="1 of 4 .*bad.png.*RGB.*max_skipped_fraction",
  ):
    _check(data, tmp_path)
  found = _check(data, tmp_path, max_skipped_fraction=0.3)
  assert found.data.num_images == 3


def test_masks_of_void_alone_are_an_error(tmp_path):
  data = _write(tmp_path, _saved(Image.new("L", [8, 6], 255)), good=0)
  with pytest.raises(errors.UsageError, match="1 of 1 .* all void"):
    _check(data, tmp_path)
  with pytest.raises(errors.UsageError, match="none of 1 "):
    _check(data, tmp_path, max_skipped_fraction=1.0)


def _binary(root, values=(0, 255), **reading):
  """Four images with masks of two values."""
  for name in ("images", "masks"):
    (root / name).mkdir()
  mask = np.full([6, 8], values[0], np.uint8)
  mask[:3] = values[1]
  for i in range(4):
    Image.new("RGB", [8, 6]).save(root / "images" / f"{i}.png")
    Image.fromarray(mask).save(root / "masks" / f"{i}.png")
  return mask_folders.read(str(root / "images"), str(root / "masks"), **reading)


def _roles(found):
  return {"train": found, "test": found}


def test_one_class_beside_void_is_refused_with_what_to_set(tmp_path):
  found = _check(_binary(tmp_path), tmp_path)
  with pytest.raises(
    errors.UsageError,
    match=r"MASKS \(.*masks\) has a single class, 'class 0' \(96 pixels\); .* "
    r"50 % of the pixels are void.* 255; .*set CLASS_IDS=\(0, 255\)",
  ):
    mask_check.check_classes(_roles(found), ["class 0"])


def test_one_class_without_void_is_refused(tmp_path):
  found = _check(_binary(tmp_path, (0, 0)), tmp_path)
  with pytest.raises(errors.UsageError, match="single class.*more classes$"):
    mask_check.check_classes(_roles(found), ["class 0"])


def test_class_ids_make_two_classes_of_0_and_255(tmp_path):
  found = _check(_binary(tmp_path, class_ids=(0, 255)), tmp_path)
  assert found.num_classes == 2 and found.void_pixels == 0
  np.testing.assert_array_equal(found.pixels, [96, 96])
  assert mask_check.check_classes(_roles(found), ["a", "b"]) == []


def test_checked_masks_are_not_read_again(tmp_path):
  data = _write(tmp_path)
  first = _check(data, tmp_path)
  for path in (tmp_path / "masks").iterdir():
    path.unlink()
  again = _check(data, tmp_path)
  np.testing.assert_array_equal(first.pixels, again.pixels)


def test_real_masks_fit_their_images(shared_data, tmp_path):
  """The first ten of COCO's, of different sizes."""
  coco = shared_data / "coco"
  data = mask_folders.read(
    str(coco / "train2017"),
    str(coco / "semantic_masks" / "train2017"),
    classes=str(coco / "semantic_masks" / "classes.yaml"),
    void_ids=(0,),
  )
  found = _check(data.take(range(10)), tmp_path)
  assert found.data.num_images == 10
  assert found.num_classes == len(data.class_names)
  with Image.open(data.masks.path(0)) as mask:
    values = np.asarray(mask)
  assert found.pixels.sum() + found.void_pixels > values.size


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
