"""Finds listed files whose names are spelled in another Unicode form.

An accented letter is one character (form NFC) or a letter and an accent (NFD).
Lists and archives that pass through macOS change the form, and most file
systems then find no file of that name.
"""

import os
import unicodedata

_FORMS = ("NFC", "NFD")


def on_disk(root: str, path: str) -> str:
  """The path as its files are spelled on disk.

  Args:
    root: folder that `path` is relative to, unless it is absolute.
    path: path as a list gives it.

  Returns:
    `path` if it exists, or if no file of another form does.
  """
  if path.isascii() or _exists(os.path.join(root, path)):
    return path
  found = "/" if path.startswith("/") else ""
  for part in filter(None, path.split("/")):
    spellings = (part, *(unicodedata.normalize(form, part) for form in _FORMS))
    for spelling in spellings:
      if _exists(os.path.join(root, found, spelling)):
        found = os.path.join(found, spelling)
        break
    else:
      return path
  return found


def key(name: str) -> str:
  """A key that is equal for all spellings of a name."""
  return unicodedata.normalize("NFC", name)


def _exists(path: str) -> bool:
  try:
    return os.path.exists(path)
  except ValueError:  # A null character, or half of a surrogate pair.
    return False
