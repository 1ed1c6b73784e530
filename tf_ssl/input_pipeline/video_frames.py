"""Training examples from the frames of videos."""

import os

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets import tfrecords
from tf_ssl.video import frame_pairs as pairs_lib
from tf_ssl.video import frame_store
from tf_ssl.video.source import videos


def frame_pairs(
  *,
  source: str,
  seconds: float | None = 0.5,
  frames: int | None = None,
  paired: bool = True,
  same_video_in_batch: bool = False,
  frame_size: int = 256,
  frames_dir: str | None = None,
  reader: str = "auto",
) -> records_lib.ImageRecords:
  """Returns pairs of frames (z_i, z_{i+k}), i mod k = 0, of all videos.

  The frames are decoded once and stored; see `frame_store`.

  Args:
    source: source for `videos.find_videos`: a folder of videos or of folders of
      numbered frames, a zip of such folders, or a manifest.
    seconds: distance k, seconds; None if `frames` is set.
    frames: distance k, frames; None if `seconds` is set.
    paired: whether examples are pairs. False for the baseline without motion:
      an example is one of these frames, from which both views are made.
    same_video_in_batch: whether a batch may have several pairs of one video.
    frame_size: maximum length of a stored frame's shorter side, pixels.
    frames_dir: folder of the stored frames; None for
      `frame_store.default_folder`.
    reader: reader of video files: "auto", "pyav" or "tfio".

  Returns:
    Records whose examples have two images, or one if not `paired`. Groups are
    the videos, unless `same_video_in_batch`.

  Raises:
    UsageError: there is no video, or no video has a pair.
  """
  stored, images = _frames(
    source, seconds, frames, frame_size, frames_dir, reader
  )
  first = np.cumsum([0] + [len(video.numbers) for video in stored])
  pairs, groups = [], []
  for number, video in enumerate(stored):
    rows = pairs_lib.neighbors(
      video.numbers, video.times, frames=frames, seconds=seconds
    )
    pairs.append(first[number] + rows)
    groups.append(np.full(len(rows), number, np.int32))
  short = [
    video.video.name
    for video, rows in zip(stored, pairs, strict=True)
    if not len(rows)
  ]
  if short:
    logging.warning(
      "%d of %d videos have no two frames %s apart: %r%s",
      len(short),
      len(stored),
      _distance(seconds, frames),
      short[:5],
      f" and {len(short) - 5} more" if len(short) > 5 else "",
    )
  pairs, groups = np.concatenate(pairs), np.concatenate(groups)
  if not len(pairs):
    raise errors.UsageError(
      f"videos {source!r}: none is long enough for two frames"
      f" {_distance(seconds, frames)} apart; lower SECONDS or change VIDEOS"
    )
  if not paired:
    pairs, where = np.unique(pairs, return_index=True)
    pairs, groups = pairs[:, None], groups[where // 2]
  examples = records_lib.Examples(
    pairs, groups=None if same_video_in_batch else groups
  )
  return images._replace(examples=examples)


def _frames(source, seconds, frames, frame_size, frames_dir, reader):
  """Returns the stored videos, and all their frames as records."""
  found = videos.find_videos(source)
  stored = frame_store.store(
    found,
    frames_dir or frame_store.default_folder(),
    every_frames=frames,
    every_seconds=seconds,
    size=frame_size,
    reader=reader,
  )
  images = tfrecords.read([video.file for video in stored])
  count = sum(len(video.numbers) for video in stored)
  errors.require(
    images.num_images == count,
    f"frames_dir {os.path.dirname(stored[0].file)!r} has {images.num_images}"
    f" frames, expected {count}; remove that folder",
  )
  names = sorted({v.video.label for v in stored if v.video.label is not None})
  if not names:
    return stored, images
  ids = [
    -1 if v.video.label is None else names.index(v.video.label) for v in stored
  ]
  labels = np.repeat(ids, [len(v.numbers) for v in stored]).astype(np.int32)
  return stored, images._replace(labels=labels, class_names=tuple(names))


def _distance(seconds: float | None, frames: int | None) -> str:
  return f"{frames} frames" if seconds is None else f"{seconds:g} s"
