"""Rendered pictures to hold a dataset up to: one object, or a scene of several.

Both are of the world of `datasets.synthetic`: the stills, which one object
fills, and the first frames of its videos, with 3 to 6 objects on a floor. No
picture is kept, only the boxes.
"""

from collections.abc import Callable

import numpy as np
import tqdm

from tf_ssl.dataset_bias import object_boxes
from tf_ssl.rendering import synthetic

# Names of the references, and what they are.
MEANING = {
  "rendered objects": "one rendered object that fills most of a square picture",
  "rendered scenes": "3 to 6 rendered objects on a floor, square pictures",
}
_SIDE = 96  # pixels of the true boxes' pictures
_PICTURE_SIDE = 240  # of those that are painted


def references(
  num_images: int, *, seed: int = 0
) -> dict[str, object_boxes.ObjectBoxes]:
  """The true boxes of rendered pictures.

  Args:
    num_images: of each kind; images without an object in sight are left out.
    seed: of the world.

  Returns:
    For each name of `MEANING` the objects of its images.
  """
  with tqdm.tqdm(
    total=2 * num_images, desc="Reference", unit="image", leave=False
  ) as bar:
    kinds = (_of_still, _of_scene)
    return {
      name: _collect(of, num_images, seed, bar.update)
      for name, of in zip(MEANING, kinds, strict=True)
    }


def _paint_object(seed: int, index: int) -> np.ndarray:
  return synthetic.render_index(seed, index, _PICTURE_SIDE)


def _paint_scene(seed: int, index: int) -> np.ndarray:
  video = synthetic.render_video(seed, index, 1, image_size=_PICTURE_SIDE)
  return video.frames[0]


# For each reference a function from a seed and an index to its picture, uint8.
PICTURES: dict[str, Callable[[int, int], np.ndarray]] = dict(
  zip(MEANING, (_paint_object, _paint_scene), strict=True)
)


def _of_still(seed: int, index: int) -> tuple[np.ndarray, list[int]]:
  factors = synthetic.random_factors(seed, index)
  scene = synthetic.still(factors, seed=seed)
  return synthetic.visible_boxes(scene, (_SIDE, _SIDE)), [factors.category]


def _of_scene(seed: int, index: int) -> tuple[np.ndarray, list[int]]:
  script = synthetic.random_script(seed, index)
  boxes = synthetic.visible_boxes(script.at(0.0), (_SIDE, _SIDE))
  return boxes, [actor.category for actor in script.actors]


def _collect(
  of: Callable[[int, int], tuple[np.ndarray, list[int]]],
  num_images: int,
  seed: int,
  progress: Callable[[], object],
) -> object_boxes.ObjectBoxes:
  images, boxes, classes = [], [], []
  for index in range(num_images):
    found, categories = of(seed, index)
    size = np.prod(found[:, 2:] - found[:, :2], axis=1)
    for box, category in zip(
      found[size >= synthetic.MIN_VISIBLE_PIXELS],
      np.array(categories)[size >= synthetic.MIN_VISIBLE_PIXELS],
      strict=True,
    ):
      images.append(index)
      boxes.append(box)
      classes.append(category)
    progress()
  objects = object_boxes.from_rows(
    np.full([num_images, 2], _SIDE),
    images,
    boxes,
    classes,
    synthetic.CATEGORIES,
  )
  return objects.take(np.flatnonzero(objects.counts))
