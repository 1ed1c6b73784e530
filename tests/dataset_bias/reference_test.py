"""Boxes of the references match the rendered pictures."""

import sys

import numpy as np
import pytest

from tf_ssl.dataset_bias import image_statistics, reference
from tf_ssl.rendering import scene, stills, synthetic


def test_boxes_match_the_painted_pictures():
  found = reference.references(2)
  assert list(found) == list(reference.MEANING)
  objects, scenes = found.values()
  factors = synthetic.random_factors(0, 1)
  # Of the whole object, what an occluder hides included.
  mask = stills.render_with_mask(factors, image_size=96, seed=0).mask
  np.testing.assert_array_equal(objects.boxes[1], scene.bounding_box(mask))
  assert objects.classes[1] == factors.category
  video = synthetic.render_video(0, 0, 1, image_size=96)
  large = np.prod(video.boxes[0, :, 2:] - video.boxes[0, :, :2], axis=1) >= 8
  first = slice(scenes.offsets[0], scenes.offsets[1])
  np.testing.assert_array_equal(scenes.boxes[first], video.boxes[0][large])
  np.testing.assert_array_equal(scenes.classes[first], video.categories[large])


def test_pictures_show_the_referenced_scenes():
  paint_object, paint_scene = reference.PICTURES.values()
  np.testing.assert_array_equal(
    paint_object(1, 3), synthetic.render_index(1, 3, 240)
  )
  assert paint_scene(1, 0).shape == (240, 240, 3)


def test_objects_are_large_and_central_and_scenes_are_not():
  objects, scenes = map(
    image_statistics.of_images, reference.references(12).values()
  )
  assert (objects.objects == 1).all()
  assert scenes.objects.mean() > 3
  assert objects.largest_area.mean() > 3 * scenes.largest_area.mean()
  assert objects.centeredness.mean() > scenes.centeredness.mean() + 0.1


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
