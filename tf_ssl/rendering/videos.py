"""Videos: several objects that turn and move under a moving camera.

What is seen is a function of time, so a longer video begins with the frames of
a shorter one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import factors as factors_lib
from tf_ssl.rendering import scene, scripts, stage, stills


class Frame(NamedTuple):
  """One picture of a video. N is the number of objects.

  Attributes:
    image: [H, W, 3] uint8.
    mask: [H, W] uint8, which object is seen there: 0 none, 1 the first, ...
    boxes: [N, 4] int32, xmin, ymin, xmax, ymax of what is seen of each object,
      in pixels, maxima exclusive; zeros where it is not seen.
    visible_fraction: [N] float32, how many of the pixels that the object would
      cover, alone and on an endless picture, are seen.
  """

  image: np.ndarray
  mask: np.ndarray
  boxes: np.ndarray
  visible_fraction: np.ndarray


class Video(NamedTuple):
  """A rendered video. T counts frames, N objects.

  Attributes:
    frames: [T, H, W, 3] uint8.
    masks: [T, H, W] uint8, as `Frame.mask`.
    boxes: [T, N, 4] int32, as `Frame.boxes`.
    visible_fraction: [T, N] float32, as `Frame.visible_fraction`.
    categories: [N] int64, indices into `categories.CATEGORIES`.
    instances: [N] int64, which ones of their kind.
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
    seed: of the world, >= 0; its stills show the same instances.
    index: of the video, >= 0.
    num_frames: how many, >= 1; more frames go on where fewer end.
    image_size: H and W, or one number for both.
    fps: frames a second, 0.1 to 1000.

  Raises:
    UsageError: if an argument is out of range.
  """
  script = scripts.random_script(seed, index)
  shown = list(frames(script, num_frames, seed, size_of(image_size), fps))
  return Video(
    *(np.stack(values) for values in zip(*shown, strict=True)),
    np.array([actor.category for actor in script.actors]),
    np.array([actor.instance for actor in script.actors]),
  )


def size_of(image_size: int | tuple[int, int]) -> tuple[int, int]:
  """H and W. Raises UsageError if videos of this size are not made."""
  sides = (image_size,) * 2 if np.ndim(image_size) == 0 else tuple(image_size)
  if len(sides) != 2:
    raise errors.UsageError(
      f"image_size={image_size!r}: expected one number, or height and width; "
      "change image_size."
    )
  for side in sides:
    stills.check_image_size(side)
  return int(sides[0]), int(sides[1])


def check_time(num_frames: int, fps: float) -> None:
  """Raises UsageError if videos are not made of so many frames, or so fast."""
  if num_frames < 1:
    raise errors.UsageError(
      f"num_frames={num_frames}: expected 1 or more; change num_frames."
    )
  if not 0.1 <= fps <= 1000:
    raise errors.UsageError(f"fps={fps!r}: expected 0.1 to 1000; change fps.")


def frames(
  script: scripts.Script,
  num_frames: int,
  seed: int,
  image_size: tuple[int, int],
  fps: float,
) -> Iterator[Frame]:
  """Renders one frame after the other. Arguments as of `render_video`."""
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
  for number, whole in enumerate(picture.masks):
    seen = picture.front == number
    boxes.append(scene.bounding_box(seen))
    covered = np.count_nonzero(whole)
    if whole[[0, -1]].any() or whole[:, [0, -1]].any():
      # Nothing is larger than the margin.
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
