"""Where the objects of a rendered picture are, without painting it."""

import numpy as np

from tf_ssl.rendering import scene as scene_lib


def around(mask: np.ndarray) -> tuple[int, int, int, int]:
  """The box around the pixels that are set.

  Args:
    mask: [H, W] bool.

  Returns:
    xmin, ymin, xmax, ymax in pixels, maxima exclusive; zeros where none is.
  """
  columns = np.flatnonzero(mask.any(axis=0))
  rows = np.flatnonzero(mask.any(axis=1))
  if not rows.size:
    return 0, 0, 0, 0
  return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def of_scene(scene: scene_lib.Scene, image_size: tuple[int, int]) -> np.ndarray:
  """The boxes of what is seen of each object of a scene.

  Args:
    scene: which objects, and who looks at them.
    image_size: H and W.

  Returns:
    [objects, 4] int32, each as `around` has it; zeros where nothing is seen.
  """
  nothing = np.zeros([*image_size, 3], np.float32)
  front = scene_lib.draw(scene, nothing).front
  boxes = [around(front == number) for number in range(len(scene.objects))]
  return np.array(boxes, np.int32).reshape(-1, 4)
