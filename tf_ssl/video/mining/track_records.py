"""Region tracks as tf.train.SequenceExample, readable without this package.

A record is a stretch of one video with T frames. Context features:

    video/name      bytes    the source file, as `videos.Video.name` has it
    video/fps       float    frames a second of the source
    video/height, video/width    int64, of the source's frames, pixels
    image/height, image/width    int64, of the stored frames, pixels
    track/id        int64 [K]    the tracks in it, unique within the video
    track/score     float [K]    higher is better

Feature lists, one entry a frame:

    image/encoded   bytes    the frame as JPEG
    frame/number    int64    in the source, from 0
    frame/time      float    seconds in the source
    region/track    int64 [R]      the track of each region in the frame
    region/boxes    float [R * 4]  ymin, xmin, ymax, xmax, each 0..1
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

IMAGE = "image/encoded"


class TrackedFrame(NamedTuple):
  """One frame and the regions that are followed through it.

  Attributes:
    encoded: the frame as JPEG; empty where it was not asked for.
    number: of the frame in its video, from 0.
    time: seconds.
    tracks: [R] int64, the track of each region.
    boxes: [R, 4] float32, ymin, xmin, ymax, xmax, shares of height and width.
  """

  encoded: bytes
  number: int
  time: float
  tracks: np.ndarray
  boxes: np.ndarray


class TrackedClip(NamedTuple):
  """A stretch of a video with its tracks.

  Attributes:
    video: name of the video.
    fps: its frames a second.
    video_size: height and width of its frames, pixels.
    height: of the stored frames, pixels.
    width: of the stored frames, pixels.
    frames: T of them, in the order of time.
    scores: of each track, by its id.
  """

  video: str
  fps: float
  video_size: tuple[int, int]
  height: int
  width: int
  frames: Sequence[TrackedFrame]
  scores: dict[int, float]


def serialize(clip: TrackedClip) -> bytes:
  """The clip as a serialized tf.train.SequenceExample."""
  example = tf.train.SequenceExample()
  context = example.context.feature
  context["video/name"].bytes_list.value.append(
    clip.video.encode("utf-8", "surrogateescape")
  )
  context["video/fps"].float_list.value.append(clip.fps)
  context["video/height"].int64_list.value.append(clip.video_size[0])
  context["video/width"].int64_list.value.append(clip.video_size[1])
  context["image/height"].int64_list.value.append(clip.height)
  context["image/width"].int64_list.value.append(clip.width)
  context["track/id"].int64_list.value.extend(clip.scores)
  context["track/score"].float_list.value.extend(clip.scores.values())
  lists = example.feature_lists.feature_list
  for frame in clip.frames:
    lists[IMAGE].feature.add().bytes_list.value.append(frame.encoded)
    lists["frame/number"].feature.add().int64_list.value.append(frame.number)
    lists["frame/time"].feature.add().float_list.value.append(frame.time)
    lists["region/track"].feature.add().int64_list.value.extend(
      frame.tracks.tolist()
    )
    lists["region/boxes"].feature.add().float_list.value.extend(
      np.ravel(frame.boxes).tolist()
    )
  return example.SerializeToString()


def parse(serialized: bytes) -> TrackedClip:
  """Reads a record.

  Raises:
    ValueError: it is no such record; says why.
  """
  try:
    example = tf.train.SequenceExample.FromString(serialized)
  except Exception as error:  # DecodeError, in each protobuf its own
    raise ValueError("not a tf.train.SequenceExample") from error
  context = example.context.feature
  lists = example.feature_lists.feature_list
  for name, found in (("video/name", context), (IMAGE, lists)):
    if name not in found:
      raise ValueError(f"it has no feature {name!r}")
  frames = []
  columns = [
    lists[name].feature
    for name in (
      IMAGE,
      "frame/number",
      "frame/time",
      "region/track",
      "region/boxes",
    )
  ]
  if len({len(column) for column in columns}) != 1:
    raise ValueError("its feature lists differ in length")
  for image, number, time, tracks, boxes in zip(*columns, strict=True):
    ids = np.array(tracks.int64_list.value, np.int64)
    values = np.array(boxes.float_list.value, np.float32)
    if values.size != 4 * ids.size:
      raise ValueError("a frame has not as many boxes as regions")
    frames.append(
      TrackedFrame(
        image.bytes_list.value[0],
        number.int64_list.value[0],
        time.float_list.value[0],
        ids,
        values.reshape(-1, 4),
      )
    )
  ids = context["track/id"].int64_list.value
  scores = context["track/score"].float_list.value
  return TrackedClip(
    context["video/name"]
    .bytes_list.value[0]
    .decode("utf-8", "surrogateescape"),
    context["video/fps"].float_list.value[0],
    (
      context["video/height"].int64_list.value[0],
      context["video/width"].int64_list.value[0],
    ),
    context["image/height"].int64_list.value[0],
    context["image/width"].int64_list.value[0],
    frames,
    dict(zip(ids, scores, strict=True)),
  )
