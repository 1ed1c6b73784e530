"""An experiment as its file says it: steps, tables, orderings to look for."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.experiment import step as step_lib
from tf_ssl.experiment import steps as steps_lib
from tf_ssl.experiment.results import orderings as orderings_lib

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
  """A table and a figure of the results: a row for each model.

  Attributes:
    title: above it.
    columns: from a heading to the measure below it, "STEP.NAME".
    models: the rows, names of steps; all that make models where it is empty.
    unit: of the numbers, for the axis of the figure.
    note: what a reader should know of the numbers.
  """

  title: str
  columns: Mapping[str, str]
  models: Sequence[str] = ()
  unit: str = "%"
  note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
  """All there is to do, and what is expected to come out.

  Attributes:
    title: in the results.
    question: that it answers, a sentence or two.
    steps: by name. Names are letters, digits, _ and -.
    seeds: of the pretraining steps.
    data: the folder that `data:` stands for; None where there is none, and the
      steps that need it are left out.
    tables: of the results.
    orderings: see `orderings.parse`.
    findings: what was found out, paragraphs for the results.
  """

  title: str
  question: str
  steps: Mapping[str, step_lib.Step]
  seeds: Sequence[int] = (0, 1, 2)
  data: str | None = None
  tables: Sequence[Table] = ()
  orderings: Sequence[Sequence[str]] = ()
  findings: Sequence[str] = ()

  def __post_init__(self):
    """Refuses what would fail only after hours."""
    self._check_steps()
    self._check_seeds()
    for name, step in self.steps.items():
      for model in step.models:
        self._check_model(f"steps[{name!r}].models", model)
    for table in self.tables:
      for model in table.models:
        self._check_model(f"the table {table.title!r}", model)
      for measure in table.columns.values():
        self._check_measure(f"the table {table.title!r}", measure)
    for ordering in self.expected:
      for model in (ordering.left, ordering.right):
        self._check_model("orderings", model)
      self._check_measure("orderings", ordering.measure)

  @property
  def models(self) -> tuple[str, ...]:
    """Names of the steps that make models, in their order."""
    return tuple(n for n, step in self.steps.items() if step.model_path)

  @property
  def expected(self) -> tuple[orderings_lib.Ordering, ...]:
    """The orderings."""
    return tuple(orderings_lib.parse(given) for given in self.orderings)

  def step(self, name: str, place: str) -> step_lib.Step:
    """The step of this name.

    Args:
      name: as a file gives it.
      place: where it stands, for the message.

    Raises:
      UsageError: there is none.
    """
    if name not in self.steps:
      raise errors.UsageError(
        f"{place} names an unknown step {name!r}"
        f"{_did_you_mean(name, self.steps)} (there are"
        f" {', '.join(self.steps)})"
      )
    return self.steps[name]

  def label(self, name: str) -> str:
    """How a step is called in tables."""
    return self.steps[name].title or name.replace("_", " ")

  def _check_steps(self):
    if not isinstance(self.steps, Mapping) or not self.steps:
      raise errors.UsageError(
        f"steps={self.steps!r}: expected"
        ' {"NAME": @NAME/steps.Pretrain(), ...} with one step at least'
      )
    for name, step in self.steps.items():
      if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise errors.UsageError(
          f"steps: {name!r} is no name; expected letters, digits, _ and -"
        )
      if not isinstance(step, step_lib.Step):
        raise errors.UsageError(
          f"steps[{name!r}] is {_short(step)}, an unknown kind of step;"
          f" expected one of {', '.join(_kinds())}, such as"
          f" @{name}/steps.Pretrain() with the brackets"
        )

  def _check_seeds(self):
    seeds: Any = self.seeds
    if (
      not isinstance(seeds, Sequence)
      or not seeds
      or not all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds)
      or len(set(seeds)) != len(seeds)
    ):
      raise errors.UsageError(
        f"seeds={seeds!r}: expected different whole numbers from 0, such as"
        " [0, 1, 2]; change SEEDS"
      )

  def _check_model(self, place: str, name: str):
    if self.step(name, place).model_path is None:
      raise errors.UsageError(
        f"{place}: step {name!r} makes no model; expected one of"
        f" {', '.join(self.models)}"
      )

  def _check_measure(self, place: str, measure: str):
    name, dot, rest = measure.partition(".")
    step = self.step(name, f"{place}: measure {measure!r}")
    if not dot or not rest or not step.per_model:
      raise errors.UsageError(
        f"{place}: {measure!r} is no measure of a model; expected STEP.NAME of"
        " a step that looks at models"
      )


def _did_you_mean(name: str, names: Iterable[str]) -> str:
  close = difflib.get_close_matches(name, list(names), n=1)
  return f"; did you mean {close[0]}?" if close else ""


def _kinds() -> list[str]:
  return [f"steps.{kind.__name__}" for kind in steps_lib.KINDS]


def _short(value: Any) -> str:
  return getattr(value, "__name__", None) or repr(value)
