"""The folder that `track_regions` writes.

    settings.json            settings of the mining
    shards/NAME-ID.tfrecord  tracks of a video, see track_records
    videos/NAME-ID.json      entry of a video: counts, or the reason it failed
    videos/NAME-ID.csv       rows of the video in tracks.csv
    tracks.csv, summary.json     all videos together
    report.html              a page on them, see track_report

A video's json is written last and marks it as done. Mining can therefore stop
at any time, be shared by processes and machines with access to the folder, and
be resumed.
"""

import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import home, names, workdir
from tf_ssl.video.decoding import frames
from tf_ssl.video.mining import track_facts, track_records
from tf_ssl.video.source import videos

_SHORT = "too short for a track: fewer than 2 frames at the sampling rate"
REPORT_FILE = "report.html"
COLUMNS = "video,track,frame,xmin,ymin,xmax,ymax,score".split(",")


class Mined(NamedTuple):
  """What was mined in one video.

  Attributes:
    video: name of the video.
    shard: path of its TFRecord file, which exists if there are tracks.
    frames: number of sampled frames.
    seconds: time from the first to the last of them; None if an earlier version
      mined the video, which kept neither this nor the tracks.
    tracks: facts of its tracks.
  """

  video: str
  shard: pathlib.Path
  frames: int
  seconds: float | None
  tracks: list[track_facts.TrackFacts]


class TrackStore:
  """The folder; it pickles to its path."""

  def __init__(self, folder: str):
    """Initializes the store; nothing is read or written.

    Args:
      folder: path, absolute or relative to the working directory.
    """
    self.folder = home.expand(folder, "--output_dir").absolute()

  def open(self, settings: dict[str, Any], *, overwrite: bool = False) -> None:
    """Creates the folder, or checks that it was made with the same settings.

    Args:
      settings: settings of the mining, JSON values by name.
      overwrite: whether to discard tracks that are already there.

    Raises:
      UsageError: the folder has other content or tracks with other settings, or
        it cannot be written.
    """
    with workdir.writable(self.folder, "--output_dir"):
      if overwrite and (self.folder / "settings.json").exists():
        with self.locked():
          self._clear()
      workdir.open_keyed(
        self.folder, settings, "--output_dir", key_file="settings.json"
      )
      for name in ("shards", "videos"):
        (self.folder / name).mkdir(exist_ok=True)

  def locked(self) -> contextlib.AbstractContextManager:
    """Locks the folder against other runs.

    Raises:
      UsageError: another run uses the folder.
    """
    videos_folder = self.folder / "videos"
    videos_folder.mkdir(exist_ok=True)
    return workdir.locked(videos_folder, "--output_dir")

  def remaining(self, found: Sequence[videos.Video]) -> list[videos.Video]:
    """Returns the videos that are not done; failed ones are tried again.

    Results of videos that have changed since are removed, and so are temporary
    files of a killed run.

    Raises:
      UsageError: the folder has tracks of another video with the same name.
    """
    for name in ("shards", "videos"):
      workdir.remove_temporaries(self.folder / name)
    known = {entry["video"]: (path, entry) for path, entry in self._entries()}
    result = []
    for video in found:
      path, entry = known.get(video.name, (None, None))
      if entry and entry["path"] != os.path.abspath(video.path):
        raise errors.UsageError(
          f"--output_dir={self.folder} has tracks of {video.name!r} from"
          f" {entry['path']!r}, this one is {video.path!r}; choose another"
          " --output_dir"
        )
      if entry and ("failed" in entry or path.stem != self._stem(video)):
        path.unlink()
        path.with_suffix(".csv").unlink(missing_ok=True)
        self._shard(path.stem).unlink(missing_ok=True)
        entry = None
      if not entry:
        result.append(video)
    return result

  def add(
    self,
    video: videos.Video,
    clips: Iterable[track_records.TrackedClip],
    *,
    notes: Callable[[], Sequence[str]] = tuple,
  ) -> dict[str, Any]:
    """Writes the tracks of a video; an error in it is recorded in its entry.

    Args:
      video: the video.
      clips: clips of the video from `mining.mine`; iterating may raise.
      notes: function that returns what the user should know about the video
        (`isolated.Decoder.notes`), called after the last clip.

    Returns:
      The entry.

    Raises:
      OSError: the folder cannot be written.
    """
    stem = self._stem(video)
    working = self.folder / "videos" / f".{stem}.frames.tmp"
    entry = {"video": video.name, "path": os.path.abspath(video.path)}
    count, found, times = 0, [], []
    try:
      with (
        workdir.replacing_file(self._shard(stem)) as shard,
        workdir.replacing_file(self.folder / "videos" / f"{stem}.csv") as table,
        tf.io.TFRecordWriter(str(shard)) as writer,
        open(
          table, "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as text,
      ):
        rows = csv.writer(text, lineterminator="\n")
        for clip in _mined(clips):
          if clip.scores:
            writer.write(track_records.serialize(clip))
          for video_name, *row in track_records.rows_of(clip):
            rows.writerow([names.escaped(video_name), *row])
          count += len(clip.frames)
          found += track_facts.of_clip(clip)
          times += [frame.time for frame in clip.frames]
          working.write_text(str(count))
      entry |= {
        "frames": count,
        "seconds": round(max(times) - min(times), 4) if times else 0.0,
        "tracks": len(found),
        "mean_score": _mean([one.score for one in found]),
        "mean_seconds": _mean([one.seconds for one in found]),
        "each_track": found,
        "notes": list(notes()) + ([] if count else [_SHORT]),
      }
    except _FailedError as error:
      entry |= {"frames": count, "failed": str(error)}
    except tf.errors.OpError as error:
      raise OSError(error.message) from error
    finally:
      working.unlink(missing_ok=True)
    if not found:
      self._shard(stem).unlink(missing_ok=True)
    path = self.folder / "videos" / f"{stem}.json"
    workdir.write_text(path, json.dumps(entry))
    return entry

  def progress(self) -> tuple[int, int]:
    """Returns the number of videos done and of frames processed."""
    done = frame_count = 0
    for path in (self.folder / "videos").iterdir():
      try:
        if path.suffix == ".json":
          frame_count += json.loads(path.read_text())["frames"]
          done += 1
        elif path.name.endswith(".frames.tmp"):
          frame_count += int(path.read_text() or 0)
      except OSError:
        pass  # Renamed or removed in the meantime.
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
      "failed": {
        names.escaped(entry["video"]): names.one_line(entry["failed"])
        for _, entry in entries
        if "failed" in entry
      },
      "notes": {
        names.escaped(entry["video"]): entry["notes"]
        for entry in good
        if entry.get("notes")
      },
      "frames": sum(entry["frames"] for entry in good),
      "tracks": sum(counts),
      "tracks_per_video": {
        "mean": _mean(counts),
        "median": statistics.median(counts) if counts else None,
        "none": counts.count(0),
      },
      "per_video": {
        names.escaped(entry["video"]): {
          name: entry[name]
          for name in ("frames", "tracks", "mean_score", "mean_seconds")
        }
        for entry in good
      },
      "settings": json.loads((self.folder / "settings.json").read_text()),
    }
    workdir.write_json(self.folder / "summary.json", summary)
    return summary

  def mined(self) -> list[Mined]:
    """Returns what was mined in each video without an error, by name."""
    return [
      Mined(
        entry["video"],
        self._shard(path.stem),
        entry["frames"],
        entry.get("seconds"),
        [track_facts.TrackFacts(*one) for one in entry.get("each_track", ())],
      )
      for path, entry in sorted(
        self._entries(), key=lambda one: one[1]["video"]
      )
      if "failed" not in entry
    ]

  def shards(self) -> list[pathlib.Path]:
    """Returns the TFRecord files, sorted by name."""
    return sorted((self.folder / "shards").glob("*.tfrecord"))

  def _shard(self, stem: str) -> pathlib.Path:
    return self.folder / "shards" / f"{stem}.tfrecord"

  def _stem(self, video: videos.Video) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", video.name).strip("-.")[-80:]
    try:
      return f"{name}-{videos.fingerprint(video)[:8]}"
    except OSError:  # The file is gone; decoding will report it.
      return f"{name}-{videos.digest(video.path)[:8]}"

  def _entries(self) -> list[tuple[pathlib.Path, dict[str, Any]]]:
    """The entries by path; a damaged one counts as missing."""
    found = {
      path: workdir.read_json(path)
      for path in sorted((self.folder / "videos").glob("*.json"))
    }
    return [
      (path, entry)
      for path, entry in found.items()
      if isinstance(entry, dict) and "video" in entry
    ]

  def _clear(self) -> None:
    """Removes what a store writes, and nothing else."""
    for name in ("shards", "videos", "previews"):
      shutil.rmtree(self.folder / name, ignore_errors=True)
    for name in ("settings.json", "summary.json", "tracks.csv", REPORT_FILE):
      (self.folder / name).unlink(missing_ok=True)


class _FailedError(Exception):
  """A video, rather than the folder, has a problem."""


def _mined(clips):
  """Yields clips; turns errors of their iterator into `_FailedError`."""
  iterator = iter(clips)
  while True:
    try:
      clip = next(iterator, None)
    except frames.DecodeError as error:
      raise _FailedError(error.reason) from error
    except Exception as error:  # One video must not end the whole run.
      text = f"{type(error).__name__}: {error}"
      raise _FailedError(" ".join(text.split())[:500]) from error
    if clip is None:
      return
    yield clip


def _mean(values: Sequence[float]) -> float | None:
  return round(statistics.fmean(values), 4) if values else None
