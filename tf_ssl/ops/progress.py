"""Progress bars with rate and remaining time."""

import sys
from collections.abc import Callable, Iterable
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
  work: Callable[[int], float] | None = None,
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
    work: function of a number of items that returns the work that the first
      ones are, in any unit, for the remaining time; None where all items are
      equal.
    **options: further options of `tqdm.tqdm`.

  Returns:
    The bar: an iterator over `items` and a context manager.
  """
  terminal = sys.stderr.isatty()
  seconds = _TERMINAL_SECONDS if terminal else _LOG_SECONDS
  if work is not None:
    options.update(work=work, bar_format=_Weighted.FORMAT)
  return (tqdm.tqdm if work is None else _Weighted)(
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


class _Weighted(tqdm.tqdm):
  """A bar whose items are not equal; `left` is the remaining time."""

  FORMAT = (
    "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}, {rate_fmt}{postfix}]"
  )

  def __init__(self, *args, work, **options):
    self._work = work
    super().__init__(*args, **options)

  @property
  def format_dict(self):
    values = super().format_dict
    return {**values, "left": self._left(values["n"], values["elapsed"])}

  def _left(self, n, elapsed) -> str:
    before, now, total = map(self._work, (self.initial, n, self.total))
    if now <= before:
      return "?"
    return self.format_interval(elapsed * (total - now) / (now - before))


def write(line: str) -> None:
  """Prints a line on stderr above the bars that are shown."""
  tqdm.tqdm.write(line, file=sys.stderr)
