"""Progress bars with rate and remaining time."""

import sys
from collections.abc import Iterable
from typing import Any

import tqdm

_TERMINAL_SECONDS = 0.2  # Between two updates of the line.
_LOG_SECONDS = 30  # Between two lines where stderr is a file.


def bar(
  title: str,
  items: Iterable[Any] | None = None,
  *,
  total: int | None = None,
  done: int = 0,
  unit: str = "item",
  **options,
) -> tqdm.tqdm:
  """Creates a progress bar on stderr.

  On a terminal one line is redrawn; in a log file a line is added every half
  minute.

  Args:
    title: name of the activity, such as "Extracting features".
    items: iterable whose items are counted; None if the caller counts with
      `update`.
    total: number of all items; by default the length of `items`.
    done: number of items that an earlier process finished.
    unit: name of one item.
    **options: further options of `tqdm.tqdm`.

  Returns:
    The bar: an iterator over `items` and a context manager.
  """
  terminal = sys.stderr.isatty()
  seconds = _TERMINAL_SECONDS if terminal else _LOG_SECONDS
  return tqdm.tqdm(
    items,
    desc=title,
    total=total,
    initial=done,
    unit=unit,
    mininterval=seconds,
    maxinterval=max(seconds, 10),
    dynamic_ncols=terminal,
    **options,
  )


def write(line: str) -> None:
  """Prints a line on stderr above the bars that are shown."""
  tqdm.tqdm.write(line, file=sys.stderr)
