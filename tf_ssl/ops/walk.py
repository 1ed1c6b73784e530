"""Walks the folders of users and counts what it passes over."""

import collections
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from typing import AnyStr

from tf_ssl.ops import names

# Folders that storage devices, file managers and archivers add, in lower case.
SERVICE_FOLDERS = frozenset(
  {
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@tmp",
    "__macosx",
    "lost+found",
    "lost.dir",
    "recycler",
    "system volume information",
    "thumbnails",
    "thumbs",
  }
)
_MAX_KINDS = 8  # Kinds that `described` lists.


def walk(
  root: AnyStr, passed: collections.Counter[str]
) -> Iterator[tuple[AnyStr, "os.DirEntry[AnyStr]"]]:
  """Yields the files at any depth, one folder after the other, unsorted.

  Links are followed, except those that lead back to a folder they are in. A
  link to nothing is yielded: reading it fails and names it.

  Args:
    root: folder to search.
    passed: number of things passed over by kind. The walk adds hidden files,
      hidden, service and unreadable folders, link loops, pipes and devices.

  Yields:
    The path relative to `root`, and the entry of the file.

  Raises:
    OSError: `root` cannot be listed.
  """
  start = os.path.realpath(root)
  folders = [(root[:0], frozenset({start}))]
  while folders:
    relative, ancestors = folders.pop()
    try:
      listing = os.scandir(os.path.join(root, relative))
    except OSError:
      if not relative:
        raise
      passed["unreadable folder"] += 1
      continue
    with listing as entries:
      for entry in entries:
        path = os.path.join(relative, entry.name)
        reason = _passed_over(entry)
        if reason is None and entry.is_dir():
          real = os.path.realpath(entry.path)
          if real not in ancestors and not _is_in(start, real):
            folders.append((path, ancestors | {real}))
          else:
            reason = "link loop"
        elif reason is None:
          yield path, entry
        if reason is not None:
          passed[reason] += 1


def is_service(name: str) -> bool:
  """Whether a folder of this name is hidden or has no data of the user."""
  return name.startswith(".") or name.lower() in SERVICE_FOLDERS


def kind(name: str) -> str:
  """Returns the kind of a file in reports: its extension in lower case."""
  extension = os.path.splitext(name)[1].lower()
  return names.escaped(extension) or "no extension"


def described(passed: Mapping[str, int]) -> str:
  """Lists kinds with counts, the most frequent first: ".txt (12), pipe (1)".

  Args:
    passed: number of things by kind.
  """
  ordered = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
  parts = [f"{name} ({count})" for name, count in ordered[:_MAX_KINDS]]
  if len(ordered) > _MAX_KINDS:
    rest = sum(count for _, count in ordered[_MAX_KINDS:])
    parts.append(f"other kinds ({rest})")
  return ", ".join(parts)


def _is_in(path: AnyStr, folder: AnyStr) -> bool:
  return os.path.commonpath([path, folder]) == folder


def _passed_over(entry: os.DirEntry) -> str | None:
  """Returns the kind of an entry that is passed over, or None."""
  name = os.fsdecode(entry.name)
  try:
    is_folder, is_file = entry.is_dir(), entry.is_file()
  except OSError as error:
    return "link loop" if error.errno == errno.ELOOP else "unreadable link"
  if is_folder:
    return f"folder {name!r}" if is_service(name) else None
  if name.startswith("."):
    return "hidden file"
  if is_file:
    return None
  try:
    mode = entry.stat().st_mode
  except OSError:  # A link to nothing.
    return None
  return "pipe" if stat.S_ISFIFO(mode) else "device or socket"
