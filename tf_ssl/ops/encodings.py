"""The encoding of a text file, as its first bytes tell it."""

import codecs

# UTF-32's little-endian mark begins with that of UTF-16.
_MARKS = {
  codecs.BOM_UTF32_LE: "utf-32",
  codecs.BOM_UTF32_BE: "utf-32",
  codecs.BOM_UTF16_LE: "utf-16",
  codecs.BOM_UTF16_BE: "utf-16",
}


def of(path: str) -> str:
  """Returns the name of a file's encoding for `open`, which drops the mark.

  Spreadsheets and Windows' shell write UTF-16.

  Args:
    path: path of the file.

  Returns:
    "utf-16", "utf-32"; without a mark "utf-16-le" or "utf-16-be"; "utf-8-sig",
    with or without a mark, for all other files.

  Raises:
    OSError: the file cannot be read.
  """
  with open(path, "rb") as file:
    start = file.read(4)
  for mark, name in _MARKS.items():
    if start.startswith(mark):
      return name
  if len(start) > 1 and bool(start[0]) != bool(start[1]):
    return "utf-16-le" if start[0] else "utf-16-be"  # ASCII without a mark.
  return "utf-8-sig"
