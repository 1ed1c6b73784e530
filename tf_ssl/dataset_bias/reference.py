"""Rendered reference datasets: pictures of one object, and of whole scenes.

Both come from `rendering.synthetic`: still pictures filled by one object, and
first frames of videos with 3 to 6 objects on a floor. Only boxes are kept.
"""

from collections.abc import Callable

import numpy as np

from tf_ssl.dataset_bias import object_boxes
from tf_ssl.ops import progress
from tf_ssl.rendering import synthetic

# Names of the references and their descriptions.
MEANING = {
  "rendered objects": "one rendered object that fills most of a square picture",
  "rendered scenes": "3 to 6 rendered objects on a floor, square pictures",
}
_SIDE = 96  # px, side of the pictures that boxes are computed for.
_PICTURE_SIDE = 240  # px, side of the pictures that are painted.


def references(
  num_images: int, *, seed: int = 0
) -> dict[str, object_boxes.ObjectBoxes]:
  """Ground-truth boxes of rendered pictures.

  Args:
    num_images: number of pictures of each kind; pictures without a visible
      object are left out.
    seed: seed of the rendered world.

  Returns:
    {name in `MEANING`: boxes of its pictures}.
  """
  with progress.bar(
    "Rendering references", total=2 * num_images, unit="image", leave=False
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


# {name: function from a seed and an index to a picture, [H, W, 3] uint8}.
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
  advance: Callable[[], object],
) -> object_boxes.ObjectBoxes:
  images, boxes, classes = [], [], []
  for index in range(num_images):
    found, categories = of(seed, index)
    size = np.prod(found[:, 2:] - found[:, :2], axis=1)
    visible = np.flatnonzero(size >= synthetic.MIN_VISIBLE_PIXELS)
    images += [index] * len(visible)
    boxes += list(found[visible])
    classes += [categories[row] for row in visible]
    advance()
  objects = object_boxes.from_rows(
    np.full([num_images, 2], _SIDE),
    images,
    boxes,
    classes,
    synthetic.CATEGORIES,
  )
  return objects.take(np.flatnonzero(objects.counts))
