"""The steps that an experiment is made of: programs, and what they are given.

Texts among the values may stand for paths:

    step:NAME, step:NAME/below   what another step of the experiment has made
    data:below                   real data, below the experiment's `data`

A step that reads one of which there is one for each seed is run for each seed.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tf_ssl import errors
from tf_ssl.experiment import step as step_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrain(step_lib.Step):
  """`tools.train`, once for each seed of the experiment.

  Attributes:
    config: the gin file.
    bindings: over what it says; the seed is added.
  """

  config: str
  bindings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  product = ("saved_model",)
  model_path = "saved_model"
  seeded = True

  def request(self, *, name, seed):
    del name
    return step_lib.Request(
      "train",
      (f"--model_dir={step_lib.OUTPUT}",),
      self.config,
      {**self.bindings, "settings.Pretraining.seed": seed},
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OnEachModel(step_lib.Step):
  """A tool that looks at one model, run once for each.

  Attributes:
    config: the gin file.
    bindings: over what it says.
    flags: of the tool, such as {"resamples": 200}.
    models: see `step.Step`.
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
      f"--model={name}={step_lib.MODEL}",
      f"--output_dir={step_lib.OUTPUT}",
    )
    return step_lib.Request(
      self.tool, (*words, *_words(self.flags)), self.config, self.bindings
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureInvariance(_OnEachModel):
  """`tools.measure_invariance`, once for each model.

  Its measures are `INVARIANCE_topK` and `INVARIANCE_topK_chance`, in percent.
  """

  tool = "measure_invariance"
  product = ("invariance.json", "report.html")

  def measures(self, output):
    found = {}
    for row in _read(output, "invariance.json")["scores"]:
      name = f"{row['invariance']}_top{row['k']}"
      found[name] = row["score"]
      found[f"{name}_chance"] = row["chance"]
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(_OnEachModel):
  """`tools.evaluate`, once for each model; its measures are the results."""

  tool = "evaluate"
  product = ("report.json", "report.md")

  def measures(self, output):
    results = _read(output, "report.json")["results"]
    return {name: v for name, v in results.items() if v is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackRegions(step_lib.Step):
  """`tools.track_regions`.

  Attributes:
    videos: what is gone through.
    flags: of the tool, such as {"rate": 8.0}.
  """

  videos: str
  flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def request(self, *, name, seed):
    del name, seed
    words = (f"--videos={self.videos}", f"--output_dir={step_lib.OUTPUT}")
    return step_lib.Request("track_regions", (*words, *_words(self.flags)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CutBoxes(step_lib.Step):
  """`tools.cut_boxes`.

  Attributes:
    flags: of the tool; --output_dir is added.
  """

  flags: Mapping[str, Any]

  def request(self, *, name, seed):
    del name, seed
    return step_lib.Request(
      "cut_boxes", (f"--output_dir={step_lib.OUTPUT}", *_words(self.flags))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Render(step_lib.Step):
  """`tools.render`: pictures, scenes or videos that need no download.

  Attributes:
    flags: of the tool; --output_dir is added.
  """

  flags: Mapping[str, Any]

  def request(self, *, name, seed):
    del name, seed
    return step_lib.Request(
      "render", (f"--output_dir={step_lib.OUTPUT}", *_words(self.flags))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command(step_lib.Step):
  """Any program.

  Attributes:
    words: the program and its arguments. "{output}" stands for the folder to
      write; "{seed}" for the seed; "{model}" and "{name}" for the model that is
      looked at, its path and its name.
    product: see `step.Step`.
    results: a file of the output that holds its measures, {"name": number};
      None where it measures nothing.
    seeded: see `step.Step`, as the next three.
    per_model: whether {model} and {name} stand for something.
    models: names of steps.
    model_path: of what it makes.
  """

  words: Sequence[str]
  product: Sequence[str] = (".",)
  results: str | None = None
  seeded: bool = False
  per_model: bool = False
  models: Sequence[str] = ()
  model_path: str | None = None

  def request(self, *, name, seed):
    filled = (word.replace(step_lib.NAME, name) for word in self.words)
    return step_lib.Request(
      None, tuple(w.replace(step_lib.SEED, str(seed)) for w in filled)
    )

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
  Render,
  Command,
)


def _words(flags: Mapping[str, Any]) -> tuple[str, ...]:
  """--name=value, --name for True, nothing for None and False, each of lists.

  Raises:
    UsageError: a value that no flag takes.
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
          f"flags {name}={one!r}: expected a text, a number, True or a list of"
          " these; change flags of the step"
        )
  return tuple(words)


def _read(folder: str, name: str) -> Any:
  with open(os.path.join(folder, name), encoding="utf-8") as file:
    return json.load(file)
