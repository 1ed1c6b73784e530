"""Folders of rendered files that appear whole or not at all.

    NAME/manifest.json     what every file holds: its size and CRC-32
    NAME/images/...        the files; or NAME/videos/...

A folder is rendered beside its place and moved there by one rename.
"""

import json
import os
import pathlib
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Collection

from tf_ssl import errors

_MANIFEST = "manifest.json"
_STALE_SECONDS = 24 * 3600


def folder(
  place: pathlib.Path,
  kind: str,
  files: Collection[str],
  render: Callable[[pathlib.Path], None],
) -> str:
  """Returns a folder with these files, rendering them if need be.

  Args:
    place: where it is kept; its name tells all that decides what is in it.
    kind: images or videos: name of the folder in it that holds the files.
    files: the names of the files.
    render: writes them into the folder given; their subfolders exist.

  Returns:
    Path of the folder that holds the files.

  Raises:
    UsageError: if the folder cannot be written.
  """
  if not is_whole(place, kind, files):
    try:
      place.parent.mkdir(parents=True, exist_ok=True)
      _remove_stale(place)
      _render(place, kind, files, render)
    except OSError as error:
      raise errors.UsageError(
        f"cache_dir={str(place.parent)!r}: cannot keep rendered files there "
        f"({error}); expected a writable folder; change cache_dir."
      ) from error
  return str(place / kind)


def is_whole(place: pathlib.Path, kind: str, files: Collection[str]) -> bool:
  """Whether exactly these files are there, every byte as it was written."""
  try:
    manifest = json.loads((place / _MANIFEST).read_text())
    if set(manifest) != set(files):
      return False
    kept = place / kind
    present = sum(len(names) for _, _, names in os.walk(kept))
    return present == len(files) and all(
      _facts((kept / name).read_bytes()) == facts
      for name, facts in manifest.items()
    )
  except (OSError, ValueError):
    return False


def _facts(data):
  return [len(data), zlib.crc32(data)]


def _render(place, kind, files, render):
  temporary = pathlib.Path(
    tempfile.mkdtemp(prefix=_prefix(place), dir=place.parent)
  )
  try:
    made = temporary / "made"
    for subfolder in {os.path.dirname(name) for name in files}:
      (made / kind / subfolder).mkdir(parents=True, exist_ok=True)
    render(made / kind)
    manifest = {
      name: _facts((made / kind / name).read_bytes()) for name in files
    }
    (made / _MANIFEST).write_text(json.dumps(manifest))
    _put(made, place, temporary / "old", kind, files)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _put(made, place, aside, kind, files):
  """Moves `made` to its place, unless another process was faster."""
  for _ in range(10):
    try:
      os.rename(made, place)
      return
    except OSError:
      if is_whole(place, kind, files):
        return
      # What is there is damaged. Whoever moves it away first may do so.
      try:
        os.rename(place, aside)
      except FileNotFoundError:
        continue
      shutil.rmtree(aside, ignore_errors=True)
  raise OSError(f"{place} cannot be replaced")


def _prefix(place):
  return f".{place.name}."


def _remove_stale(place):
  """Removes what processes that were killed have left behind."""
  for path in place.parent.glob(_prefix(place) + "*"):
    try:
      if time.time() - path.stat().st_mtime > _STALE_SECONDS:
        shutil.rmtree(path, ignore_errors=True)
    except FileNotFoundError:
      pass
