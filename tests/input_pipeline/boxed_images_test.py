"""Tests of tf_ssl.input_pipeline.boxed_images on rendered boxes."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.detection import scenes_reference as scenes
from tf_ssl import errors
from tf_ssl.input_pipeline import boxed_images
from tf_ssl.input_pipeline import skipped as skipped_lib

_BOXES = [
  [(3, 8, 4, 20, 12), (18, 44, 20, 16, 8)],
  [(18, 0, 0, 32, 16)],
  [],
]


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  return scenes.write(tmp_path, _BOXES, sides=(32, 64))


def examples(data, stop, start=0, seed=0, skipped=None):
  skipped = skipped or skipped_lib.SkippedFiles(None, data.num_images)
  dataset = boxed_images.training_examples(
    data, image_size=32, seed=seed, start=start, stop=stop, skipped=skipped
  )
  return [
    boxed_images.BoxedImage(*example) for example in dataset.as_numpy_iterator()
  ]


def test_boxes_contain_their_objects_flipped_or_not(data):
  found = examples(data, 24)
  lefts = set()
  for example in found:
    assert example.image.shape == (32, 32, 3)
    for box, class_id in zip(example.boxes, example.class_ids, strict=True):
      xmin, ymin, xmax, ymax = box.astype(int)  # All sizes are even.
      inside = example.image[ymin + 1 : ymax - 1, xmin + 1 : xmax - 1]
      color = scenes.COLORS[(3, 18)[class_id]]
      assert np.abs(inside.astype(int) - color).max() <= 1
      lefts.add((int(class_id), xmin, xmax))
  assert lefts == {
    (0, 4, 14),
    (0, 18, 28),  # The same box, flipped.
    (1, 22, 30),
    (1, 2, 10),
    (1, 0, 16),
    (1, 16, 32),
  }
  # Each epoch has each image once.
  counts = [len(example.boxes) for example in found]
  assert [sorted(counts[i : i + 3]) for i in (0, 3, 6)] == [[0, 1, 2]] * 3


def test_padding_has_the_mean_color(data):
  for example in examples(data, 3):
    below = example.image[16:].reshape(-1, 3)
    np.testing.assert_array_equal(
      below, np.tile([[124, 116, 104]], (len(below), 1))
    )


def test_an_example_depends_only_on_seed_and_number(data):
  whole, rest = examples(data, 12), examples(data, 12, start=5)
  for one, other in zip(whole[5:], rest, strict=True):
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.boxes, other.boxes)
  others = examples(data, 12, seed=1)
  assert any(
    (one.image != other.image).any()
    for one, other in zip(whole, others, strict=True)
  )


def test_crowds_and_difficult_objects_are_excluded(data):
  crowd = data._replace(crowd=np.array([True, False, False]))
  difficult = data._replace(difficult=np.array([True, False, False]))
  for less in (crowd, difficult):
    assert {tuple(e.class_ids) for e in examples(less, 3)} == {(1,), ()}


def test_an_undecodable_image_is_replaced(data, tmp_path):
  path = tmp_path / "images" / "001.png"
  path.write_bytes(path.read_bytes()[:200])
  skipped = skipped_lib.SkippedFiles(None, 3, 0.5)
  found = examples(data, 9, skipped=skipped)
  assert {len(example.boxes) for example in found} == {0, 2}
  assert list(skipped.reasons) == ["001.png"]
  assert "corrupt PNG" in skipped.reasons["001.png"]


def test_images_with_another_aspect_ratio_than_their_boxes_are_skipped(
  data, tmp_path
):
  folder = tmp_path / "images"
  Image.open(folder / "000.png").resize((128, 64)).save(folder / "000.png")
  Image.open(folder / "001.png").resize((32, 64)).save(folder / "001.png")
  kept, skipped = boxed_images.of_annotated_shape(
    data, max_skipped_fraction=0.5
  )
  assert kept.image_ids == (100, 102)  # A larger copy is accepted.
  assert list(skipped) == ["001.png"]
  assert re.search("32x64.*64x32", skipped["001.png"])
  boxes = next(e.boxes for e in examples(kept, 2) if len(e.boxes))
  assert boxes[:, 2].max() <= 32
  with pytest.raises(
    errors.UsageError, match="1 of 3 .*32x64.*max_skipped_fraction"
  ):
    boxed_images.of_annotated_shape(data, max_skipped_fraction=0.1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
