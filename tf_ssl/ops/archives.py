"""Recognizes archives that are given in place of a folder."""

import os

# Of formats with these bytes at these offsets.
_MAGIC = {
  "Zip": (0, b"PK\x03\x04"),
  "tar": (257, b"ustar"),
  "7z": (0, b"7z\xbc\xaf\x27\x1c"),
  "RAR": (0, b"Rar!\x1a\x07"),
}
_COMPRESSED = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


def hint(path: str) -> str | None:
  """Returns "is a Zip archive; unpack it ..." for an archive, else None.

  Args:
    path: path of anything, which need not exist.
  """
  if not os.path.isfile(path):
    return None
  kind = "compressed tar" if path.lower().endswith(_COMPRESSED) else None
  if kind is None:
    try:
      with open(path, "rb") as file:
        start = file.read(512)
    except OSError:
      return None
    for name, (offset, magic) in _MAGIC.items():
      if start.startswith(magic, offset):
        kind = name
  return kind and f"is a {kind} archive; unpack it and give the folder"
