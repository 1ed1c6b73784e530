"""Plan of an experiment: its nodes, each with a key.

A node is a step for one seed and one model. Its key is a hash of the kind of
step and its version, the command with the parsed gin configuration, the keys of
its inputs, and digests of outside data. A node with another key has another
folder, so that no output is overwritten or reused for another node.
"""

import functools
import hashlib
import json
import pathlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.experiment import experiment as experiment_lib
from tf_ssl.experiment import references
from tf_ssl.experiment import steps as steps_lib

STEPS_FOLDER = "steps"
_KEY_DIGITS = 12  # In names of folders.


class Node(NamedTuple):
  """A step for one seed and one model.

  Attributes:
    name: STEP, STEP/seedN, STEP/MODEL or STEP/MODEL/seedN.
    step: name of the step.
    definition: the step.
    model: name of the step whose model it reads; None for none.
    seed: seed of the run; None for none.
    key: hash of everything that decides the output.
    folder: folder of output, log and stamp.
    command: words of the command.
    recipe: command as one line for a shell, with step:NAME and OUTPUT for the
      paths of outputs.
    inputs: names of the nodes whose outputs it reads.
    data: paths that it reads below the folder of real data.
  """

  name: str
  step: str
  definition: steps_lib.Step
  model: str | None
  seed: int | None
  key: str
  folder: pathlib.Path
  command: tuple[str, ...]
  recipe: str
  inputs: tuple[str, ...]
  data: tuple[str, ...]

  @property
  def output(self) -> pathlib.Path:
    """Folder of the output."""
    return self.folder / "output"

  @property
  def log(self) -> pathlib.Path:
    """File of the terminal output."""
    return self.folder / "log.txt"

  @property
  def shown_command(self) -> str:
    """Command as one line for a shell."""
    return shlex.join(self.command)


class Plan(NamedTuple):
  """Nodes to run, and nodes that cannot be run.

  Attributes:
    nodes: {name: node}, each after its inputs.
    skipped: {name of a node: reason}, nodes whose real data are not given.
  """

  nodes: Mapping[str, Node]
  skipped: Mapping[str, str]


def make(
  experiment: experiment_lib.Experiment,
  *,
  root: str,
  parse: Callable[[str, Sequence[str]], str],
  tool_command: Callable[[str], Sequence[str]],
) -> Plan:
  """Plans an experiment.

  Args:
    experiment: experiment to plan.
    root: folder of all outputs.
    parse: maps (gin file, bindings) to the parsed configuration as text; raises
      UsageError if it is wrong.
    tool_command: maps the name of a tool to the words that start it.

  Raises:
    UsageError: a value names an unknown step, steps read each other in a cycle,
      or a configuration is wrong.
  """
  return _Planner(experiment, root, parse, tool_command).plan()


class _Missing(Exception):
  """A step needs real data that are not given."""


class _Planner:
  """Makes the nodes of an experiment, each once."""

  def __init__(self, experiment, root, parse, tool_command):
    self._experiment: experiment_lib.Experiment = experiment
    self._root = pathlib.Path(root).absolute() / STEPS_FOLDER
    self._parse = functools.cache(parse)
    self._digest = functools.cache(references.digest)
    self._tool_command = tool_command
    self._nodes: dict[str, Node] = {}

  def plan(self) -> Plan:
    """All nodes of all steps."""
    experiment, skipped = self._experiment, {}
    for name, step in experiment.steps.items():
      models = (step.models or experiment.models) if step.per_model else [None]
      for model in models:
        for seed in self._seeds(name, model):
          try:
            self._node(name, model, seed)
          except _Missing as missing:
            skipped[_node_name(name, model, seed)] = str(missing)
    return Plan(self._nodes, skipped)

  def _seeds(self, name: str, model: str | None) -> Sequence[int | None]:
    seeded = self._is_seeded(name) or (model and self._is_seeded(model))
    return self._experiment.seeds if seeded else [None]

  def _is_seeded(self, name: str, path: tuple[str, ...] = ()) -> bool:
    """Whether the step, or a step that it reads, is run for each seed."""
    if name in path:
      cycle = " -> ".join([*path[path.index(name) :], name])
      raise errors.UsageError(
        f"steps read each other in a cycle: {cycle}; change one of them"
      )
    below = [self._is_seeded(read, (*path, name)) for read in self._reads(name)]
    return self._experiment.steps[name].seeded or any(below)

  def _reads(self, name: str) -> list[str]:
    """Names of the steps that a step reads."""
    request = self._experiment.steps[name].request(name="", seed=None)
    values = [request.words, request.config, request.bindings]
    found = references.steps_in(values)
    for read in found:
      self._experiment.step(read, f"steps[{name!r}]")
    return found

  def _node(self, name: str, model: str | None, seed: int | None) -> Node:
    seeds = self._seeds(name, model)
    seed = seed if seed in seeds else None
    full_name = _node_name(name, model, seed)
    if full_name not in self._nodes:
      self._nodes[full_name] = self._new_node(full_name, name, model, seed)
    return self._nodes[full_name]

  def _new_node(self, full_name, name, model, seed) -> Node:
    definition = self._experiment.steps[name]
    request = definition.request(name=model or "", seed=seed)
    reads = {read: self._node(read, None, seed) for read in self._reads(name)}
    made = self._node(model, None, seed) if model else None
    inputs = [*reads.values(), *([made] if made else [])]

    def call(place: Callable[[Node], str]) -> tuple[list[str], list[str]]:
      """Words and bindings, with `place` of the steps that they read."""
      fill = functools.partial(
        references.fill, step=lambda read: place(reads[read]), data=self._data
      )
      words = fill(list(request.words))
      if made:
        path = f"{place(made)}/{made.definition.model_path}"
        words = [word.replace(steps_lib.MODEL, path) for word in words]
      bindings = request.bindings.items()
      return words, [f"{of}={_gin(fill(value))}" for of, value in bindings]

    words, bindings = call(lambda node: f"made:{node.key}")
    outside = references.outside_paths([*words, *bindings])
    key = _hash(
      {
        "kind": type(definition).__name__,
        "version": definition.version,
        "tool": request.tool,
        "words": words,
        "config": self._config(name, request.config, bindings),
        "inputs": [node.key for node in inputs],
        "outside": {path: self._digest(path) for path in outside},
      }
    )
    folder = self._root / f"{full_name.replace('/', '-')}-{key[:_KEY_DIGITS]}"
    node = Node(
      name=full_name,
      step=name,
      definition=definition,
      model=model,
      seed=seed,
      key=key,
      folder=folder,
      command=(),
      recipe=shlex.join(
        self._command(
          request, *call(lambda node: f"step:{node.name}"), "OUTPUT"
        )
      ),
      inputs=tuple(dict.fromkeys(node.name for node in inputs)),
      data=tuple(references.data_in([request.words, request.bindings])),
    )
    called = call(lambda node: str(node.output))
    command = self._command(request, *called, str(node.output))
    return node._replace(command=command)

  def _config(self, name: str, config: str | None, bindings: list[str]) -> str:
    if config is None:
      return ""
    try:
      return self._parse(config, tuple(bindings))
    except errors.UsageError as error:
      raise errors.UsageError(f"steps[{name!r}]: {error}") from error

  def _command(self, request, words, bindings, output) -> tuple[str, ...]:
    words = [word.replace(steps_lib.OUTPUT, output) for word in words]
    if request.tool is None:
      return tuple(words)
    config = [f"--gin_file={request.config}"] if request.config else []
    config += [f"--gin_bindings={binding}" for binding in bindings]
    return (*self._tool_command(request.tool), *config, *words)

  def _data(self) -> str:
    if self._experiment.data is None:
      raise _Missing("needs real data, but DATA is not set")
    return self._experiment.data


def _node_name(name: str, model: str | None, seed: int | None) -> str:
  parts = [name, model, None if seed is None else f"seed{seed}"]
  return "/".join(part for part in parts if part)


def _gin(value: Any) -> str:
  """A value as text of a gin file."""
  if isinstance(value, str):
    # Double quotes are readable inside a shell's single quotes.
    at = value.startswith("@")
    return value if at else json.dumps(value, ensure_ascii=False)
  if isinstance(value, list):
    return f"[{', '.join(map(_gin, value))}]"
  if isinstance(value, tuple):
    return f"({''.join(f'{_gin(each)}, ' for each in value)})"
  return repr(value)


def _hash(content: Mapping[str, Any]) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()
