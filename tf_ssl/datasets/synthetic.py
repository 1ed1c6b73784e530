"""Rendered pictures of 3-D objects: a data set that needs no download.

Ten categories of solids, told apart by shape alone, each instance with its own
proportions, colours and texture, seen from all around under a moving light
before varied backgrounds. Every factor is explicit, and image number `index`
of the world `seed` is a pure function of the two (on one kind of machine:
sines may differ in the last bit between processors).
"""

import os
import pathlib

from tf_ssl import errors
from tf_ssl.datasets.rendering import categories, factors, image_cache, stills

CATEGORIES = categories.CATEGORIES
Factors = factors.Factors
random_factors = factors.random_factors
Rendering = stills.Rendering
render = stills.render
render_with_mask = stills.render_with_mask
render_index = stills.render_index
still = stills.still

# Part of every cache's name: count it up whenever the pixels change.
RENDERER_VERSION = 1
# A split is a block of indices, which has its own pool of instances.
SPLITS = ("train", "labelled", "held_out")


def split_index(split: str, number: int) -> int:
  """The index, as `render_index` takes it, of an image of a split.

  Args:
    split: one of `SPLITS`. They share neither indices nor instances.
    number: of the image within its split, >= 0.

  Raises:
    UsageError: if there is no such split or image.
  """
  if split not in SPLITS:
    raise errors.UsageError(
      f"split={split!r}: expected one of {', '.join(SPLITS)}; change split."
    )
  if not 0 <= number < factors.BLOCK:
    raise errors.UsageError(
      f"Image {number} of a split: expected 0 to {factors.BLOCK - 1}; "
      "change num_images."
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
  return image_cache.folder(
    pathlib.Path(cache_dir or _default_cache_dir()) / name,
    files,
    seed=seed,
    image_size=image_size,
    variety=variety,
  )


def _default_cache_dir():
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return pathlib.Path(home) / "tf_ssl" / "rendered"
