"""How long steps took: one after the other, and on the clock."""

from collections.abc import Iterable

# When something began and ended, in seconds since 1970.
Span = tuple[float, float]


def together(spans: Iterable[Span]) -> float:
  """Seconds of all of them, one after the other."""
  return sum(end - begin for begin, end in spans)


def on_the_clock(spans: Iterable[Span]) -> float:
  """Seconds in which at least one of them went on."""
  total, reached = 0.0, float("-inf")
  for begin, end in sorted(spans):
    total += max(end - max(begin, reached), 0.0)
    reached = max(reached, end)
  return total


def in_words(seconds: float) -> str:
  """Such as "2 h 5 min", "12 min" or "8 s"."""
  if seconds < 59.5:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  if minutes < 60:
    return f"{minutes} min"
  return f"{minutes // 60} h {minutes % 60} min"
