"""Finds videos in files, folders, archives and manifests."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

from absl import logging

from tf_ssl import errors
from tf_ssl.ops import spelling
from tf_ssl.video.source import frame_names, video_manifest

EXTENSIONS = (
  ".3gp",
  ".asf",
  ".avi",
  ".flv",
  ".gif",
  ".m2ts",
  ".m4v",
  ".mkv",
  ".mov",
  ".mp4",
  ".mpeg",
  ".mpg",
  ".mts",
  ".ogv",
  ".ts",
  ".vob",
  ".webm",
  ".wmv",
)
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
  and for such folders inside .zip files. Hidden files and folders are ignored,
  links are followed.

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
  if os.path.isdir(path):
    found = _in_folder(path)
  elif lower.endswith(".csv") and os.path.exists(path):
    return _in_manifest(path, folder_fps)
  elif lower.endswith(".zip") and os.path.exists(path):
    found = _in_zip(path, os.path.basename(path))
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
  if not videos:
    raise _error(source, "no video found")
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


def _in_folder(root: str) -> Iterator[Video]:
  folders = [("", frozenset({os.path.realpath(root)}))]
  while folders:
    relative, ancestors = folders.pop()
    files = []
    with os.scandir(os.path.join(root, relative)) as entries:
      for entry in entries:
        if entry.name.startswith("."):
          continue
        name = os.path.join(relative, entry.name)
        lower = entry.name.lower()
        if entry.is_dir():
          real = os.path.realpath(entry.path)
          if real not in ancestors:  # links to a parent would never end
            folders.append((name, ancestors | {real}))
        elif lower.endswith(EXTENSIONS):
          yield Video(os.path.join(root, name), name)
        elif lower.endswith(".zip"):
          try:
            yield from _in_zip(os.path.join(root, name), name)
          except errors.UsageError as error:
            logging.warning("skipped 1 archive: %s", error)
        else:
          files.append(entry.name)
    if len(frame_names.in_order(files)) > 1:
      path = os.path.join(root, relative) if relative else root
      name = relative or os.path.basename(os.path.abspath(root))
      yield Video(path, name)


def _in_zip(path: str, name: str) -> Iterator[Video]:
  try:
    with zipfile.ZipFile(path) as archive:
      folders = frame_names.by_folder(archive.namelist())
  except (
    OSError,
    ValueError,
    zipfile.BadZipFile,
    NotImplementedError,
  ) as error:
    raise errors.UsageError(
      f"videos: cannot list {path!r} ({error}); expected a zip with folders of "
      "numbered frames; repair or remove it"
    ) from error
  for folder in folders:
    yield Video(f"{path}{INSIDE}{folder}", f"{name}{INSIDE}{folder}")


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
