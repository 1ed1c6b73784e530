"""The folder that `track_regions` writes.

    settings.json            how the tracks were made
    shards/NAME-ID.tfrecord  the tracks of a video, see track_records
    videos/NAME-ID.json      what there is of the video, or why there is none
    videos/NAME-ID.csv       its rows of tracks.csv
    tracks.csv, summary.json     all videos together

A video's json is written last: where it stands, the video is done. So the work
may end at any moment, be divided among processes and machines that see the
folder, and go on later.
"""

import csv
import json
import os
import pathlib
import re
import shutil
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import workdir
from tf_ssl.video.decoding import frames
from tf_ssl.video.mining import mining, track_records
from tf_ssl.video.source import identity, videos

COLUMNS = "video,track,frame,xmin,ymin,xmax,ymax,score".split(",")


class TrackStore:
  """The folder; pickles to its path."""

  def __init__(self, folder: str):
    """Initializes the store; nothing is read or written.

    Args:
      folder: absolute, or relative to the working directory.
    """
    self.folder = pathlib.Path(folder).expanduser().absolute()

  def open(self, settings: dict[str, Any], *, overwrite: bool = False) -> None:
    """Makes the folder, or checks that it goes on with the same settings.

    Args:
      settings: how tracks are made, JSON values.
      overwrite: begin anew, whatever the folder holds.

    Raises:
      UsageError: it holds something else, tracks made otherwise, or cannot be
        written.
    """
    place = self.folder / "settings.json"
    settings = json.loads(json.dumps(settings))  # Tuples are lists there.
    try:
      if overwrite:
        self._clear()
      self.folder.mkdir(parents=True, exist_ok=True)
      if place.exists():
        self._check(json.loads(place.read_text()), settings)
        return
      if any(self.folder.iterdir()):
        raise errors.UsageError(
          f"--output_dir={self.folder} holds something else than tracks;"
          " expected an empty or a new folder"
        )
      for name in ("shards", "videos"):
        (self.folder / name).mkdir()
      workdir.write_text(place, json.dumps(settings, indent=2) + "\n")
    except (OSError, json.JSONDecodeError) as error:
      raise errors.UsageError(
        f"--output_dir={self.folder}: {error}; expected a folder that can be"
        " written, or one that this tool made"
      ) from error

  def remaining(self, found: Sequence[videos.Video]) -> list[videos.Video]:
    """The videos that are not done; those that failed are tried again.

    What the folder holds of a video that has changed since is removed.

    Raises:
      UsageError: it holds tracks of another video by the same name.
    """
    for name in ("shards", "videos"):
      for path in (self.folder / name).iterdir():
        if workdir.is_temporary(path):  # Of a run that was killed.
          path.unlink()
    known = {entry["video"]: (path, entry) for path, entry in self._entries()}
    result = []
    for video in found:
      path, entry = known.get(video.name, (None, None))
      if entry and entry["path"] != os.path.abspath(video.path):
        raise errors.UsageError(
          f"--output_dir={self.folder} has tracks of {video.name!r} from"
          f" {entry['path']!r} already, and this one is {video.path!r};"
          " choose another --output_dir"
        )
      if entry and (
        "failed" in entry or path.stem != self._stem(video)
      ):  # written again
        path.unlink()
        path.with_suffix(".csv").unlink(missing_ok=True)
        self._shard(path.stem).unlink(missing_ok=True)
        entry = None
      if not entry:
        result.append(video)
    return result

  def add(
    self, video: videos.Video, clips: Iterable[track_records.TrackedClip]
  ) -> dict[str, Any]:
    """Writes what comes of a video; a fault in it becomes its entry.

    Args:
      video: the video.
      clips: see `mining.mine`; may raise.

    Returns:
      The entry.

    Raises:
      OSError: the folder cannot be written.
    """
    stem = self._stem(video)
    working = self.folder / "videos" / f".{stem}.frames.tmp"
    entry = {"video": video.name, "path": os.path.abspath(video.path)}
    count, scores, lengths = 0, [], []
    clips = _told_apart(clips)
    try:
      with (
        workdir.replacing_file(self._shard(stem)) as shard,
        workdir.replacing_file(self.folder / "videos" / f"{stem}.csv") as table,
        tf.io.TFRecordWriter(str(shard)) as writer,
        open(table, "w", newline="", errors="surrogateescape") as text,
      ):
        rows = csv.writer(text, lineterminator="\n")
        for clip in clips:
          if clip.scores:
            writer.write(track_records.serialize(clip))
          rows.writerows(mining.rows_of(clip))
          count += len(clip.frames)
          scores += clip.scores.values()
          lengths += _lengths(clip)
          working.write_text(str(count))
      entry |= {
        "frames": count,
        "tracks": len(scores),
        "mean_score": _mean(scores),
        "mean_seconds": _mean(lengths),
      }
    except _FailedError as error:
      entry |= {"frames": count, "failed": str(error)}
    except tf.errors.OpError as error:
      raise OSError(error.message) from error
    if not scores:
      self._shard(stem).unlink(missing_ok=True)
    workdir.write_text(
      self.folder / "videos" / f"{stem}.json", json.dumps(entry)
    )
    working.unlink(missing_ok=True)
    return entry

  def progress(self) -> tuple[int, int]:
    """How many videos are done, and how many frames of all."""
    done = frame_count = 0
    for path in (self.folder / "videos").iterdir():
      try:
        if path.suffix == ".json":
          frame_count += json.loads(path.read_text())["frames"]
          done += 1
        elif path.name.endswith(".frames.tmp"):
          frame_count += int(path.read_text() or 0)
      except OSError:
        pass  # Renamed or removed meanwhile.
    return done, frame_count

  def gather(self) -> dict[str, Any]:
    """Writes tracks.csv and summary.json of all videos; returns the summary."""
    entries = sorted(self._entries(), key=lambda one: one[1]["video"])
    with workdir.replacing_file(self.folder / "tracks.csv") as table:
      with open(table, "wb") as all_rows:
        all_rows.write((",".join(COLUMNS) + "\n").encode())
        for path, entry in entries:
          if "failed" not in entry:
            with open(path.with_suffix(".csv"), "rb") as rows:
              shutil.copyfileobj(rows, all_rows)
    good = [entry for _, entry in entries if "failed" not in entry]
    counts = [entry["tracks"] for entry in good]
    summary = {
      "videos": len(good),
      "failed": {e["video"]: e["failed"] for _, e in entries if "failed" in e},
      "frames": sum(entry["frames"] for entry in good),
      "tracks": sum(counts),
      "tracks_per_video": {
        "mean": _mean(counts),
        "median": statistics.median(counts) if counts else None,
        "none": counts.count(0),
      },
      "per_video": {
        entry["video"]: {
          name: entry[name]
          for name in ("frames", "tracks", "mean_score", "mean_seconds")
        }
        for entry in good
      },
      "settings": json.loads((self.folder / "settings.json").read_text()),
    }
    workdir.write_text(
      self.folder / "summary.json", json.dumps(summary, indent=2) + "\n"
    )
    return summary

  def shards(self) -> list[pathlib.Path]:
    """The TFRecord files, by the names of their videos."""
    return sorted((self.folder / "shards").glob("*.tfrecord"))

  def _shard(self, stem: str) -> pathlib.Path:
    return self.folder / "shards" / f"{stem}.tfrecord"

  def _stem(self, video: videos.Video) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", video.name).strip("-.")[-80:]
    try:
      return f"{name}-{identity.identity(video)[:8]}"
    except OSError:  # It is gone; decoding will say so.
      return f"{name}-{identity.digest(video.path)[:8]}"

  def _entries(self) -> list[tuple[pathlib.Path, dict[str, Any]]]:
    paths = sorted((self.folder / "videos").glob("*.json"))
    return [(path, json.loads(path.read_text())) for path in paths]

  def _check(self, was: dict[str, Any], settings: dict[str, Any]) -> None:
    changed = [
      f"{name} {was.get(name)} there and {settings.get(name)} here"
      for name in sorted(was.keys() | settings.keys())
      if was.get(name) != settings.get(name)
    ]
    if changed:
      raise errors.UsageError(
        f"--output_dir={self.folder} holds tracks made otherwise"
        f" ({', '.join(changed)}); choose another folder, or --overwrite"
      )

  def _clear(self) -> None:
    """Removes what a store writes, and nothing else."""
    for name in ("shards", "videos", "previews"):
      shutil.rmtree(self.folder / name, ignore_errors=True)
    for name in ("settings.json", "summary.json", "tracks.csv"):
      (self.folder / name).unlink(missing_ok=True)


class _FailedError(Exception):
  """Something about the video, not about the folder, is wrong."""


def _told_apart(clips):
  """Turns what making the clips raises into `_FailedError`."""
  iterator = iter(clips)
  while True:
    try:
      clip = next(iterator, None)
    except frames.DecodeError as error:
      raise _FailedError(error.reason) from error
    except Exception as error:  # One video must not end all the others' work.
      text = f"{type(error).__name__}: {error}"
      raise _FailedError(" ".join(text.split())[:500]) from error
    if clip is None:
      return
    yield clip


def _lengths(clip: track_records.TrackedClip) -> list[float]:
  """Seconds from the first to the last frame of each track."""
  times: dict[int, list[float]] = {}
  for frame in clip.frames:
    for track in frame.tracks.tolist():
      times.setdefault(track, []).append(frame.time)
  return [max(moments) - min(moments) for moments in times.values()]


def _mean(values: Sequence[float]) -> float | None:
  return round(statistics.fmean(values), 4) if values else None
