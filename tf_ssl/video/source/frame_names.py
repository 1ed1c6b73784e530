"""Which of a folder's files are the frames of a video, and in what order."""

import posixpath
import re
from collections.abc import Iterable

# img_00012.jpg: the number is what stands last.
_FRAME = re.compile(
  r"(?P<prefix>(?:.*\D)?)(?P<number>\d{1,18})\.(?:jpe?g|png|bmp)",
  re.IGNORECASE | re.DOTALL,
)


def in_order(names: Iterable[str]) -> list[str]:
  """Returns the frames among the names of files, by their number.

  9.jpg comes before 10.jpg. Of several series, such as img_00001.jpg and
  flow_x_00001.jpg, the longest counts, but none that begins with `flow`. Where
  a number stands twice (1.jpg, 01.png) the first name in order counts.

  Args:
    names: without their folder.
  """
  series: dict[str, dict[int, str]] = {}
  for name in sorted(names):
    match = _FRAME.fullmatch(name)
    if match and not name.startswith("."):
      numbers = series.setdefault(match["prefix"], {})
      numbers.setdefault(int(match["number"]), name)
  for prefix in list(series):
    if prefix.lower().startswith("flow"):
      del series[prefix]
  if not series:
    return []
  longest = min(series, key=lambda prefix: (-len(series[prefix]), prefix))
  return [name for _, name in sorted(series[longest].items())]


def by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
  """Sorts an archive's files into the folders that are videos.

  Args:
    paths: of the files in the archive, with `/`.

  Returns:
    From each folder that directly holds at least 2 frames to the names of its
    frames, in order. The top of the archive has the name "".
  """
  folders: dict[str, list[str]] = {}
  for path in paths:
    folder, name = posixpath.split(path)
    hidden = any(part.startswith((".", "__")) for part in folder.split("/"))
    if name and not hidden:
      folders.setdefault(folder, []).append(name)
  ordered = {folder: in_order(names) for folder, names in folders.items()}
  return {
    folder: names for folder, names in sorted(ordered.items()) if len(names) > 1
  }
