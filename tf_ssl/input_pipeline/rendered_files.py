"""Renders datasets into a folder of the user, under fixed names.

`rendering.synthetic` and `rendered_tracks` instead use a cache, whose folder
names encode everything that determines their content.
"""

import os
import pathlib
import shutil

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets, rendered_sets
from tf_ssl.input_pipeline import rendered_tracks
from tf_ssl.ops import workdir
from tf_ssl.rendering import synthetic

KINDS = ("objects", "scenes", "videos", "sets")
_NUM_PAPER_INVARIANCES = 6  # The first of `invariance_sets.INVARIANCES`.


def write(
  kind: str,
  output_dir: str,
  *,
  split: str,
  number: int,
  image_size: int,
  frames: int = 16,
  fps: float = 8.0,
  images_per_set: int = 24,
  seed: int = 0,
  variety: float = 1.0,
  black_background: bool = False,
  changing_background: bool = False,
) -> None:
  """Renders a dataset, replacing an earlier one; resumes if interrupted.

    objects   images/CATEGORY/000123.png, one object each
    scenes    images/000012.png, masks/, boxes/, annotations.json, classes.json:
              see `synthetic.rendered_scenes`
    videos    videos/000012.mp4, videos/boxes/, and the ground-truth tracks in
              tracks/tracks.tfrecord: see `synthetic.rendered_videos` and
              `video.track_records`
    sets      image sets of the paper's six invariances, for SETS_DIR of
              rendered_six.gin, on a background that is fixed within a set, of
              rendered_six_black.gin or of rendered_six_changing.gin: see
              `rendered_sets`

  Args:
    kind: one of `KINDS`.
    output_dir: folder to write, created if missing.
    split: one of `synthetic.SPLITS`; sets have their own instances.
    number: number of images, scenes or videos, or of sets per invariance.
    image_size: height and width of the images, pixels.
    frames: number of frames of a video.
    fps: frame rate of a video, frames per second.
    images_per_set: number of images in a set.
    seed: seed of the rendered world.
    variety: variety of the objects' views and lights, 0..1.
    black_background: whether sets have a black background.
    changing_background: whether each image of a set has another background.

  Raises:
    UsageError: an argument is out of range, or the folder cannot be written.
  """
  errors.require(
    kind in KINDS,
    f"--what={kind}: expected one of {', '.join(KINDS)}; change --what",
  )
  backgrounds = {"black": black_background, "changing": changing_background}
  for name, is_given in backgrounds.items():
    errors.require(
      kind == "sets" or not is_given,
      f"--{name}_background with --what={kind}: expected --what=sets; change"
      " --what",
    )
  if kind == "sets":
    for invariance in invariance_sets.INVARIANCES[:_NUM_PAPER_INVARIANCES]:
      rendered_sets.rendered_sets(
        invariance,
        num_sets=number,
        images_per_set=images_per_set,
        image_size=image_size,
        seed=seed,
        background=next((n for n in backgrounds if backgrounds[n]), "fixed"),
        tint_reach=0.8,
        cache_dir=output_dir,
      )
    return
  target = pathlib.Path(output_dir)
  parts = target / ".parts"
  world = {
    "split": split,
    "image_size": image_size,
    "seed": seed,
    "cache_dir": str(parts),
  }
  if kind == "objects":
    made = synthetic.rendered_folder(
      num_images=number, variety=variety, **world
    )
    folders = [pathlib.Path(made)]
  elif kind == "scenes":
    made = synthetic.rendered_scenes(num_images=number, **world)
    folders = list(pathlib.Path(made).iterdir())
  else:
    moving = {"num_videos": number, "num_frames": frames, "fps": fps, **world}
    made = synthetic.rendered_videos(**moving)
    tracks = rendered_tracks.rendered_tracks(**moving)
    folders = [pathlib.Path(made), pathlib.Path(tracks.root)]
  with workdir.writable(target, "--output_dir"):
    for path in folders:
      shutil.rmtree(target / path.name, ignore_errors=True)
      os.replace(path, target / path.name)
    shutil.rmtree(parts)
