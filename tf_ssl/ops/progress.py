"""Progress bars with rate and remaining time, on tqdm."""

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
  """A progress bar on stderr: one moving line, or a line every half minute.

  Args:
    title: what is done, such as "Extracting features".
    items: iterable to count; None for a bar that the caller updates.
    total: number of items in all; by default the length of `items`.
    done: number of items that an earlier call finished.
    unit: name of one item.
    **options: further options of `tqdm.tqdm`.

  Returns:
    The bar, which is also a context manager.
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
  """Prints a line on stderr, above any bar."""
  tqdm.tqdm.write(line, file=sys.stderr)
