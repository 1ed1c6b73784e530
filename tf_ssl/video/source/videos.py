"""Finds videos in files, folders, archives and manifests."""

import collections
import functools
import hashlib
import itertools
import json
import os
import posixpath
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from absl import logging

from tf_ssl import errors
from tf_ssl.ops import spelling, walk
from tf_ssl.video.source import frame_names, photographs, video_manifest

EXTENSIONS = (
  ".264",
  ".265",
  ".3g2",
  ".3gp",
  ".asf",
  ".avi",
  ".divx",
  ".dv",
  ".f4v",
  ".flv",
  ".gif",
  ".h264",
  ".h265",
  ".hevc",
  ".ivf",
  ".m1v",
  ".m2t",
  ".m2ts",
  ".m2v",
  ".m4v",
  ".mjpeg",
  ".mjpg",
  ".mkv",
  ".mod",
  ".mov",
  ".mp4",
  ".mpe",
  ".mpeg",
  ".mpg",
  ".mts",
  ".mxf",
  ".nut",
  ".ogm",
  ".ogv",
  ".qt",
  ".rm",
  ".rmvb",
  ".tod",
  ".ts",
  ".vob",
  ".webm",
  ".wmv",
)
_PHOTOGRAPHS = "photographs"
INSIDE = "!"  # Between an archive and a folder in it.
_EXPECTED = (
  "a video, a folder with videos or with folders of numbered frames, a zip of "
  "such folders, or a manifest FILE.csv"
)


class Video(NamedTuple):
  """One video: a file, or a folder of numbered frames.

  Attributes:
    path: path of the file or folder, or `archive.zip!folder/inside`.
    name: name in reports, unique among the videos that were found together;
      relative to the folder that was searched.
    label: class name from a manifest; None if unknown.
    start: time of the first frame to use, seconds; None for the first frame.
    end: time of the first frame after the part to use, seconds; None to use
      all remaining frames.
    folder_fps: frame rate of a folder of frames, which have no time stamps.
  """

  path: str
  name: str
  label: str | None = None
  start: float | None = None
  end: float | None = None
  folder_fps: float = 25.0


def find_videos(source: str, *, folder_fps: float = 25.0) -> list[Video]:
  """Finds the videos of a source without decoding anything.

  A folder is searched recursively for video files by extension (`EXTENSIONS`,
  upper or lower case), for folders that directly hold at least 2 images with
  numbered names (TrackingNet frames/VIDEO/0.jpg, GOT-10k VIDEO/00000001.jpg,
  DAVIS JPEGImages/480p/VIDEO/00000.jpg, Kinetics frames VIDEO/img_00001.jpg),
  and for such folders inside .zip files. Folders of photographs are no videos
  (`photographs`), unless a manifest lists them. Hidden files and folders,
  service folders, link loops and pipes are passed over (`ops.walk`). A line in
  the log says what was found and what was passed over.

  A manifest has the columns path[,label][,start,end], see `video_manifest`.

  Args:
    source: path of a video file, a folder, a zip, `archive.zip!folder/inside`
      or FILE.csv.
    folder_fps: frame rate of folders of frames, see `Video.folder_fps`.

  Returns:
    The videos, sorted by name; those of a manifest in the order of its rows.

  Raises:
    UsageError: no video is found, a folder or archive cannot be listed, or a
      line of the manifest is malformed.
  """
  path = os.path.expanduser(source)
  lower = path.lower()
  search = _Search()
  if os.path.isdir(path):
    found = search.folder(path)
  elif lower.endswith(".csv") and os.path.exists(path):
    return _in_manifest(path, folder_fps)
  elif lower.endswith(".zip") and os.path.exists(path):
    found = search.zip(path, os.path.basename(path))
  elif lower.endswith(EXTENSIONS) and os.path.exists(path):
    found = [Video(path, os.path.basename(path))]
  elif split_archive(path)[1] is not None:
    found = [Video(path, os.path.basename(path))]
  elif os.path.exists(path):
    raise _error(source, "not a supported file type")
  else:
    raise _error(source, f"nothing at {os.path.abspath(path)!r}")
  try:
    videos = sorted(found, key=lambda video: video.name)
  except OSError as error:
    raise _error(
      source, f"cannot list {error.filename!r} ({error.strerror})"
    ) from error
  search.report_photographs()
  if not videos:
    raise _error(source, f"no video found{search.passed_over}")
  search.report(source, videos)
  return [video._replace(folder_fps=folder_fps) for video in videos]


def split_archive(path: str) -> tuple[str, str | None]:
  """Splits `archive.zip!folder`; returns (path, None) for any other path."""
  archive, separator, folder = path.rpartition(".zip" + INSIDE)
  if separator and os.path.isfile(archive + ".zip"):
    return archive + ".zip", folder
  return path, None


def fingerprint(video: Video) -> str:
  """Identifies the content of a video without reading it.

  Returns:
    24 hexadecimal digits that depend on the path, part, frame rate, file size
    and time of modification.

  Raises:
    OSError: the file does not exist.
  """
  stat = os.stat(split_archive(video.path)[0])
  return digest(
    json.dumps(
      [
        os.path.abspath(video.path),
        video.start,
        video.end,
        video.folder_fps,
        stat.st_size,
        stat.st_mtime_ns,
      ]
    )
  )


def digest(text: str) -> str:
  """Returns the first 24 hexadecimal digits of a text's SHA-256."""
  return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


class _Search:
  """Finds videos and counts what it passes over."""

  def __init__(self):
    self._passed: collections.Counter[str] = collections.Counter()
    self._photographs: list[tuple[str, str]] = []

  @property
  def passed_over(self) -> str:
    """What was passed over, as the end of a message; "" for nothing."""
    kinds = walk.described(self._passed)
    return f"; passed over {kinds}" if kinds else ""

  def report_photographs(self) -> None:
    """Logs folders of photographs, which look like folders of frames."""
    for name, reason in self._photographs[:1]:
      logging.warning(
        "%d photographs are no video, such as those in %r, which are %s; list"
        " a folder in a manifest FILE.csv to read it as frames",
        self._passed[_PHOTOGRAPHS],
        name,
        reason,
      )

  def report(self, source: str, found: Sequence[Video]) -> None:
    """Logs what was found, by kind, and what was passed over."""
    kinds = collections.Counter(
      walk.kind(video.path)
      if video.path.lower().endswith(EXTENSIONS)
      else "folders of frames"
      for video in found
    )
    log = logging.warning if self._passed else logging.info
    log(
      "videos %r: found %s%s", source, walk.described(kinds), self.passed_over
    )

  def folder(self, root: str) -> Iterator[Video]:
    """Yields the videos of a folder at any depth, unsorted."""
    files = walk.walk(root, self._passed)
    for folder, group in itertools.groupby(
      files, key=lambda file: os.path.dirname(file[0])
    ):
      films, others = set(), []
      for name, entry in group:
        lower = name.lower()
        if lower.endswith(EXTENSIONS):
          films.add(os.path.splitext(entry.name)[0])
          yield Video(os.path.join(root, name), name)
        elif lower.endswith(".zip"):
          try:
            yield from self.zip(os.path.join(root, name), name)
          except errors.UsageError as error:
            self._passed[".zip"] += 1
            logging.warning("skipped 1 archive: %s", error)
        else:
          others.append(entry.name)
      # Boxes of a film lie beside it, NAME.csv.
      boxes = {f"{film}.csv" for film in films}
      others = [name for name in others if name not in boxes]
      series = frame_names.in_order(others)
      path = os.path.join(root, folder) if folder else root
      name = folder or os.path.basename(os.path.abspath(root))
      self._count(others, series)
      if self._are_frames(name, series, functools.partial(_open, path)):
        yield Video(path, name)

  def zip(self, path: str, name: str) -> Iterator[Video]:
    """Yields the folders of frames of a zip.

    Raises:
      UsageError: the zip cannot be read.
    """
    try:
      with zipfile.ZipFile(path) as archive:
        files = [file for file in archive.namelist() if file[-1:] != "/"]
        folders = frame_names.by_folder(files)
        paths = [
          posixpath.join(folder, file)
          for folder, series in folders.items()
          for file in series
        ]
        self._count(files, paths)
        frames = [
          folder
          for folder, series in folders.items()
          if self._are_frames(
            f"{name}{INSIDE}{folder}",
            [posixpath.join(folder, file) for file in series],
            archive.open,
          )
        ]
    except Exception as error:  # The file may hold anything.
      raise errors.UsageError(
        f"videos: cannot list {path!r} ({error}); expected a zip with folders"
        " of numbered frames; repair or remove it"
      ) from error
    for folder in frames:
      yield Video(f"{path}{INSIDE}{folder}", f"{name}{INSIDE}{folder}")

  def _count(self, files: Sequence[str], series: Sequence[str]) -> None:
    """Counts the files that are not in a series of at least 2 images."""
    numbered = set(series) if len(series) > 1 else ()
    kinds = (walk.kind(file) for file in files if file not in numbered)
    self._passed.update(kinds)

  def _are_frames(
    self,
    name: str,
    series: Sequence[str],
    open_image: Callable[[str], BinaryIO],
  ) -> bool:
    """Whether a series is a video; counts photographs."""
    if len(series) < 2:
      return False
    reason = photographs.reason(series, open_image)
    if reason is not None:
      self._photographs.append((name, reason))
      self._passed[_PHOTOGRAPHS] += len(series)
    return reason is None


def _open(folder: str, name: str) -> BinaryIO:
  return open(os.path.join(folder, name), "rb")


def _in_manifest(file: str, folder_fps: float) -> list[Video]:
  videos, names = [], set()
  root = os.path.dirname(os.path.abspath(file))
  for row in video_manifest.read(file):
    path = os.path.join(root, spelling.on_disk(root, row.path))
    if not os.path.exists(split_archive(path)[0]):
      raise video_manifest.error(
        file,
        row.line,
        f"nothing at {path!r}; expected paths relative to the manifest's "
        "folder, or absolute",
      )
    name = row.path
    if row.start is not None or row.end is not None:
      end = "" if row.end is None else f"{row.end:g}"
      name += f"[{row.start or 0:g}-{end}]"
    if name in names:
      name += f"#{row.line}"
    names.add(name)
    videos.append(Video(path, name, row.label, row.start, row.end, folder_fps))
  return videos


def _error(source: str, problem: str) -> errors.UsageError:
  return errors.UsageError(
    f"videos {source!r}: {problem}; expected {_EXPECTED}"
  )
