"""Training examples from region tracks, as written by `track_regions`."""

import os

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets import tfrecords
from tf_ssl.input_pipeline import loading
from tf_ssl.video.mining import track_records

_TOLERANCE = 0.25  # Fraction of the distance between the frames of a pair.


def tracked_objects(
  *,
  source: str,
  seconds: float = 0.5,
  same_video_in_batch: bool = False,
  min_side: int = 8,
) -> records_lib.ImageRecords:
  """Returns pairs of frames with the object that was tracked, for croppers.

  Args:
    source: path of a TFRecord file or a folder of such, see `track_records`.
    seconds: distance of the two frames, seconds, to within a quarter of it.
    same_video_in_batch: whether a batch may have several pairs of one video.
    min_side: minimum width and height of an object, pixels of the stored frame.

  Returns:
    Records with an example for each track at each frame: two frames, whose one
    object is the track's region in each.

  Raises:
    UsageError: as `region_tracks` does.
  """
  records, sizes = _found(source, seconds, same_video_in_batch, min_side)
  examples = records.examples
  boxes = examples.boxes[:, 2:] / np.tile(sizes[:, None], 2)  # [N, 2, 4]
  return records._replace(
    examples=examples._replace(images=examples.images[:, :2], boxes=None),
    objects=records_lib.Objects(
      offsets=np.arange(len(boxes) + 1),
      boxes=boxes[..., [1, 0, 3, 2]].astype(np.float32),
    ),
  )


def region_tracks(
  *,
  source: str,
  seconds: float = 0.5,
  same_video_in_batch: bool = False,
  min_side: int = 8,
  frames: bool = True,
) -> records_lib.ImageRecords:
  """Returns pairs of frames with a region that was tracked between them.

  Args:
    source: path of a TFRecord file or a folder of such, see `track_records`.
    seconds: distance of the two frames, seconds, to within a quarter of it.
    same_video_in_batch: whether a batch may have several pairs of one video.
    min_side: minimum width and height of a region, pixels of the stored frame.
    frames: whether an example has the full frames, too.

  Returns:
    Records with an example for each track at each frame. An example has four
    images, those of `RegionTrackPair`: both full frames, and the region in
    each; without `frames` two, the regions, for methods of image pairs.
    Groups are the videos, unless `same_video_in_batch`.

  Raises:
    UsageError: there is no such file, a file is damaged, or there is no pair.
  """
  records, _ = _found(source, seconds, same_video_in_batch, min_side)
  if frames:
    return records
  examples = records.examples
  return records._replace(
    examples=examples._replace(
      images=examples.images[:, 2:], boxes=examples.boxes[:, 2:]
    )
  )


def _found(
  source: str, seconds: float, same_video_in_batch: bool, min_side: int
) -> tuple[records_lib.ImageRecords, np.ndarray]:
  """Records with four images in an example; and width and height, [N, 2]."""
  files = tfrecords.find(os.path.expanduser(source))
  if not files:
    raise errors.UsageError(
      f"tracks {source!r}: no *.tfrecord files; expected a folder written by"
      " tools.track_regions; change TRACKS"
    )
  clips = tfrecords.locate(files, image_feature=track_records.IMAGE)
  count, owner, rows, places, boxes, groups, tracks = 0, [], [], [], [], [], []
  sizes = []
  videos: dict[str, int] = {}
  tracks_per_video: list[int] = []
  for number in range(clips.num_images):
    clip = _read(clips, number)
    pairs, regions, ids = _pairs(clip, seconds, min_side)
    owner += [number] * len(clip.frames)
    rows += range(len(clip.frames))
    places.append(count + pairs[:, [0, 1, 0, 1]])
    boxes.append(regions)
    sizes += [[clip.width, clip.height]] * len(pairs)
    group = videos.setdefault(clip.video, len(videos))
    groups.append(np.full(len(pairs), group, np.int32))
    tracks.append(np.stack([np.full_like(ids, group), ids], 1))
    tracks_per_video += [0] * (len(videos) - len(tracks_per_video))
    tracks_per_video[group] += len(clip.scores)
    count += len(clip.frames)
  places = np.concatenate(places)
  if not len(places):
    raise errors.UsageError(
      f"tracks {source!r}: none is long enough for two frames {seconds:g} s"
      " apart; lower SECONDS, or track again with a higher --rate"
    )
  shards = clips.shards
  images = clips._replace(
    sizes=clips.sizes[owner],
    shards=shards._replace(
      file=shards.file[owner],
      offset=shards.offset[owner],
      length=shards.length[owner],
      row=np.array(rows, np.int64),
    ),
  )
  examples = records_lib.Examples(
    places,
    np.concatenate(boxes),
    None if same_video_in_batch else np.concatenate(groups),
    np.unique(np.concatenate(tracks), axis=0, return_inverse=True)[1],
    np.array(tracks_per_video, np.int64),
    seconds,
  )
  return images._replace(examples=examples), np.array(sizes)


def regions(records: records_lib.ImageRecords) -> records_lib.ImageRecords:
  """Returns the regions of each example as single images.

  Args:
    records: records from `region_tracks`, with N examples.

  Returns:
    2 N images: a region at t, this region at t + k, the next region at t, ...
    Their labels are their numbers, which identify them if some are skipped.
  """
  images = records.examples.images[:, -2:].ravel()
  shards = records.shards
  return records._replace(
    sizes=records.sizes[images],
    labels=np.arange(len(images), dtype=np.int32),
    boxes=records.examples.boxes[:, -2:].reshape(-1, 4),
    shards=shards._replace(
      file=shards.file[images],
      offset=shards.offset[images],
      length=shards.length[images],
      row=shards.row[images],
    ),
    examples=None,
  )


def _read(clips, number) -> track_records.TrackedClip:
  try:
    return track_records.parse(loading.read_record(clips, number))
  except (OSError, EOFError, ValueError) as error:
    raise errors.UsageError(
      f"tracks: {clips.name(number)} in {clips.root!r}: {error}; expected files"
      " of tools.track_regions; change TRACKS"
    ) from error


def _pairs(
  clip, seconds, min_side
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns frames [m, 2], boxes of the four images [m, 4, 4], tracks [m]."""
  times = np.array([frame.time for frame in clip.frames])
  pairs, boxes, ids = [], [], []
  for row, frame in enumerate(clip.frames):
    later = int(np.argmin(np.abs(times - times[row] - seconds)))
    if abs(times[later] - times[row] - seconds) > _TOLERANCE * seconds:
      continue
    other = clip.frames[later]
    both, here, there = np.intersect1d(
      frame.tracks, other.tracks, return_indices=True
    )
    for track, one, two in zip(
      both, frame.boxes[here], other.boxes[there], strict=True
    ):
      found = [_pixels(box, clip.height, clip.width) for box in (one, two)]
      sides = [side for x0, y0, x1, y1 in found for side in (x1 - x0, y1 - y0)]
      if min(sides) >= min_side:
        pairs.append([row, later])
        boxes.append([[-1] * 4] * 2 + found)
        ids.append(track)
  return (
    np.array(pairs, np.int64).reshape(-1, 2),
    np.array(boxes, np.int32).reshape(-1, 4, 4),
    np.array(ids, np.int64),
  )


def _pixels(box, height, width) -> list[int]:
  """Converts fractions to pixels xmin, ymin, xmax, ymax of the stored frame."""
  ymin, xmin, ymax, xmax = np.clip(box, 0.0, 1.0) * [
    height,
    width,
    height,
    width,
  ]
  return [round(xmin), round(ymin), round(xmax), round(ymax)]
