"""Folders of rendered images that appear whole or not at all.

    NAME/manifest.json     what every image file holds: its size and CRC-32
    NAME/images/...        the images

A folder is rendered beside its place and moved there by one rename.
"""

import json
import os
import pathlib
import shutil
import tempfile
import time
import zlib

from tf_ssl import errors
from tf_ssl.datasets.rendering import workers

_MANIFEST, _IMAGES = "manifest.json", "images"
_STALE_SECONDS = 24 * 3600


def folder(
  place: pathlib.Path, files: dict[str, int], *, image_size: int, **world
) -> str:
  """Returns a folder with these images, rendering it if need be.

  Args:
    place: where it is kept; its name tells all arguments.
    files: from the names of the image files to the indices of the images.
    image_size: H and W.
    **world: the rest of what `workers.render_files` takes: seed, variety.

  Returns:
    Path of the folder that holds the files.

  Raises:
    UsageError: if the folder cannot be written.
  """
  if not is_whole(place, files):
    try:
      place.parent.mkdir(parents=True, exist_ok=True)
      _remove_stale(place)
      _render(place, files, image_size=image_size, **world)
    except OSError as error:
      raise errors.UsageError(
        f"cache_dir={str(place.parent)!r}: cannot keep rendered images there "
        f"({error}); expected a writable folder; change cache_dir."
      ) from error
  return str(place / _IMAGES)


def is_whole(place: pathlib.Path, files: dict[str, int]) -> bool:
  """Whether exactly these files are there, every byte as it was written."""
  try:
    manifest = json.loads((place / _MANIFEST).read_text())
    if set(manifest) != set(files):
      return False
    images = place / _IMAGES
    present = sum(len(names) for _, _, names in os.walk(images))
    return present == len(files) and all(
      _facts((images / name).read_bytes()) == facts
      for name, facts in manifest.items()
    )
  except (OSError, ValueError):
    return False


def _facts(data):
  return [len(data), zlib.crc32(data)]


def _render(place, files, **world):
  temporary = pathlib.Path(
    tempfile.mkdtemp(prefix=_prefix(place), dir=place.parent)
  )
  try:
    made = temporary / "made"
    for subfolder in {os.path.dirname(name) for name in files}:
      (made / _IMAGES / subfolder).mkdir(parents=True, exist_ok=True)
    workers.render_files(made / _IMAGES, files, **world)
    manifest = {
      name: _facts((made / _IMAGES / name).read_bytes()) for name in files
    }
    (made / _MANIFEST).write_text(json.dumps(manifest))
    _put(made, place, temporary / "old", files)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _put(made, place, aside, files):
  """Moves `made` to its place, unless another process was faster."""
  for _ in range(10):
    try:
      os.rename(made, place)
      return
    except OSError:
      if is_whole(place, files):
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
