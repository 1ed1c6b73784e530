"""Rendered images and videos of 3-D objects: data that need no download.

Ten categories of solids differ in shape alone. Each instance has its own
proportions, colors and texture, and is seen from all sides under varying light
in front of varied backgrounds. Every factor is explicit: image `index` of world
`seed` is a pure function of the two (on one type of processor; sines may differ
in the last bit between types). Videos show several of these instances, which
turn and move under a moving camera, with true tracks.
"""

import pathlib

from tf_ssl import errors
from tf_ssl.rendering import (
  categories,
  factors,
  files,
  folder_cache,
  scene,
  scripts,
  stills,
  videos,
  workers,
)

CATEGORIES = categories.CATEGORIES
MIN_VISIBLE_PIXELS = files.MIN_VISIBLE_PIXELS
Factors = factors.Factors
Rendering = stills.Rendering
Video = videos.Video
random_factors = factors.random_factors
random_script = scripts.random_script
render = stills.render
render_index = stills.render_index
render_video = videos.render_video
render_with_mask = stills.render_with_mask
still = stills.still
video_names = files.video_names
visible_boxes = scene.visible_boxes
cached = folder_cache.folder

# Part of every cached folder's name. Increase it when pixels change.
RENDERER_VERSION = 1
# Version of what only videos and scenes show.
VIDEO_RENDERER_VERSION = 1
# Each split is a block of indices with its own instances.
SPLITS = ("train", "labeled", "held_out")
_OLD_SPLITS = {"labelled": "labeled"}


def split_index(split: str, number: int) -> int:
  """Returns the index in the world of an image or video of a split.

  Args:
    split: one of `SPLITS`, which share neither indices nor instances; the old
      name "labelled" means "labeled".
    number: number of the image or video in its split, >= 0.

  Returns:
    The index, for `render_index` and `render_video`.

  Raises:
    UsageError: the split does not exist, or the number is out of range.
  """
  split = _split(split)
  if not 0 <= number < factors.BLOCK:
    raise errors.UsageError(
      f"image or video {number} of a split: expected 0 to {factors.BLOCK - 1};"
      " change num_images or num_videos"
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
  """Returns a class folder of images, rendered on the first call.

  One process per core renders. A folder with missing or changed files is
  rendered again. Other processes see the complete folder or none.

  Args:
    split: one of `SPLITS`.
    num_images: number of images. Categories alternate, so their counts differ
      by at most one.
    image_size: H and W.
    seed: seed of the world. The splits of one world show the same categories.
    variety: 1 for all viewpoints, lights and backgrounds, smaller for a
      narrower range; see `factors.random_factors`.
    cache_dir: folder to keep rendered folders in; by default
      $XDG_CACHE_HOME/tf_ssl/rendered, or ~/.cache/tf_ssl/rendered.

  Returns:
    Path of the folder. Its files are CATEGORY/000123.png.

  Raises:
    UsageError: an argument is out of range or cache_dir cannot be written.
  """
  stills.check_image_size(image_size)
  first_index = _first_index(split, seed, num_images=num_images)
  random_factors(seed, first_index, variety=variety)  # Checks variety.
  name = (
    f"{_split(split)}-{num_images}x{image_size}px-seed{seed}-"
    f"v{RENDERER_VERSION}"
  )
  if variety != 1:
    name += f"-variety{float(variety)!r}"
  indices = {
    f"{CATEGORIES[number % len(CATEGORIES)]}/{number:06d}.png": (
      first_index + number
    )
    for number in range(num_images)
  }

  def render_into(folder: pathlib.Path) -> None:
    shown = {
      file: random_factors(seed, index, variety=variety)
      for file, index in indices.items()
    }
    world = {"seed": seed, "image_size": image_size}
    workers.render("still", folder, shown, world=world, title="images")

  return cached(name, "images", indices, render_into, cache_dir)


def rendered_videos(
  *,
  split: str = "train",
  num_videos: int = 24,
  num_frames: int = 48,
  fps: float = 10.0,
  image_size: int | tuple[int, int] = 96,
  seed: int = 0,
  backgrounds: int = factors.BACKGROUNDS,
  cache_dir: str | None = None,
) -> str:
  """Returns a folder of videos with true tracks, rendered on the first call.

  Caching works as in `rendered_folder`.

  Args:
    split: one of `SPLITS`; videos and stills of a split share instances.
    num_videos: number of videos.
    num_frames: number of frames per video. A longer video starts with the
      frames of a shorter one.
    fps: frame rate, frames per second; motion per second does not depend on it.
    image_size: H and W, or one number for both; even, as H.264 requires.
    seed: seed of the world.
    backgrounds: number of different floors and walls, 1 to
      `factors.BACKGROUNDS`. With few, a background does not identify a video: a
      contrastive method must use the objects.
    cache_dir: folder to keep rendered folders in; default as in
      `rendered_folder`.

  Returns:
    Path of the folder. Its files are 000012.mp4, ... and the true tracks of
    each video in boxes/000012.csv, with the columns

      frame: frame number, from 0.
      track: number of the object in its video, from 1; its value in the masks
        of `render_video`.
      category: one of `CATEGORIES`.
      xmin, ymin, xmax, ymax: box of the visible part of the object, pixels from
        the top left, maxima exclusive.
      visible_fraction: fraction, 0 to 1, of the pixels that are visible, of
        those that the object would cover alone in an unbounded image.

    and one row per object and frame with at least `MIN_VISIBLE_PIXELS` visible
    pixels.

  Raises:
    UsageError: an argument is out of range or cache_dir cannot be written.
  """
  height, width = videos.size_of(image_size)
  errors.require(
    height % 2 == width % 2 == 0,
    f"image_size={image_size!r}: expected even numbers; change image_size",
  )
  videos.check_time(num_frames, fps)
  scripts.check_backgrounds(backgrounds)
  first_index = _first_index(split, seed, num_videos=num_videos)
  name = (
    f"{_split(split)}-{num_videos}videos-{num_frames}x{height}x{width}px-"
    f"{float(fps)!r}fps-seed{seed}-v{RENDERER_VERSION}.{VIDEO_RENDERER_VERSION}"
  )
  if backgrounds != factors.BACKGROUNDS:
    name += f"-{backgrounds}backgrounds"
  indices = {number: first_index + number for number in range(num_videos)}
  world = {
    "seed": seed,
    "num_frames": num_frames,
    "image_size": (height, width),
    "fps": fps,
    "backgrounds": backgrounds,
  }
  return cached(
    name,
    "videos",
    [file for number in indices for file in files.video_names(number)],
    lambda folder: workers.render("video", folder, indices, world=world),
    cache_dir,
  )


def rendered_scenes(
  *,
  split: str = "train",
  num_images: int = 500,
  image_size: int | tuple[int, int] = 96,
  seed: int = 0,
  cache_dir: str | None = None,
) -> str:
  """Returns a folder of scenes with several objects, rendered on first call.

  A scene is the first frame of a video. Caching works as in `rendered_folder`.

  Args:
    split: one of `SPLITS`; scenes and stills of a split share instances.
    num_images: number of scenes.
    image_size: H and W, or one number for both.
    seed: seed of the world.
    cache_dir: folder to keep rendered folders in; default as in
      `rendered_folder`.

  Returns:
    Path of the folder. It holds images/000012.png; masks/000012.png, [H, W]
    uint8, the class of each pixel, 0 for no object; boxes/000012.csv with the
    columns of `rendered_videos`; annotations.json, all boxes in COCO's format;
    and classes.json, class names by class id.

  Raises:
    UsageError: an argument is out of range or cache_dir cannot be written.
  """
  size = videos.size_of(image_size)
  first_index = _first_index(split, seed, num_images=num_images)
  name = (
    f"{_split(split)}-{num_images}scenes-{size[0]}x{size[1]}px-seed{seed}-"
    f"v{RENDERER_VERSION}.{VIDEO_RENDERER_VERSION}"
  )
  indices = {number: first_index + number for number in range(num_images)}

  def render_into(folder: pathlib.Path) -> None:
    world = {"seed": seed, "image_size": size}
    workers.render("scene", folder, indices, world=world)
    files.write_annotations(folder, indices, size)

  return cached(
    name,
    "scenes",
    [
      *(file for number in indices for file in files.scene_names(number)),
      files.ANNOTATIONS,
      files.CLASSES,
    ],
    render_into,
    cache_dir,
  )


def _split(split: str) -> str:
  split = _OLD_SPLITS.get(split, split)
  if split not in SPLITS:
    raise errors.UsageError(
      f"split={split!r}: expected one of {', '.join(SPLITS)}; change split"
    )
  return split


def _first_index(split: str, seed: int, **count: int) -> int:
  """Returns the index of a split's first item; checks seed and count."""
  ((name, number),) = count.items()
  errors.require(
    number >= 1, f"{name}={number}: expected 1 or more; change {name}"
  )
  split_index(split, number - 1)
  factors.generator(seed)  # Checks the seed.
  return split_index(split, 0)
