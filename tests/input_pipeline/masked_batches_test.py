"""Tests of tf_ssl.input_pipeline.masked_batches."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.masks import mask_folders
from tf_ssl.input_pipeline import masked_batches


@pytest.fixture(scope="module", name="data")
def fixture_data(tmp_path_factory):
  """Six images whose gray level is 40 times their mask; ids 2 to 4, void 9."""
  root = tmp_path_factory.mktemp("masked")
  for name in ("images", "masks"):
    (root / name).mkdir()
  for i in range(6):
    mask = np.full([16, 24], 2 + i % 3, np.uint8)
    mask[:8, :12] = 9
    Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    gray = np.repeat(20 * mask[..., None], 3, axis=2)
    Image.fromarray(gray).save(root / "images" / f"{i}.png")
  (root / "classes.txt").write_text("2: a\n3: b\n4: c\n")
  return mask_folders.read(
    str(root / "images"),
    str(root / "masks"),
    classes=str(root / "classes.txt"),
    void_ids=(9,),
  )


def _batches(data, **changes):
  settings = {
    "num_classes": 3,
    "sides": (12, 16),
    "scales": (0.5, 2.0),
    "batch_size": 4,
    "seed": 1,
    "num_steps": 6,
    **changes,
  }
  return list(
    masked_batches.training_batches(data, **settings).as_numpy_iterator()
  )


def test_labels_are_the_classes_of_the_pixels(data):
  batches = _batches(data)
  assert len(batches) == 6
  for image, label in batches:
    assert image.shape == (4, 12, 16, 3) and image.dtype == np.uint8
    assert label.shape == (4, 12, 16) and label.dtype == np.int32
    assert set(np.unique(label)) <= {-1, 0, 1, 2}
    for one, classes in zip(image, label, strict=True):
      (number,) = set(np.unique(classes)) - {-1}
      exact = one[..., 0] == 20 * (2 + number)
      assert exact[classes >= 0].mean() > 0.5  # Others are near a border.


def test_batches_are_a_function_of_seed_and_step(data):
  whole = _batches(data)
  for first, rest in ((2, whole[2:]), (0, whole)):
    for a, b in zip(_batches(data, start_step=first), rest, strict=True):
      np.testing.assert_array_equal(a[0], b[0])
      np.testing.assert_array_equal(a[1], b[1])
  assert not np.array_equal(whole[0][0], _batches(data, seed=2)[0][0])


def test_every_image_appears_once_per_epoch(data):
  batches = _batches(data, batch_size=6, num_steps=2)
  for _, label in batches:
    assert sorted(one.max() for one in label) == [0, 0, 1, 1, 2, 2]
  assert not np.array_equal(batches[0][1], batches[1][1])


def test_full_images_keep_their_aspect_ratio_and_masks_their_size(data):
  found = list(masked_batches.whole_images(data, num_classes=3, sides=(12, 12)))
  assert [int(each.index) for each in found] == list(range(6))
  for i, each in enumerate(found):
    assert each.image.shape == (1, 8, 12, 3)
    assert each.mask.shape == (16, 24)
    assert (each.mask.numpy()[:8, :12] == -1).all()
    assert (each.mask.numpy()[8:] == i % 3).all()
    assert abs(float(each.image[0, -1, -1, 0]) - 20 * (2 + i % 3)) < 0.01


def test_settings_out_of_range_are_named(data):
  for changes in (
    {"sides": (1, 16)},
    {"batch_size": 0},
    {"scales": (0.0, 1.0)},
    {"scales": (2.0, 1.0)},
  ):
    with pytest.raises(errors.UsageError, match="image_size=.*scales="):
      _batches(data, **changes)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
