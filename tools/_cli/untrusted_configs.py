"""Keeps the config of a run folder from executing code.

A gin file can import any module and call any function in it. That is fine for a
file that the user chose with --gin_file, but the config of a run comes with the
run's data. It may name only what the configs of this project name, and Keras'
and tensorflow-addons' optimizers and losses.
"""

import functools
import importlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from gin import config_parser

from tf_ssl import errors

from . import gin_statements

# Folders of gin_configs/ whose files describe pretraining runs.
_FOLDERS = ("base", "pretrain", "video")
# What base/ names for other commands; experiment.steps starts programs.
_OTHER_COMMANDS = ("tf_ssl.evaluation.", "tf_ssl.experiment.")
# Packages whose functions a config may call while it is read, `@name()`; those
# of the others only when training starts, which reading a run never does.
_CALLED = (
  "tf_ssl.augment.",
  "tf_ssl.encoders.",
  "tf_ssl.losses.",
  "tf_ssl.methods.",
  "tf_ssl.ops.",
  "tf_ssl.training.monitors.",
)
# Packages of other libraries whose classes have no side effects.
_LIBRARIES = (
  "keras.optimizers",
  "keras.optimizers.schedules",
  "tensorflow.keras.optimizers",
  "tensorflow.keras.optimizers.schedules",
  "tensorflow_addons.losses",
  "tensorflow_addons.optimizers",
)
_OF_GIN = ("constant", "gin.constant", "gin.macro", "gin.singleton", "macro")
_LIBRARY_IMPORTS = (*_LIBRARIES, "keras", "tensorflow", "tensorflow_addons")


def check(
  statements: Sequence[gin_statements.Statement],
  source: str,
  configs: pathlib.Path,
) -> None:
  """Checks the statements of a run's config before gin sees them.

  Args:
    statements: statements of the file.
    source: path of the file, for the error.
    configs: path of the project's gin_configs/.

  Raises:
    UsageError: the file imports, includes or names something else.
  """
  imports = gin_statements.imported_names(statements)
  for module in imports.values():
    if module not in _modules(configs) and module not in _LIBRARY_IMPORTS:
      raise _refused(source, f"imports {module}")
  for statement in statements:
    if isinstance(statement, config_parser.IncludeStatement):
      included = pathlib.Path(statement.filename)
      if included.parts[:1] != (configs.name,) or ".." in included.parts:
        raise _refused(source, f"includes {statement.filename}")
    for name, called in _selectors(statement):
      full_name = gin_statements.dotted(name, imports)
      if not _is_harmless(full_name, called, configs):
        raise _refused(source, f"{'calls' if called else 'names'} {name}")


def _selectors(
  statement: gin_statements.Statement,
) -> Iterator[tuple[str, bool]]:
  """Yields each function a statement names, and whether it calls it."""
  if isinstance(statement, config_parser.BindingStatement):
    if statement.arg_name:
      yield statement.selector, False
    yield from _references(statement.value)
  elif isinstance(statement, config_parser.BlockDeclaration):
    yield statement.selector, False


def _references(value: Any) -> Iterator[tuple[str, bool]]:
  if isinstance(value, gin_statements.Reference):
    yield value.name.rpartition("/")[2], value.called
  elif isinstance(value, gin_statements.Macro):
    return
  elif isinstance(value, dict):
    for pair in value.items():
      yield from _references(list(pair))
  elif isinstance(value, (list, tuple)):
    for item in value:
      yield from _references(item)


def _is_harmless(name: str, called: bool, configs: pathlib.Path) -> bool:
  if name in _OF_GIN:
    return True
  module, _, attribute = name.rpartition(".")
  if module in _LIBRARIES:
    return isinstance(_attribute(module, attribute), type)
  if called and not name.startswith(_CALLED):
    return False
  if module not in _modules(configs):
    return False  # An attribute of an attribute, such as settings.os.system.
  return getattr(_attribute(module, attribute), "__module__", None) == module


def _attribute(module: str, name: str) -> Any:
  root, *parts = module.split(".")
  if root == "tf_ssl":
    return getattr(importlib.import_module(module), name, None)
  found = importlib.import_module(root)
  for part in [*parts, name]:  # tensorflow.keras is no module to import.
    found = getattr(found, part, None)
  return found


@functools.cache
def _modules(configs: pathlib.Path) -> frozenset[str]:
  """Modules of tf_ssl that the project's configs of runs import."""
  names: set[str] = set()
  for folder in _FOLDERS:
    for path in (configs / folder).glob("*.gin"):
      statements = gin_statements.parse(path.read_text(encoding="utf-8"))
      names.update(gin_statements.imported_names(statements).values())
  return frozenset(
    name
    for name in names
    if name.startswith("tf_ssl.") and not name.startswith(_OTHER_COMMANDS)
  )


def _refused(source: str, what: str) -> errors.UsageError:
  return errors.UsageError(
    f"{source} {what}, but the config of a run may only use tf_ssl's own"
    " functions, so that data cannot execute code; if you trust the file, give"
    " it to tools.train as --gin_file, or use the run's saved_model"
  )
