"""Rendered pictures and videos of 3-D objects: data that need no download.

Ten categories of solids, told apart by shape alone, each instance with its own
proportions, colors and texture, seen from all around under a moving light
before varied backgrounds. Every factor is explicit, and image number `index`
of the world `seed` is a pure function of the two (on one kind of machine:
sines may differ in the last bit between processors). Videos show several of
the same instances, which turn and move under a moving camera, with true tracks.
"""

import os
import pathlib

from tf_ssl import errors
from tf_ssl.rendering import (
  categories,
  factors,
  folder_cache,
  scene_files,
  stills,
  video_files,
  videos,
  workers,
)

CATEGORIES = categories.CATEGORIES
Factors = factors.Factors
random_factors = factors.random_factors
Rendering = stills.Rendering
render = stills.render
render_with_mask = stills.render_with_mask
render_index = stills.render_index
still = stills.still
Video = videos.Video
render_video = videos.render_video

# Part of every cache's name: count it up whenever the pixels change.
RENDERER_VERSION = 1
# The same of what only videos show.
VIDEO_RENDERER_VERSION = 1
# A split is a block of indices, which has its own pool of instances.
SPLITS = ("train", "labeled", "held_out")


def split_index(split: str, number: int) -> int:
  """The index of an image or video of a split.

  Args:
    split: one of `SPLITS`. They share neither indices nor instances.
    number: of the image or video within its split, >= 0.

  Returns:
    The index, as `render_index` and `render_video` take it.

  Raises:
    UsageError: if there is no such split or image.
  """
  if split not in SPLITS:
    raise errors.UsageError(
      f"split={split!r}: expected one of {', '.join(SPLITS)}; change split."
    )
  if not 0 <= number < factors.BLOCK:
    raise errors.UsageError(
      f"Image or video {number} of a split: expected 0 to {factors.BLOCK - 1};"
      " change num_images or num_videos."
    )
  return SPLITS.index(split) * factors.BLOCK + number


def rendered_folder(
  *,
  split: str = "train",
  num_images: int = 2000,
  image_size: int = 64,
  seed: int = 0,
  variety: float = 1.0,
  cache_dir: str | None = None,
) -> str:
  """A class folder of rendered images, made on the first call and then kept.

  It is rendered by as many processes as there are cores. A folder that is
  incomplete or was tampered with is rendered again. Nobody ever sees a folder
  half written, even if several processes ask for it at once.

  Args:
    split: one of `SPLITS`.
    num_images: how many; categories take turns, so their counts differ by one
      at most.
    image_size: H and W.
    seed: of the world. Splits of one world show the same kinds of things.
    variety: 1 for all viewpoints, lights and backgrounds, less for fewer of
      them; see `random_factors`.
    cache_dir: where to keep it; default $XDG_CACHE_HOME/tf_ssl/rendered, or
      ~/.cache/tf_ssl/rendered.

  Returns:
    Path of the folder; its files are CATEGORY/000123.png.

  Raises:
    UsageError: if an argument is out of range or cache_dir cannot be written.
  """
  stills.check_image_size(image_size)
  if num_images < 1:
    raise errors.UsageError(
      f"num_images={num_images}: expected 1 or more; change num_images."
    )
  first_index = split_index(split, 0)
  split_index(split, num_images - 1)
  random_factors(seed, first_index, variety=variety)  # Refuses bad ones.
  name = f"{split}-{num_images}x{image_size}px-seed{seed}-v{RENDERER_VERSION}"
  if variety != 1:
    name += f"-variety{float(variety)!r}"
  files = {
    f"{CATEGORIES[number % len(CATEGORIES)]}/{number:06d}.png": (
      first_index + number
    )
    for number in range(num_images)
  }
  return folder_cache.folder(
    pathlib.Path(cache_dir or default_cache_dir()) / name,
    "images",
    files,
    lambda folder: workers.render_files(
      folder, files, seed=seed, image_size=image_size, variety=variety
    ),
  )


def rendered_videos(
  *,
  split: str = "train",
  num_videos: int = 24,
  num_frames: int = 48,
  fps: float = 10.0,
  image_size: int | tuple[int, int] = 96,
  seed: int = 0,
  cache_dir: str | None = None,
) -> str:
  """A folder of rendered videos, made on the first call and then kept.

  As `rendered_folder`, it is rendered by as many processes as there are cores,
  rendered again if something is missing or was tampered with, and never seen
  half written.

  Args:
    split: one of `SPLITS`; the instances are those of its stills.
    num_videos: how many.
    num_frames: of each. More frames go on where fewer end.
    fps: frames a second; motion is the same at every rate.
    image_size: H and W, or one number for both; even, as H.264 wants it.
    seed: of the world.
    cache_dir: as of `rendered_folder`.

  Returns:
    Path of the folder. Its files are 000012.mp4, ... and, for each, its true
    tracks boxes/000012.csv, with the columns

      frame: counted from 0.
      track: number of the object in its video, from 1; its value in the masks
        of `render_video`.
      category: one of `CATEGORIES`.
      xmin, ymin, xmax, ymax: box of what is seen of the object, in pixels from
        the top left, maxima exclusive.
      visible_fraction: how many of the pixels that the object would cover,
        alone and on an endless picture, are seen: 0 to 1.

    and a row for every object in every frame that shows at least
    `video_files.MIN_VISIBLE_PIXELS` pixels of it.

  Raises:
    UsageError: if an argument is out of range or cache_dir cannot be written.
  """
  if num_videos < 1:
    raise errors.UsageError(
      f"num_videos={num_videos}: expected 1 or more; change num_videos."
    )
  height, width = videos.size_of(image_size)
  if height % 2 or width % 2:
    raise errors.UsageError(
      f"image_size={image_size!r}: expected even numbers; change image_size."
    )
  videos.check_time(num_frames, fps)
  first_index = split_index(split, 0)
  split_index(split, num_videos - 1)
  factors.generator(seed)  # Refuses a bad one.
  name = (
    f"{split}-{num_videos}videos-{num_frames}x{height}x{width}px-"
    f"{float(fps)!r}fps-seed{seed}-v{RENDERER_VERSION}.{VIDEO_RENDERER_VERSION}"
  )
  numbers = {number: first_index + number for number in range(num_videos)}
  return folder_cache.folder(
    pathlib.Path(cache_dir or default_cache_dir()) / name,
    "videos",
    [
      of(number)
      for number in numbers
      for of in (video_files.video_name, video_files.boxes_name)
    ],
    lambda folder: workers.render_videos(
      folder,
      numbers,
      seed=seed,
      num_frames=num_frames,
      image_size=(height, width),
      fps=fps,
    ),
  )


def rendered_scenes(
  *,
  split: str = "train",
  num_images: int = 500,
  image_size: int | tuple[int, int] = 96,
  seed: int = 0,
  cache_dir: str | None = None,
) -> str:
  """A folder of rendered scenes with several objects, made once and then kept.

  A scene is the first frame of a video. As `rendered_folder`, it is rendered by
  as many processes as there are cores, rendered again if something is missing
  or was tampered with, and never seen half written.

  Args:
    split: one of `SPLITS`; the instances are those of its stills.
    num_images: how many scenes.
    image_size: H and W, or one number for both.
    seed: of the world.
    cache_dir: as of `rendered_folder`.

  Returns:
    Path of the folder. Its files are images/000012.png, ...; for each
    masks/000012.png, [H, W] uint8, the class that is seen, 0 for none; and for
    all annotations.json, boxes in COCO's format, and classes.json, from class
    ids to names.

  Raises:
    UsageError: if an argument is out of range or cache_dir cannot be written.
  """
  if num_images < 1:
    raise errors.UsageError(
      f"num_images={num_images}: expected 1 or more; change num_images."
    )
  size = videos.size_of(image_size)
  first_index = split_index(split, 0)
  split_index(split, num_images - 1)
  factors.generator(seed)  # Refuses a bad one.
  name = (
    f"{split}-{num_images}scenes-{size[0]}x{size[1]}px-seed{seed}-"
    f"v{RENDERER_VERSION}.{VIDEO_RENDERER_VERSION}"
  )
  numbers = {number: first_index + number for number in range(num_images)}
  return folder_cache.folder(
    pathlib.Path(cache_dir or default_cache_dir()) / name,
    "scenes",
    [
      *(file for number in numbers for file in scene_files.file_names(number)),
      scene_files.ANNOTATIONS,
      scene_files.CLASSES,
    ],
    lambda folder: workers.render_scenes(
      folder, numbers, seed=seed, image_size=size
    ),
  )


def default_cache_dir() -> pathlib.Path:
  """Where rendered files are kept unless a folder is named."""
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return pathlib.Path(home) / "tf_ssl" / "rendered"
