"""Steps of an experiment: each runs a program on values from the gin file.

Texts among the values may be placeholders for paths:

    step:NAME, step:NAME/below   output of another step of the experiment
    data:below                   real data below the experiment's `data`

A step that reads a step with one output per seed is run for each seed.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from tf_ssl import errors

# Placeholder for the folder that a step writes.
OUTPUT = "{output}"
# Placeholders for the path, name and seed of the model that a step reads.
MODEL, NAME, SEED = "{model}", "{name}", "{seed}"


class Request(NamedTuple):
  """A command whose placeholders are not yet filled.

  Attributes:
    tool: name of a tool, such as "train"; None if `words` is the full command.
    words: arguments of the command.
    config: path of the gin file; None for none.
    bindings: {gin name: value}; a text that begins with @ names a configurable,
      as in a gin file.
  """

  tool: str | None
  words: tuple[str, ...] = ()
  config: str | None = None
  bindings: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """Base of all kinds of steps.

  Attributes:
    title: name in tables; the step's name by default.
    version: version of the kind's output, increased with each change of it so
      that older outputs are not reused.
    product: parts of the output that must exist once the step is done and may
      not change afterwards; "." for all of it.
    scratch: folders of the output that only serve to resume, removed at the
      end.
    model_path: path of the model in the output; None if the step makes none.
    seeded: whether the step is run for each seed.
    per_model: whether the step is run for each of `models`.
    models: names of steps that make models; all of them if empty.
  """

  title: str | None = None
  version: ClassVar[int] = 1
  product: ClassVar[tuple[str, ...]] = (".",)
  scratch: ClassVar[tuple[str, ...]] = ()
  model_path: ClassVar[str | None] = None
  seeded: ClassVar[bool] = False
  per_model: ClassVar[bool] = False
  models: ClassVar[Sequence[str]] = ()

  def request(self, *, name: str, seed: int | None) -> Request:
    """The command of the step.

    Args:
      name: name of the model that the step reads; "" for none.
      seed: seed of the run; None for steps without one.
    """
    raise NotImplementedError

  def measures(self, output: str) -> dict[str, float]:
    """{name: number} of the results in the output; empty by default.

    Raises:
      OSError, ValueError, KeyError: the output is damaged.
    """
    del output
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrain(Step):
  """Runs `tools.train` for each seed of the experiment.

  Attributes:
    config: path of the gin file.
    bindings: {gin name: value} over the gin file; the seed is added.
  """

  config: str
  bindings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  product = ("saved_model",)
  model_path = "saved_model"
  seeded = True

  def request(self, *, name, seed):
    del name
    return Request(
      "train",
      (f"--model_dir={OUTPUT}",),
      self.config,
      {**self.bindings, "settings.Pretraining.seed": seed},
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OnEachModel(Step):
  """Runs a tool for each model.

  Attributes:
    config: path of the gin file.
    bindings: {gin name: value} over the gin file.
    flags: {flag of the tool: value}, such as {"resamples": 200}.
    models: names of steps that make models; all of them if empty.
  """

  config: str
  bindings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  models: Sequence[str] = ()

  tool: ClassVar[str]
  scratch = ("features",)
  per_model = True

  def request(self, *, name, seed):
    del seed
    words = (
      f"--model={name}={MODEL}",
      f"--output_dir={OUTPUT}",
    )
    return Request(
      self.tool, (*words, *_words(self.flags)), self.config, self.bindings
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureInvariance(_OnEachModel):
  """Runs `tools.measure_invariance` for each model.

  Its measures are `INVARIANCE_topK`, the paper's score, and
  `INVARIANCE_topK_cross_fitted`, which does not gain from the choice of units,
  each with its `..._chance`, in percent.
  """

  tool = "measure_invariance"
  product = ("invariance.json", "report.html")

  def measures(self, output):
    found = {}
    for row in _read(output, "invariance.json")["scores"]:
      name = f"{row['invariance']}_top{row['k']}"
      found[name] = row["score"]
      found[f"{name}_chance"] = row["chance"]
      if row.get("cross_fitted") is not None:
        found[f"{name}_cross_fitted"] = row["cross_fitted"]
        found[f"{name}_cross_fitted_chance"] = row["cross_fitted_chance"]
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(_OnEachModel):
  """Runs `tools.evaluate` for each model; its results are the measures."""

  tool = "evaluate"
  product = ("report.json", "report.md")

  def measures(self, output):
    results = _read(output, "report.json")["results"]
    return {name: v for name, v in results.items() if v is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackRegions(Step):
  """Runs `tools.track_regions`.

  Attributes:
    videos: value of --videos.
    flags: {flag of the tool: value}, such as {"rate": 8.0}.
  """

  videos: str
  flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def request(self, *, name, seed):
    del name, seed
    words = (f"--videos={self.videos}", f"--output_dir={OUTPUT}")
    return Request("track_regions", (*words, *_words(self.flags)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _WithFlags(Step):
  """Runs a tool that has only flags.

  Attributes:
    flags: {flag of the tool: value}; --output_dir is added.
  """

  flags: Mapping[str, Any]
  tool: ClassVar[str]

  def request(self, *, name, seed):
    del name, seed
    return Request(self.tool, (f"--output_dir={OUTPUT}", *_words(self.flags)))


class CutBoxes(_WithFlags):
  """Runs `tools.cut_boxes` on its `flags`."""

  tool = "cut_boxes"


class ComposeScenes(_WithFlags):
  """Runs `tools.compose_scenes` on its `flags`."""

  tool = "compose_scenes"


class Render(_WithFlags):
  """Runs `tools.render` on its `flags`: images, scenes or videos."""

  tool = "render"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command(Step):
  """Runs any program.

  Attributes:
    words: program and arguments. "{output}" is the folder to write, "{seed}"
      the seed, "{model}" and "{name}" the path and name of the model.
    product: parts of the output that must exist once the step is done and may
      not change afterwards; "." for all of it.
    results: JSON file in the output with the measures, {"name": number}; None
      for none.
    seeded: whether the step is run for each seed.
    per_model: whether the step is run for each of `models`.
    models: names of steps that make models; all of them if empty.
    model_path: path of the model in the output; None if the step makes none.
  """

  words: Sequence[str]
  product: Sequence[str] = (".",)
  results: str | None = None
  seeded: bool = False
  per_model: bool = False
  models: Sequence[str] = ()
  model_path: str | None = None

  def request(self, *, name, seed):
    filled = (word.replace(NAME, name) for word in self.words)
    return Request(None, tuple(w.replace(SEED, str(seed)) for w in filled))

  def measures(self, output):
    if self.results is None:
      return {}
    return {k: float(v) for k, v in _read(output, self.results).items()}


KINDS = (
  Pretrain,
  MeasureInvariance,
  Evaluate,
  TrackRegions,
  CutBoxes,
  ComposeScenes,
  Render,
  Command,
)


def _words(flags: Mapping[str, Any]) -> tuple[str, ...]:
  """Flags as words: --name=value, or --name for True; lists repeat the flag.

  None and False give no word.

  Raises:
    UsageError: a value has another type.
  """
  words = []
  for name, value in flags.items():
    for one in value if isinstance(value, list | tuple) else [value]:
      if one is True:
        words.append(f"--{name}")
      elif isinstance(one, str | int | float) and one is not False:
        words.append(f"--{name}={one}")
      elif one is not None and one is not False:
        raise errors.UsageError(
          f"flags {name}={one!r}: expected text, a number, True or a list of"
          " these; change flags of the step"
        )
  return tuple(words)


def _read(folder: str, name: str) -> Any:
  with open(os.path.join(folder, name), encoding="utf-8") as file:
    return json.load(file)
