"""Settings of an experiment: steps, tables and expected orderings."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.experiment import steps as steps_lib
from tf_ssl.experiment.results import controls as controls_lib
from tf_ssl.experiment.results import gaps as gaps_lib
from tf_ssl.experiment.results import learned as learned_lib
from tf_ssl.experiment.results import orderings as orderings_lib

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
  """A table of the results with its figure: one row per model.

  Attributes:
    title: title of table and figure.
    columns: {heading: measure as "STEP.NAME"}.
    models: names of the steps whose models are rows; all that make models if
      empty.
    unit: unit of the numbers, for the axis of the figure.
    note: remark below the table.
    curves: {name: {x: model}}, for a figure of curves with x on the horizontal
      axis; empty for a figure of one point per model.
    x_label: name of x, such as "smallest area of a crop".
  """

  title: str
  columns: Mapping[str, str]
  models: Sequence[str] = ()
  unit: str = "%"
  note: str = ""
  curves: Mapping[str, Mapping[float, str]] = dataclasses.field(
    default_factory=dict
  )
  x_label: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
  """An experiment: what to run, what to show, and what is expected.

  Attributes:
    title: title of its section in the results.
    question: question that it answers, a sentence or two.
    steps: {name: step}; names have letters, digits, _ and -.
    seeds: seeds of the pretraining steps.
    pilot_seeds: seeds of the pilot, from which `pilot.estimate` computes how
      many seeds are needed; not among `seeds`.
    data: folder of real data, for `data:`; None to skip the steps that need it.
    tables: tables of the results.
    orderings: expected orderings, see `orderings.parse`.
    learned: rule by which encoders learned, see `learned.parse`; orderings of
      others are not reported.
    controls: comparisons whose outcome is known, in the form of orderings, with
      the relation "=", too; see `controls`.
    gaps: remedies whose share of a gap is measured, see `gaps.parse`.
    findings: paragraphs about the results.
    answer: the answer to the question in two sentences, which opens the page;
      "" while there is none.
  """

  title: str
  question: str
  steps: Mapping[str, steps_lib.Step]
  seeds: Sequence[int] = (0, 1, 2)
  pilot_seeds: Sequence[int] = ()
  data: str | None = None
  tables: Sequence[Table] = ()
  orderings: Sequence[Sequence[str]] = ()
  learned: Sequence[str] = ()
  controls: Sequence[Sequence[str]] = ()
  gaps: Sequence[Sequence[str]] = ()
  findings: Sequence[str] = ()
  answer: str = ""

  def __post_init__(self):
    """Refuses settings that would fail only after hours."""
    self._check_steps()
    _check_seeds("seeds", self.seeds, "SEEDS")
    if self.pilot_seeds:
      _check_seeds("pilot_seeds", self.pilot_seeds, "PILOT_SEEDS")
    both = set(self.seeds) & set(self.pilot_seeds)
    errors.require(
      not both,
      f"seeds={self.seeds!r} and pilot_seeds={self.pilot_seeds!r} share"
      f" {', '.join(map(str, sorted(both)))}: what decided the number of seeds"
      " may not be used again; change SEEDS or PILOT_SEEDS",
    )
    for name, step in self.steps.items():
      for model in step.models:
        self._check_model(f"steps[{name!r}].models", model)
    for table in self.tables:
      for model in table.models:
        self._check_model(f"the table {table.title!r}", model)
      for measure in table.columns.values():
        self._check_measure(f"the table {table.title!r}", measure)
      for name, curve in table.curves.items():
        self._check_curve(table, name, curve)
    for ordering in self.expected:
      for model in (ordering.left, ordering.right):
        self._check_model("orderings", model)
      self._check_measure("orderings", ordering.measure)
    for control in self.checks:
      for model in (control.left, control.right):
        self._check_model("controls", model)
      self._check_measure("controls", control.measure)
    if self.rule:
      self._check_model("learned", self.rule.untrained)
      self._check_measure("learned", self.rule.measure)
    for gap in self.remedies:
      for model in (gap.remedy, gap.plain, gap.reference):
        self._check_model("gaps", model)
      self._check_measure("gaps", gap.measure)

  @property
  def models(self) -> tuple[str, ...]:
    """Names of the steps that make models, in order."""
    return tuple(n for n, step in self.steps.items() if step.model_path)

  @property
  def expected(self) -> tuple[orderings_lib.Ordering, ...]:
    """The parsed orderings."""
    return tuple(orderings_lib.parse(given) for given in self.orderings)

  @property
  def checks(self) -> tuple[orderings_lib.Ordering, ...]:
    """The parsed controls."""
    return tuple(
      orderings_lib.parse(
        given, setting="controls", relations=controls_lib.RELATIONS
      )
      for given in self.controls
    )

  @property
  def rule(self) -> learned_lib.Rule | None:
    """The parsed rule by which encoders learned; None for none."""
    return learned_lib.parse(self.learned)

  @property
  def remedies(self) -> tuple[gaps_lib.Gap, ...]:
    """The parsed gaps."""
    return tuple(gaps_lib.parse(given) for given in self.gaps)

  def step(self, name: str, place: str) -> steps_lib.Step:
    """The step of this name.

    Args:
      name: name of the step.
      place: setting that names it, for the error.

    Raises:
      UsageError: there is no such step.
    """
    errors.require(
      name in self.steps,
      f"{place} names an unknown step {name!r}{_did_you_mean(name, self.steps)}"
      f" (there are {', '.join(self.steps)})",
    )
    return self.steps[name]

  def label(self, name: str) -> str:
    """Name of a step in tables."""
    return self.steps[name].title or name.replace("_", " ")

  def _check_steps(self):
    errors.require(
      isinstance(self.steps, Mapping) and self.steps,
      f"steps={self.steps!r}: expected"
      ' {"NAME": @NAME/steps.Pretrain(), ...} with at least one step',
    )
    for name, step in self.steps.items():
      errors.require(
        isinstance(name, str) and _NAME.fullmatch(name),
        f"steps: {name!r} is no name; expected letters, digits, _ and -",
      )
      if not isinstance(step, steps_lib.Step):
        raise errors.UsageError(
          f"steps[{name!r}] is {_short(step)}, not a step;"
          f" expected one of {', '.join(_kinds())}, such as"
          f" @{name}/steps.Pretrain() with the parentheses"
        )

  def _check_model(self, place: str, name: str):
    errors.require(
      self.step(name, place).model_path is not None,
      f"{place}: step {name!r} makes no model; expected one of"
      f" {', '.join(self.models)}",
    )

  def _check_curve(self, table: Table, name: str, curve: Any):
    place = f"the table {table.title!r}, curves[{name!r}]"
    errors.require(
      isinstance(curve, Mapping)
      and curve
      and all(isinstance(x, int | float) for x in curve),
      f"{place} is {curve!r}; expected {{x: model}} with numbers as x, such as"
      ' {0.2: "moco", 1.0: "moco_whole"}',
    )
    for model in curve.values():
      self._check_model(place, model)
      errors.require(
        not table.models or model in table.models,
        f"{place}: {model!r} is not among the table's models"
        f" {', '.join(table.models)}",
      )

  def _check_measure(self, place: str, measure: str):
    name, dot, rest = measure.partition(".")
    step = self.step(name, f"{place}: measure {measure!r}")
    errors.require(
      dot and rest and step.per_model,
      f"{place}: {measure!r} is no measure of a model; expected STEP.NAME of a"
      " step that is run for each model",
    )


def _check_seeds(name: str, seeds: Any, macro: str) -> None:
  errors.require(
    isinstance(seeds, Sequence)
    and seeds
    and all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds)
    and len(set(seeds)) == len(seeds),
    f"{name}={seeds!r}: expected different whole numbers from 0, such as"
    f" [0, 1, 2]; change {macro}",
  )


def _did_you_mean(name: str, names: Iterable[str]) -> str:
  close = difflib.get_close_matches(name, list(names), n=1)
  return f"; did you mean {close[0]}?" if close else ""


def _kinds() -> list[str]:
  return [f"steps.{kind.__name__}" for kind in steps_lib.KINDS]


def _short(value: Any) -> str:
  return getattr(value, "__name__", None) or repr(value)
