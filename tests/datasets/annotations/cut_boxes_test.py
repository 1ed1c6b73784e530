import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets.annotations import collector, cut_boxes


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  """Two images of 100x50 px with five boxes; classes cat and dog."""
  collected = collector.Collector(str(tmp_path))
  for name in ("a", "b"):
    (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    collected.add_image(f"{name}.jpg", name, (100, 50))
  collected.add_box(0, (10.4, 10.6, 30.2, 20.5), 1, "0")
  collected.add_box(0, (0, 0, 100, 4), 0, "1")  # small
  collected.add_box(0, (0, 0, 100, 50), 0, "2", crowd=True)
  collected.add_box(1, (50, 25, 100, 50), 0, "3", difficult=True)
  collected.add_box(1, (0, 0, 10, 9.9), 1, "4")  # small by a tenth of a pixel
  return collected.build(
    source="data",
    class_names=("cat", "dog"),
    expected="images",
    max_skipped_fraction=0.5,
  )


def test_regions_are_whole_pixels_that_cover_the_boxes(data):
  found = cut_boxes.cut(data, min_size=9)
  np.testing.assert_array_equal(
    found.images.boxes,
    [[10, 10, 31, 21], [50, 25, 100, 50], [0, 0, 10, 10]],
  )
  assert found.images.boxes.dtype == np.int32
  np.testing.assert_array_equal(found.box_index, [0, 3, 4])
  np.testing.assert_array_equal(found.image_index, [0, 1, 1])
  assert [found.images.name(i) for i in range(3)] == ["a.jpg", "b.jpg", "b.jpg"]
  np.testing.assert_array_equal(found.images.labels, [1, 0, 1])
  assert found.images.class_names == ("cat", "dog")


def test_a_difficult_box_is_an_ignored_target(data):
  found = cut_boxes.cut(data, min_size=9)
  np.testing.assert_array_equal(found.targets, [[0, 1], [-1, 0], [0, 1]])


def test_small_boxes_and_crowds_are_skipped_and_counted(data):
  found = cut_boxes.cut(data, min_size=10)
  # The first is 9.9 px high, too.
  np.testing.assert_array_equal(found.box_index, [3])
  assert found.skipped == {"shorter side below 10 px": 3, "a crowd": 1}


def test_context_extends_boxes_up_to_the_border(data):
  found = cut_boxes.cut(data, min_size=9, context=0.5)
  # 19.8 x 9.9 px at (10.4, 10.6): 9.9 and 4.95 px more on every side.
  np.testing.assert_array_equal(
    found.images.boxes[:2], [[0, 5, 41, 26], [25, 12, 100, 50]]
  )


def test_it_is_an_error_if_no_box_is_large_enough(data):
  with pytest.raises(
    errors.UsageError,
    match=r"data: none of 5 boxes can be cut out \(4: shorter side below 60 px,"
    r" 1: a crowd\); .* min_size",
  ):
    cut_boxes.cut(data, min_size=60)


@pytest.mark.parametrize(
  "settings", [{"min_size": 1}, {"context": -0.1}, {"context": float("nan")}]
)
def test_settings_out_of_range_are_refused(data, settings):
  with pytest.raises(errors.UsageError, match="min_size is .* and context"):
    cut_boxes.cut(data, **settings)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
