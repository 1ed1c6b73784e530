"""A cache of folders with rendered files, each complete or absent.

NAME/manifest.json     size and CRC-32 of every file
NAME/images/...        the files; or NAME/videos/...
"""

import itertools
import json
import os
import pathlib
import time
import zlib
from collections.abc import Callable, Collection

from tf_ssl.ops import home, progress, workdir

_MANIFEST = "manifest.json"
_WAIT_SECONDS = 0.2


def folder(
  name: str,
  kind: str,
  files: Collection[str],
  render: Callable[[pathlib.Path], None],
  cache_dir: str | None = None,
) -> str:
  """Returns a folder with the given files; renders them on the first call.

  A folder with a missing, damaged or extra file is rendered again. Several
  processes may ask for one folder at once: one renders, the others wait.

  Args:
    name: name of the cached folder; holds everything that decides its content.
    kind: name of the subfolder for the files, such as "images".
    files: names of the files.
    render: function that writes the files into a given folder, whose subfolders
      exist.
    cache_dir: folder that holds the cached folders; by default
      $XDG_CACHE_HOME/tf_ssl/rendered, or ~/.cache/tf_ssl/rendered.

  Returns:
    Path of the subfolder.

  Raises:
    UsageError: cache_dir cannot be written.
  """
  if cache_dir is None:
    cache_dir = home.cache("rendered")
  cache_dir = pathlib.Path(cache_dir)
  place = cache_dir / name
  if not _is_intact(place, kind, files):
    with workdir.writable(cache_dir, "cache_dir"):
      cache_dir.mkdir(parents=True, exist_ok=True)
      with workdir.locked(
        cache_dir, "cache_dir", name=f".{name}.lock", wait=_waiting_for(place)
      ):
        # Another process may have rendered it in the meantime.
        if not _is_intact(place, kind, files):
          workdir.remove_temporaries(cache_dir, name)
          _render(place, kind, files, render)
  return str(place / kind)


def _is_intact(place: pathlib.Path, kind: str, files: Collection[str]) -> bool:
  """Whether exactly these files exist, with unchanged content."""
  try:
    manifest = workdir.read_json(place / _MANIFEST)
    if not isinstance(manifest, dict) or set(manifest) != set(files):
      return False
    present = sum(len(names) for _, _, names in os.walk(place / kind))
    return present == len(files) and all(
      _checksum(place / kind / name) == checksum
      for name, checksum in manifest.items()
    )
  except OSError:
    return False


def _checksum(path: pathlib.Path) -> list[int]:
  data = path.read_bytes()
  return [len(data), zlib.crc32(data)]


def _render(place, kind, files, render):
  with workdir.replacing_folder(
    place, overwrite=True, argument="cache_dir"
  ) as temporary:
    made = pathlib.Path(temporary, kind)
    for subfolder in {os.path.dirname(name) for name in files}:
      (made / subfolder).mkdir(parents=True, exist_ok=True)
    render(made)
    manifest = {name: _checksum(made / name) for name in files}
    pathlib.Path(temporary, _MANIFEST).write_text(json.dumps(manifest))


def _waiting_for(place: pathlib.Path) -> Callable[[], None]:
  calls = itertools.count()

  def wait() -> None:
    if next(calls) == 0:
      progress.write(f"{place}: waiting for another process that renders it")
    time.sleep(_WAIT_SECONDS)

  return wait
