"""Rendered data in a folder of the user's own, under names that do not change.

What `datasets.synthetic` and `rendered_tracks` make lies in a cache, in folders
whose names tell all that decides what is in them.
"""

import os
import pathlib
import shutil

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import (
  invariance_sets,
  rendered_sets,
)
from tf_ssl.input_pipeline import rendered_tracks
from tf_ssl.rendering import synthetic

KINDS = ("objects", "scenes", "videos", "sets")
_OF_THE_PAPER = 6  # of `invariance_sets.INVARIANCES`


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
) -> None:
  """Renders into a folder, anew unless it was interrupted.

    objects   images/CATEGORY/000123.png, one object each
    scenes    images/000012.png, masks/, boxes/, annotations.json, classes.json:
              see `synthetic.rendered_scenes`
    videos    videos/000012.mp4, videos/boxes/, and tracks/tracks.tfrecord, the
              true tracks: see `synthetic.rendered_videos` and
              `video.track_records`
    sets      of the paper's six invariances: what rendered_six.gin takes as
              SETS_DIR; see `rendered_sets`

  Args:
    kind: one of `KINDS`.
    output_dir: made if it is not there.
    split: one of `synthetic.SPLITS`; sets have instances of their own.
    number: of images, scenes or videos; of sets, for each invariance.
    image_size: H and W.
    frames: of a video.
    fps: frames a second of a video.
    images_per_set: of a set.
    seed: of the world.
    variety: of objects, see `synthetic.rendered_folder`.
    black_background: of sets, see `rendered_sets`.

  Raises:
    UsageError: an argument out of range, or a folder that cannot be written.
  """
  if kind not in KINDS:
    raise errors.UsageError(
      f"--what={kind}: expected one of {', '.join(KINDS)}; change --what"
    )
  if black_background and kind != "sets":
    raise errors.UsageError(
      f"--black_background with --what={kind}: only sets can do without a"
      " background; change --what"
    )
  if kind == "sets":
    for invariance in invariance_sets.INVARIANCES[:_OF_THE_PAPER]:
      rendered_sets.rendered_sets(
        invariance,
        num_sets=number,
        images_per_set=images_per_set,
        image_size=image_size,
        seed=seed,
        black_background=black_background,
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
    made_folders = [pathlib.Path(made)]
  elif kind == "scenes":
    made = synthetic.rendered_scenes(num_images=number, **world)
    made_folders = list(pathlib.Path(made).iterdir())
  else:
    moving = {"num_videos": number, "num_frames": frames, "fps": fps, **world}
    made = synthetic.rendered_videos(**moving)
    tracks = rendered_tracks.rendered_tracks(**moving)
    made_folders = [pathlib.Path(made), pathlib.Path(tracks.root)]
  try:
    for path in made_folders:
      place = target / path.name
      shutil.rmtree(place, ignore_errors=True)
      os.replace(path, place)
    shutil.rmtree(parts)
  except OSError as error:
    raise errors.UsageError(
      f"--output_dir={output_dir}: {error.strerror or error}; choose a folder"
      " that you may write to"
    ) from error
