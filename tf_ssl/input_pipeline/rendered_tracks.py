"""Rendered videos with ground-truth tracks, in the format of mined tracks."""

import csv
import pathlib

import numpy as np
import tensorflow as tf

from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import region_tracks
from tf_ssl.ops import jpeg
from tf_ssl.rendering import factors, synthetic
from tf_ssl.video.decoding import decode
from tf_ssl.video.mining import track_records
from tf_ssl.video.source import videos

# Part of the folder name; increase it if the records change.
_VERSION = 1


def rendered_tracks(
  *,
  split: str = "train",
  num_videos: int = 24,
  num_frames: int = 48,
  fps: float = 10.0,
  image_size: int = 96,
  seed: int = 0,
  backgrounds: int = factors.BACKGROUNDS,
  cache_dir: str | None = None,
  seconds: float = 0.5,
  same_video_in_batch: bool = False,
  min_side: int = 8,
  min_visible: float = 0.5,
  frames: bool = True,
) -> records_lib.ImageRecords:
  """Returns pairs of frames of rendered videos with an object in both.

  The first call renders the videos and writes the records; later calls reuse
  them.

  Args:
    split: split of the rendered world, see `synthetic.rendered_videos`.
    num_videos: number of videos.
    num_frames: number of frames of each video.
    fps: frame rate, frames per second.
    image_size: height and width of the frames, pixels.
    seed: seed of the rendered world.
    backgrounds: number of different floors and walls, see
      `synthetic.rendered_videos`.
    cache_dir: folder of the videos and records; None for the user's cache.
    seconds: distance of the two frames, seconds, to within a quarter of it.
    same_video_in_batch: whether a batch may have several pairs of one video.
    min_side: minimum width and height of an object, pixels.
    min_visible: minimum visible fraction of a tracked object, 0..1.
    frames: whether an example has the full frames, too.

  Returns:
    Records as from `region_tracks.region_tracks`.

  Raises:
    UsageError: an argument is out of range, or there is no pair.
  """
  folder = pathlib.Path(
    synthetic.rendered_videos(
      split=split,
      num_videos=num_videos,
      num_frames=num_frames,
      fps=fps,
      image_size=image_size,
      seed=seed,
      backgrounds=backgrounds,
      cache_dir=cache_dir,
    )
  )
  name = f"{folder.parent.name}-tracks{_VERSION}-visible{float(min_visible)!r}"
  file = "tracks.tfrecord"
  tracks = synthetic.cached(
    name,
    "tracks",
    [file],
    lambda made: _write(made / file, folder, min_visible),
    str(folder.parent.parent),
  )
  return region_tracks.region_tracks(
    source=tracks,
    seconds=seconds,
    same_video_in_batch=same_video_in_batch,
    min_side=min_side,
    frames=frames,
  )


def _write(file: pathlib.Path, folder: pathlib.Path, min_visible: float):
  with tf.io.TFRecordWriter(str(file)) as writer:
    for video in videos.find_videos(str(folder)):
      clip = true_clip(video, min_visible=min_visible)
      writer.write(track_records.serialize(clip))


def true_clip(
  video: videos.Video, *, min_visible: float = 0.0
) -> track_records.TrackedClip:
  """Returns a rendered video with its ground-truth tracks, all with score 1.

  Args:
    video: video in a folder of `synthetic.rendered_videos`.
    min_visible: minimum visible fraction of an object, 0..1; its track omits
      other frames.
  """
  info = decode.probe(video)
  size = np.float32([info.height, info.width] * 2)
  rows = _rows(pathlib.Path(video.path))
  frames, seen = [], set()
  for frame in decode.iterate_frames(video):
    here = [
      row
      for row in rows.get(frame.number, ())
      if float(row["visible_fraction"]) >= min_visible
    ]
    boxes = [
      [float(row[side]) for side in ("ymin", "xmin", "ymax", "xmax")]
      for row in here
    ]
    ids = [int(row["track"]) for row in here]
    seen.update(ids)
    frames.append(
      track_records.TrackedFrame(
        jpeg.encode(frame.image),
        int(frame.number),
        float(frame.time),
        np.array(ids, np.int64),
        np.array(boxes, np.float32).reshape(-1, 4) / size,
      )
    )
  return track_records.TrackedClip(
    video.name,
    float(info.fps),
    (info.height, info.width),
    info.height,
    info.width,
    frames,
    dict.fromkeys(sorted(seen), 1.0),
  )


def _rows(path: pathlib.Path) -> dict[int, list[dict[str, str]]]:
  """Returns the rows of a video's ground-truth tracks by frame."""
  number = int(path.stem)
  found = {}
  boxes = path.parent / synthetic.video_names(number)[1]
  with open(boxes, newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
      found.setdefault(int(row["frame"]), []).append(row)
  return found
