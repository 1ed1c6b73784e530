"""Region tracks as tf.train.SequenceExample, readable without this package.

A record is a stretch of one video with T frames. Context features:

    video/name      bytes    name of the video, `videos.Video.name`
    video/fps       float    frame rate of the video, frames per second
    video/height, video/width    int64, size of the video's frames, pixels
    image/height, image/width    int64, size of the stored frames, pixels
    track/id        int64 [K]    ids of the tracks, unique within the video
    track/score     float [K]    scores of the tracks, higher is better
    track/end       bytes [K]    why each track ends; not in older records

Feature lists with one entry per frame:

    image/encoded   bytes    the frame as JPEG
    frame/number    int64    number of the frame in the video, from 0
    frame/time      float    time of the frame in the video, seconds
    region/track    int64 [R]      track id of each region in the frame
    region/boxes    float [R * 4]  ymin, xmin, ymax, xmax, each 0..1
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

IMAGE = "image/encoded"
_COLUMNS = (
  IMAGE,
  "frame/number",
  "frame/time",
  "region/track",
  "region/boxes",
)
_MAX_SIDE = 2**31 - 1


class TrackedFrame(NamedTuple):
  """One frame and the tracked regions in it.

  Attributes:
    encoded: the frame as JPEG.
    number: number of the frame in its video, from 0.
    time: time of the frame in its video, seconds.
    tracks: [R] int64, track id of each region.
    boxes: [R, 4] float32, ymin, xmin, ymax, xmax, fractions of height and
      width.
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
    fps: frame rate of the video, frames per second.
    video_size: height and width of the video's frames, pixels.
    height: height of the stored frames, pixels.
    width: width of the stored frames, pixels.
    frames: T frames in temporal order.
    scores: score of each track by its id, higher is better.
    ends: K reasons for the ends of the tracks, in the order of `scores`; empty
      if they are not known.
  """

  video: str
  fps: float
  video_size: tuple[int, int]
  height: int
  width: int
  frames: Sequence[TrackedFrame]
  scores: dict[int, float]
  ends: Sequence[str] = ()


def serialize(clip: TrackedClip) -> bytes:
  """Returns the clip as a serialized tf.train.SequenceExample."""
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
  if clip.ends:
    context["track/end"].bytes_list.value.extend(
      end.encode() for end in clip.ends
    )
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
  """Reads a serialized record.

  Raises:
    ValueError: the bytes are not such a record; the message says why.
  """
  try:
    example = tf.train.SequenceExample.FromString(serialized)
  except Exception as error:  # Each protobuf version has its own DecodeError.
    raise ValueError("not a tf.train.SequenceExample") from error
  try:
    return _clip(example)
  except ValueError:
    raise
  except Exception as error:  # Of anything that is no track record.
    raise ValueError(f"it is no record of tracks ({error})") from error


def _clip(example: tf.train.SequenceExample) -> TrackedClip:
  """Returns the clip of an example.

  Raises:
    ValueError: a feature is missing, empty, of another type or not finite.
  """
  context = example.context.feature
  lists = example.feature_lists.feature_list
  for name, found in (("video/name", context), (IMAGE, lists)):
    if name not in found:
      raise ValueError(f"it has no feature {name!r}")
  columns = [lists[name].feature for name in _COLUMNS]
  if len({len(column) for column in columns}) != 1:
    raise ValueError("its feature lists differ in length")
  ids = context["track/id"].int64_list.value
  scores = context["track/score"].float_list.value
  if len(ids) != len(scores) or not np.isfinite(scores).all():
    raise ValueError("its tracks have no score each")
  ends = context["track/end"].bytes_list.value
  if len(ends) not in (0, len(ids)):
    raise ValueError("not each of its tracks has an end")
  sizes = [
    _one(context[name].int64_list, name)
    for name in ("video/height", "video/width", "image/height", "image/width")
  ]
  if not all(0 < size <= _MAX_SIDE for size in sizes):
    raise ValueError(f"its frames have the sizes {sizes}")
  return TrackedClip(
    _one(context["video/name"].bytes_list, "video/name").decode(
      "utf-8", "surrogateescape"
    ),
    _one(context["video/fps"].float_list, "video/fps"),
    (sizes[0], sizes[1]),
    sizes[2],
    sizes[3],
    [_frame(set(ids), *row) for row in zip(*columns, strict=True)],
    dict(zip(ids, scores, strict=True)),
    tuple(end.decode("utf-8", "replace") for end in ends),
  )


def _frame(
  known: set[int],
  image: tf.train.Feature,
  number: tf.train.Feature,
  time: tf.train.Feature,
  tracks: tf.train.Feature,
  boxes: tf.train.Feature,
) -> TrackedFrame:
  """Returns a frame from its features; `known` are the ids of the tracks."""
  ids = np.array(tracks.int64_list.value, np.int64)
  values = np.array(boxes.float_list.value, np.float32)
  if values.size != 4 * ids.size:
    raise ValueError("a frame has different numbers of boxes and regions")
  if not np.isfinite(values).all():
    raise ValueError("a box is not finite")
  if not known.issuperset(ids.tolist()):
    raise ValueError("a region has an unknown track")
  return TrackedFrame(
    _one(image.bytes_list, IMAGE),
    _one(number.int64_list, "frame/number"),
    _one(time.float_list, "frame/time"),
    ids,
    values.reshape(-1, 4),
  )


def _one(values: Any, name: str) -> Any:
  """Returns the only value of a feature."""
  if len(values.value) != 1:
    raise ValueError(f"{name!r} has {len(values.value)} values instead of 1")
  (value,) = values.value
  if isinstance(value, float) and not math.isfinite(value):
    raise ValueError(f"{name!r} is {value}")
  return value


def rows_of(clip: TrackedClip) -> Sequence[tuple]:
  """Returns the rows of tracks.csv.

  Returns:
    A tuple (video, track, frame, xmin, ymin, xmax, ymax, score) for each
    region, with the box in pixels of the video.
  """
  height, width = clip.video_size
  return [
    (
      clip.video,
      int(track),
      frame.number,
      *(
        round(float(fraction) * side, 1)
        for fraction, side in zip(
          box[[1, 0, 3, 2]], [width, height] * 2, strict=True
        )
      ),
      round(clip.scores[track], 4),
    )
    for frame in clip.frames
    for track, box in zip(frame.tracks.tolist(), frame.boxes, strict=True)
  ]
