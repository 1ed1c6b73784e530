"""Finds listed files whose names are spelled in another way than on disk.

An accented letter is one character (form NFC) or a letter and an accent (NFD).
Lists and archives that pass through macOS change the form, and most file
systems then find no file of that name. Windows separates folders by
backslashes, and lists may have blanks around paths.
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
    `path` if it exists, or if no file of another spelling does.
  """
  plain = path.strip().replace("\\", "/")
  if (plain == path and path.isascii()) or exists(os.path.join(root, path)):
    return path
  for listed in dict.fromkeys((path, path.strip(), plain)):
    found = _in_any_form(root, listed)
    # A relative path never becomes absolute.
    if found and found.startswith("/") == path.startswith("/"):
      return found
  return path


def key(name: str) -> str:
  """A key that is equal for all spellings of a name."""
  return unicodedata.normalize("NFC", name)


def _in_any_form(root: str, path: str) -> str | None:
  """Returns the path as its parts are spelled on disk; None if missing."""
  found = "/" if path.startswith("/") else ""
  for part in filter(None, path.split("/")):
    spellings = (part, *(unicodedata.normalize(form, part) for form in _FORMS))
    for spelling in dict.fromkeys(spellings):
      if exists(os.path.join(root, found, spelling)):
        found = os.path.join(found, spelling)
        break
    else:
      return None
  return found


def exists(path: str) -> bool:
  """Returns whether a path exists, also for text that no path can be."""
  try:
    return os.path.exists(path)
  except ValueError:  # A null character, or half of a surrogate pair.
    return False
