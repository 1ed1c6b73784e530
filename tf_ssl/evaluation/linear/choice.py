"""Chooses one of several settings of a linear probe, over seeds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.evaluation import predictions as guesses_lib
from tf_ssl.evaluation import protocol


class Tested(NamedTuple):
  """One seed's classifiers, one for each setting.

  Attributes:
    validation: [G] accuracies, 0..1, that the choice is made by; None of one
      that has diverged.
    guesses: [G], about the test images; None likewise.
  """

  validation: Sequence[float | None]
  guesses: Sequence[guesses_lib.Guesses | None]


class Choice(NamedTuple):
  """The setting that is reported.

  Attributes:
    number: which of the G.
    value: of the setting.
    details: by setting, for report.json.
    table: the same for the page.
    notes: what a reader should know of the choice.
  """

  number: int
  value: float
  details: list[dict[str, Any]]
  table: protocol.Table
  notes: list[str]


def choose(
  values: Sequence[float],
  tested: Sequence[Tested],
  *,
  name: str,
  macro: str,
  on_test: bool,
) -> Choice:
  """Takes the setting with the best mean over seeds, of equal ones the first.

  Args:
    values: G settings.
    tested: of each seed.
    name: of the setting, such as "learning rate".
    macro: that sets them, for notes and errors.
    on_test: whether `Tested.validation` is of the test images.

  Raises:
    UsageError: all have diverged.
  """
  means = [
    None
    if any(seed.validation[i] is None for seed in tested)
    else float(np.mean([seed.validation[i] for seed in tested]))
    for i in range(len(values))
  ]
  if all(mean is None for mean in means):
    raise errors.UsageError(
      f"all classifiers have diverged, with the {name}s {list(values)}; lower "
      f"{macro}"
    )
  number = int(np.argmax([-1.0 if mean is None else mean for mean in means]))
  shown = "test" if on_test else "validation"
  details = []
  for i, value in enumerate(values):
    row = {name.replace(" ", "_"): value, "has_diverged": means[i] is None}
    if means[i] is not None:
      row[f"{shown}_top1_percent"] = 100 * means[i]
      row["test_top1_percent"] = 100 * float(
        np.mean([seed.guesses[i].accuracy() for seed in tested])
      )
    details.append(row)
  columns = [f"{shown}_top1_percent", "test_top1_percent"]
  columns = list(dict.fromkeys(columns))
  table = protocol.Table(
    f"By {name}, means over seeds",
    [name, *(f"{c.split('_')[0]} top-1, %" for c in columns), ""],
    [
      [
        value,
        *(row.get(column) for column in columns),
        "chosen" if i == number else "diverged" * row["has_diverged"],
      ]
      for i, (value, row) in enumerate(zip(values, details, strict=True))
    ],
  )
  return Choice(
    number,
    values[number],
    details,
    table,
    _notes(values, number, name=name, macro=macro, on_test=on_test),
  )


def _notes(values, number, *, name, macro, on_test) -> list[str]:
  notes = []
  if len(values) > 1 and on_test:
    notes.append(
      f"the {name} was chosen on the test images themselves: optimistic"
    )
  if len(values) > 2 and values[number] in (min(values), max(values)):
    end = "smallest" if values[number] == min(values) else "largest"
    notes.append(
      f"the chosen {name}, {values[number]:g}, is the {end} of all that were "
      f"tried: others may be better; extend {macro}"
    )
  return notes


def line(seed: int, values: Sequence[float], tested: Tested) -> str:
  """One seed in words."""
  found = [
    f"{value:g}: {'diverged' if score is None else f'{score:.1%}'}"
    for value, score in zip(values, tested.validation, strict=True)
  ]
  return f"seed {seed}: {', '.join(found)}"
