"""Videos: several objects that turn and move under a moving camera.

A frame is a function of time, so a longer video starts with the frames of a
shorter one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import factors as factors_lib
from tf_ssl.rendering import scene, scripts, stage, stills


class Frame(NamedTuple):
  """One frame of a video with N objects.

  Attributes:
    image: [H, W, 3] uint8.
    mask: [H, W] uint8, number of the visible object: 0 none, 1 the first, ...
    boxes: [N, 4] int32, xmin, ymin, xmax, ymax of the visible part of each
      object, pixels, maxima exclusive; zeros if it is not visible.
    visible_fraction: [N] float32, fraction of the pixels that are visible, of
      those that the object would cover alone in an unbounded image.
  """

  image: np.ndarray
  mask: np.ndarray
  boxes: np.ndarray
  visible_fraction: np.ndarray


class Video(NamedTuple):
  """A rendered video with T frames and N objects.

  Attributes:
    frames: [T, H, W, 3] uint8.
    masks: [T, H, W] uint8, number of the visible object, see `Frame.mask`.
    boxes: [T, N, 4] int32, boxes in pixels, see `Frame.boxes`.
    visible_fraction: [T, N] float32, visible fractions, see `Frame`.
    categories: [N] int64, indices into `categories.CATEGORIES`.
    instances: [N] int64, number of each instance in its category.
  """

  frames: np.ndarray
  masks: np.ndarray
  boxes: np.ndarray
  visible_fraction: np.ndarray
  categories: np.ndarray
  instances: np.ndarray


def render_video(
  seed: int,
  index: int,
  num_frames: int,
  *,
  image_size: int | tuple[int, int] = 96,
  fps: float = 10.0,
) -> Video:
  """Renders video number `index` of world `seed`.

  Args:
    seed: seed of the world, >= 0; its stills show the same instances.
    index: index of the video, >= 0.
    num_frames: number of frames, >= 1.
    image_size: H and W, or one number for both.
    fps: frame rate, frames per second, 0.1 to 1000.

  Raises:
    UsageError: an argument is out of range.
  """
  script = scripts.random_script(seed, index)
  shown = list(frames(script, num_frames, seed, size_of(image_size), fps))
  return Video(
    *(np.stack(values) for values in zip(*shown, strict=True)),
    np.array([actor.category for actor in script.actors]),
    np.array([actor.instance for actor in script.actors]),
  )


def size_of(image_size: int | tuple[int, int]) -> tuple[int, int]:
  """Returns H and W.

  Args:
    image_size: H and W, or one number for both.

  Raises:
    UsageError: the size is out of range.
  """
  sides = (image_size,) * 2 if np.ndim(image_size) == 0 else tuple(image_size)
  if len(sides) != 2:
    raise errors.UsageError(
      f"image_size={image_size!r}: expected one number, or height and width;"
      " change image_size"
    )
  for side in sides:
    stills.check_image_size(side)
  return int(sides[0]), int(sides[1])


def check_time(num_frames: int, fps: float) -> None:
  """Raises UsageError if the number of frames or the frame rate is invalid."""
  errors.require(
    num_frames >= 1,
    f"num_frames={num_frames}: expected 1 or more; change num_frames",
  )
  errors.require(
    0.1 <= fps <= 1000, f"fps={fps!r}: expected 0.1 to 1000; change fps"
  )


def frames(
  script: scripts.Script,
  num_frames: int,
  seed: int,
  image_size: tuple[int, int],
  fps: float,
) -> Iterator[Frame]:
  """Renders frames one by one.

  Args:
    script: script of the video.
    num_frames: number of frames, >= 1.
    seed: seed of the world.
    image_size: H and W.
    fps: frame rate, frames per second, 0.1 to 1000.

  Raises:
    UsageError: num_frames or fps is out of range.
  """
  check_time(num_frames, fps)
  background = factors_lib.BACKGROUND
  built = stage.build(
    (script.floor, factors_lib.generator(seed, background, script.floor)),
    (script.wall, factors_lib.generator(seed, background, script.wall)),
    max(image_size),
  )
  for number in range(num_frames):
    yield _frame(script.at(number / fps), built, image_size)


def _frame(shown, built, image_size):
  behind = stage.paint(
    built,
    shown.camera,
    image_size,
    light=shown.light.direction,
    objects=shown.objects,
  )
  picture = scene.draw(shown, behind)
  boxes, fractions = [], []
  for number, mask in enumerate(picture.masks):
    seen = picture.front == number
    boxes.append(scene.bounding_box(seen))
    covered = np.count_nonzero(mask)
    if mask[[0, -1]].any() or mask[:, [0, -1]].any():
      # Objects are smaller than the margin.
      covered = max(
        covered, scene.whole_size(shown, number, image_size, max(image_size))
      )
    fractions.append(np.count_nonzero(seen) / max(covered, 1))
  return Frame(
    np.uint8(np.clip(picture.image, 0, 1) * 255 + 0.5),
    np.uint8(picture.front + 1),
    np.int32(boxes),
    np.float32(fractions),
  )
