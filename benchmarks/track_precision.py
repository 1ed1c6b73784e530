r"""Measures region tracks that were found against the true ones.

  python -m benchmarks.track_precision --tracks=tracks/a --truth=videos/tracks

Both folders hold TFRecords of region tracks of the same videos, sampled at the
same rate: --tracks those of `tools.track_regions`, --truth those that
`tools.render --what=videos` writes. A pair is two boxes of a track some
seconds apart, of which the first is on an object (IoU of at least 0.5). Its
precision is the share of pairs whose second box is on the same object, its
recall the share of an object's frames with such a pair. Counts are added over
objects and videos; pairs that begin on no object count in neither.
"""

import argparse
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from benchmarks import script
from tf_ssl import errors
from tf_ssl.datasets import tfrecords
from tf_ssl.reporting import tables
from tf_ssl.video.mining import track_records
from tf_ssl.video.tracking import track_quality, tracker

_SECONDS = (0.5, 1.0, 2.0)


def main() -> None:
  """Measures and prints the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--tracks", required=True, help="folder of found tracks")
  parser.add_argument("--truth", required=True, help="folder of true tracks")
  arguments = parser.parse_args()
  rows = [["distance", "pairs", "precision", "recall"]]
  for seconds, one in measure(arguments.tracks, arguments.truth).items():
    rows.append(
      [
        f"{seconds:g} s",
        str(one.pairs),
        f"{100 * one.precision:.1f} %",
        f"{100 * one.recall:.1f} %",
      ]
    )
  print("\n".join(tables.aligned(rows)))


def measure(tracks: str, truth: str) -> dict[float, track_quality.PairQuality]:
  """Counts of pairs, over all objects and videos, by seconds between boxes.

  Args:
    tracks: folder of TFRecords of the tracks that were found. Videos without a
      clip count as without a track.
    truth: folder of TFRecords of the true tracks.

  Raises:
    UsageError: a folder has no tracks, both have no video in common, or the
      frames of a video differ.
  """
  found = _clips(tracks)
  true = _clips(truth)
  errors.require(
    found.keys() & true.keys(),
    f"--tracks={tracks} and --truth={truth} have no video in common; expected"
    " tracks of the same videos",
  )
  totals = {seconds: np.zeros(4, int) for seconds in _SECONDS}
  for video, clips in true.items():
    frames = [frame for clip in clips for frame in clip.frames]
    rows = {frame.number: row for row, frame in enumerate(frames)}
    candidates = [
      track
      for clip in found.get(video, [])
      for track in _tracks(clip, rows, video)
    ]
    spacing = (frames[-1].time - frames[0].time) / max(len(frames) - 1, 1)
    for boxes in (b for c in clips for b in _objects(c, rows).values()):
      for seconds, total in totals.items():
        if spacing and len(frames) > round(seconds / spacing) > 0:
          total += track_quality.pair_quality(
            candidates,
            boxes,
            lag=round(seconds / spacing),
            num_frames=len(frames),
          )
  return {
    seconds: track_quality.PairQuality(*map(int, total))
    for seconds, total in totals.items()
  }


def _clips(folder: str) -> dict[str, list[track_records.TrackedClip]]:
  """{video: its clips} of a folder of TFRecords.

  Raises:
    UsageError: there is no file, or one cannot be read.
  """
  files = tfrecords.find(folder)
  errors.require(
    files, f"{folder}: no *.tfrecord files; expected a folder of region tracks"
  )
  clips = {}
  for file in files:
    try:
      for record in tf.data.TFRecordDataset(file):
        clip = track_records.parse(record.numpy())
        clips.setdefault(clip.video, []).append(clip)
    except (tf.errors.OpError, ValueError) as error:
      raise errors.UsageError(
        f"{file} cannot be read ({error}); expected region tracks as"
        " `tools.track_regions` writes them; write them again"
      ) from error
  return clips


def _objects(
  clip: track_records.TrackedClip, rows: Mapping[int, int]
) -> dict[int, dict[int, Sequence[float]]]:
  """{track: {row: box}} with xmin, ymin, xmax, ymax as fractions."""
  objects = {}
  for frame in clip.frames:
    for track, box in zip(frame.tracks.tolist(), frame.boxes, strict=True):
      boxes = objects.setdefault(track, {})
      boxes[rows[frame.number]] = box[[1, 0, 3, 2]]
  return objects


def _tracks(
  clip: track_records.TrackedClip, rows: Mapping[int, int], video: str
) -> list[tracker.Track]:
  """The tracks of a clip on the rows of the truth.

  Raises:
    UsageError: a frame of the clip is none of the truth.
  """
  other = [f.number for f in clip.frames if f.number not in rows]
  errors.require(
    not other,
    f"video {video!r}: frame {min(other, default=0)} is none of the"
    " truth's; expected tracks sampled at the rate of the truth",
  )
  found = []
  for boxes in _objects(clip, rows).values():
    start, end = min(boxes), max(boxes) + 1
    nowhere = np.zeros(4, np.float32)  # On no object.
    rows_of = [boxes.get(row, nowhere) for row in range(start, end)]
    ones = np.ones(end - start, np.float32)
    found.append(
      tracker.Track(start, np.array(rows_of, np.float32), ones, ones)
    )
  return found


if __name__ == "__main__":
  script.run("track_precision", main)
