"""Selects and orders the frames of a video among the files of a folder."""

import itertools
import posixpath
import re
from collections.abc import Iterable

from tf_ssl.ops import walk

# img_00012.jpg: the last number in the name counts.
_FRAME = re.compile(
  r"(?P<prefix>(?:.*\D)?)(?P<number>\d{1,18})\.(?:jpe?g|png|bmp)",
  re.IGNORECASE | re.DOTALL,
)


def in_order(names: Iterable[str]) -> list[str]:
  """Returns the file names that are frames, sorted by frame number.

  9.jpg comes before 10.jpg. If a folder has several series, such as
  img_00001.jpg and flow_x_00001.jpg, only the longest one is used; series whose
  name begins with `flow` are ignored. If two files have one number (1.jpg,
  01.png), the alphabetically first one is used.

  Args:
    names: file names without their folder.
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


def gaps(names: Iterable[str]) -> int:
  """Number of places where frames are missing between equal steps.

  Args:
    names: file names from `in_order`.
  """
  numbers = [int(_FRAME.fullmatch(name)["number"]) for name in names]
  steps = [after - number for number, after in itertools.pairwise(numbers)]
  usual = sorted(steps)[len(steps) // 2] if steps else 0
  return sum(step > usual for step in steps)


def by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
  """Groups the files of an archive by folder.

  Args:
    paths: paths of the files in the archive, separated by `/`.

  Returns:
    Ordered frame names of each folder that directly holds at least 2 frames.
    The top level of the archive has the name "".
  """
  folders: dict[str, list[str]] = {}
  for path in paths:
    folder, name = posixpath.split(path)
    if name and not any(map(walk.is_service, folder.split("/"))):
      folders.setdefault(folder, []).append(name)
  ordered = {folder: in_order(names) for folder, names in folders.items()}
  return {
    folder: names for folder, names in sorted(ordered.items()) if len(names) > 1
  }
