"""From an experiment to all that is to be run, each with its key.

A node is a step for one seed and one model. Its key is a hash of the kind of
step and its version, of the command with the gin configuration as it is after
parsing, of the keys of the nodes that it reads, and of the data from outside.
Where one of these changes the key does, and the node is another one, with
another folder: nothing that was made before is overwritten or mistaken for it.
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
from tf_ssl.experiment import step as step_lib
from tf_ssl.experiment.engine import external

STEPS_FOLDER = "steps"
_KEY_DIGITS = 12  # in names of folders


class Node(NamedTuple):
  """One thing to run.

  Attributes:
    name: STEP, STEP/seedN, STEP/MODEL or STEP/MODEL/seedN.
    step: name of its step.
    definition: the step itself.
    model: name of the step that made the model it looks at, or None.
    seed: or None.
    key: see above.
    folder: of its output, its log and its stamp.
    command: words; the paths in them are real.
    recipe: the same with step:NAME and OUTPUT in place of these paths, as one
      line for a shell.
    inputs: names of the nodes that it reads.
    data: what it reads of the real data, paths below their folder.
  """

  name: str
  step: str
  definition: step_lib.Step
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
    """The folder that it writes."""
    return self.folder / "output"

  @property
  def log(self) -> pathlib.Path:
    """What it printed."""
    return self.folder / "log.txt"

  @property
  def shown_command(self) -> str:
    """The command as one line for a shell."""
    return shlex.join(self.command)


class Plan(NamedTuple):
  """What is to be run, and what is not.

  Attributes:
    nodes: by name, each after those that it reads.
    left_out: from names of nodes to the reason.
  """

  nodes: Mapping[str, Node]
  left_out: Mapping[str, str]


def make(
  experiment: experiment_lib.Experiment,
  *,
  root: str,
  parse: Callable[[str, Sequence[str]], str],
  tool_command: Callable[[str], Sequence[str]],
) -> Plan:
  """Plans an experiment.

  Args:
    experiment: the experiment.
    root: the folder of all outputs.
    parse: (gin file, bindings) -> the configuration as text; raises UsageError
      where they do not fit together.
    tool_command: from the name of a tool to the words that start it.

  Raises:
    UsageError: an unknown step is named, steps read each other in a circle, or
      a configuration is wrong.
  """
  return _Planner(experiment, root, parse, tool_command).plan()


class _Missing(Exception):
  """A step needs data that are not given."""


class _Planner:
  """Makes nodes, each once."""

  def __init__(self, experiment, root, parse, tool_command):
    self._experiment: experiment_lib.Experiment = experiment
    self._root = pathlib.Path(root).absolute() / STEPS_FOLDER
    self._parse = functools.cache(parse)
    self._digest = functools.cache(external.digest)
    self._tool_command = tool_command
    self._nodes: dict[str, Node] = {}

  def plan(self) -> Plan:
    """All nodes of all steps."""
    experiment, left_out = self._experiment, {}
    for name, step in experiment.steps.items():
      models = (step.models or experiment.models) if step.per_model else [None]
      for model in models:
        for seed in self._seeds(name, model):
          try:
            self._node(name, model, seed)
          except _Missing as missing:
            left_out[_node_name(name, model, seed)] = str(missing)
    return Plan(self._nodes, left_out)

  def _seeds(self, name: str, model: str | None) -> Sequence[int | None]:
    seeded = self._is_seeded(name) or (model and self._is_seeded(model))
    return self._experiment.seeds if seeded else [None]

  def _is_seeded(self, name: str, path: tuple[str, ...] = ()) -> bool:
    """Whether there is one for each seed, or it reads one of which there is."""
    if name in path:
      circle = " -> ".join([*path[path.index(name) :], name])
      raise errors.UsageError(
        f"steps read each other in a circle: {circle}; change one of them"
      )
    below = [self._is_seeded(read, (*path, name)) for read in self._reads(name)]
    return self._experiment.steps[name].seeded or any(below)

  def _reads(self, name: str) -> list[str]:
    """Names of the steps that a step's texts name."""
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
      """Words and bindings, with outputs of steps where `place` says."""
      fill = functools.partial(
        references.fill, step=lambda read: place(reads[read]), data=self._data
      )
      words = fill(list(request.words))
      if made:
        path = f"{place(made)}/{made.definition.model_path}"
        words = [word.replace(step_lib.MODEL, path) for word in words]
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
    words = [word.replace(step_lib.OUTPUT, output) for word in words]
    if request.tool is None:
      return tuple(words)
    config = [f"--gin_file={request.config}"] if request.config else []
    config += [f"--gin_bindings={binding}" for binding in bindings]
    return (*self._tool_command(request.tool), *config, *words)

  def _data(self) -> str:
    if self._experiment.data is None:
      raise _Missing("needs real data, and DATA is not set")
    return self._experiment.data


def _node_name(name: str, model: str | None, seed: int | None) -> str:
  parts = [name, model, None if seed is None else f"seed{seed}"]
  return "/".join(part for part in parts if part)


def _gin(value: Any) -> str:
  """A value as it stands in a gin file."""
  if isinstance(value, str):
    # in double quotes, which look well where a shell's are around them
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
