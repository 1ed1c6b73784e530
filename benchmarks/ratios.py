"""Ratios that benchmarks measure, each beside its goal.

A benchmark gives each ratio to `keep` and prints the result. If the environment
variable TF_SSL_RATIOS names a file, `keep` also adds a line of JSON to it, for
`benchmarks.run_all`.
"""

import json
import os
import pathlib
from typing import NamedTuple

FILE = "TF_SSL_RATIOS"
PERCENT = "%"


class Ratio(NamedTuple):
  """One measured number.

  Attributes:
    what: quantity, such as "PIRL's step over its bare encoder calls".
    value: measured number; a fraction if the unit is "%".
    unit: unit behind the number; empty for a ratio.
    at_least: smallest number that meets the goal; None for no such goal.
    at_most: largest number that meets the goal; None for no such goal.
  """

  what: str
  value: float
  unit: str = ""
  at_least: float | None = None
  at_most: float | None = None

  @property
  def is_met(self) -> bool | None:
    """Whether the goal is met; None without a goal."""
    if self.at_least is None and self.at_most is None:
      return None
    return (self.at_least is None or self.value >= self.at_least) and (
      self.at_most is None or self.value <= self.at_most
    )

  @property
  def measured(self) -> str:
    """The number with its unit, such as "1.062" or "4.1 %"."""
    if self.unit == PERCENT:
      return f"{100 * self.value:.1f} %"
    size = abs(self.value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 3
    return f"{self.value:,.{digits}f} {self.unit}".strip()

  @property
  def goal(self) -> str:
    """The goal, such as "at most 1.08"; empty without one."""
    scale, unit = (100, " %") if self.unit == PERCENT else (1, "")
    return " and ".join(
      f"{word} {scale * limit:,g}{unit}"
      for word, limit in (
        ("at least", self.at_least),
        ("at most", self.at_most),
      )
      if limit is not None
    )

  def __str__(self) -> str:
    return f"{self.measured} ({self.goal})" if self.goal else self.measured


def keep(what: str, value: float, **goal) -> Ratio:
  """Returns a ratio, and adds it to the file of TF_SSL_RATIOS if that is set.

  Args:
    what: quantity.
    value: measured number.
    **goal: further attributes of `Ratio`.
  """
  ratio = Ratio(what, float(value), **goal)
  if path := os.environ.get(FILE):
    with open(path, "a", encoding="utf-8") as file:
      print(json.dumps(ratio._asdict()), file=file)
  return ratio


def read(path: pathlib.Path) -> list[Ratio]:
  """Ratios of a file, in the order in which they were kept."""
  if not path.exists():
    return []
  lines = path.read_text(encoding="utf-8").splitlines()
  return [Ratio(**json.loads(line)) for line in lines]
