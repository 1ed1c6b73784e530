"""Finds images by the paths that annotation tools write."""

import os
import re

from tf_ssl.ops import spelling

_ABSOLUTE = re.compile("/|[A-Za-z]:/")


def find(root: str, file: str) -> str:
  """Returns the path of an image relative to the root.

  Tools write the path, absolute or not, that the images had when they were
  annotated; it counts from a folder of the root's name.

  Args:
    root: absolute path of the folder of the images.
    file: path that a tool wrote.
  """
  path = file.strip().replace("\\", "/")
  if _ABSOLUTE.match(path):
    for folder in (root, os.path.realpath(root)):
      if path.startswith(os.path.join(folder, "")):
        below = os.path.relpath(os.path.normpath(path), folder)
        return spelling.on_disk(root, below)
  elif is_below(file):
    file = spelling.on_disk(root, file)
    if spelling.exists(os.path.join(root, file)):
      return file
  _, found, below = f"/{path}".rpartition(f"/{os.path.basename(root)}/")
  if found and is_below(below):
    below = spelling.on_disk(root, below)
    if spelling.exists(os.path.join(root, below)):
      return below
  return file


def is_below(file: str) -> bool:
  """Whether a relative path stays below the folder that it is relative to."""
  parts = file.replace("\\", "/").split("/")
  return bool(file) and not os.path.isabs(file) and ".." not in parts
