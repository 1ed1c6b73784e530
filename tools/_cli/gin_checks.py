"""Checks of a gin configuration that gin itself does not make."""

import inspect
import types
import typing
from collections.abc import Sequence
from typing import Any

from tf_ssl import errors

from . import gin_errors, gin_statements

_PLAIN_TYPES = (bool, int, float, str, type(None))


def check(
  lines: Sequence[gin_statements.Binding], *, of_run: bool = False
) -> None:
  """Checks the bindings of all files together.

  Args:
    lines: bindings in the order in which gin has read them.
    of_run: whether they are the config of an earlier run, in which macros of
      settings that no longer exist are unused.

  Raises:
    errors.UsageError: a macro is set but not used; a macro or a required
      parameter has no value; or a literal does not fit its annotation. Only
      annotations made of int, float, str, bool, None, tuples, sequences and
      unions of these are checked; the library checks the rest.
  """
  if not of_run:
    _check_macros_are_used(lines)
  last = {line.key: line for line in lines}  # Later lines replace earlier ones.
  macros = {
    line.name: line.value for line in last.values() if not line.argument
  }
  # Parameters come first: they know their types.
  for line in sorted(last.values(), key=lambda line: not line.argument):
    _check_binding(line, macros)


def _check_macros_are_used(lines: Sequence[gin_statements.Binding]) -> None:
  used = {name for line in lines for name in gin_statements.macros(line.value)}
  for line in lines:
    if not line.argument and line.name not in used:
      raise errors.UsageError(
        f"{line.name} is set, but no gin file uses it"
        f"{gin_errors.did_you_mean(line.name, used)}"
      )


def _check_binding(line: gin_statements.Binding, macros: dict[str, Any]):
  hint = _hints(line.target).get(line.argument)
  name, value = line.name, line.value
  while isinstance(value, gin_statements.Macro):
    if value.name != gin_statements.REQUIRED:
      name = value.name
    if value.name not in macros:
      raise errors.UsageError(
        f"{name} must be set: --gin_bindings='{name}={_example(hint)}'"
      )
    value = macros[value.name]
  if not _is_literal(value) or _fits(value, hint):
    return
  parameter = "" if name == line.name else f" ({line.name})"
  expected = getattr(hint, "__name__", None)
  if expected is None or typing.get_args(hint):
    expected = str(hint).replace("typing.", "")
  raise errors.UsageError(
    f"{name}={value!r}: expected {expected}{parameter}; change it with "
    f"--gin_bindings='{name}={_example(hint)}'"
  )


def _hints(function: Any) -> dict[str, Any]:
  if inspect.isclass(function):
    function = function.__init__
  try:
    return typing.get_type_hints(function)
  except (NameError, TypeError, AttributeError):
    return {}


def _example(hint: Any) -> str:
  return '"..."' if str in (hint, *typing.get_args(hint)) else "..."


def _is_literal(value: Any) -> bool:
  if isinstance(value, (gin_statements.Reference, gin_statements.Macro)):
    return False
  if isinstance(value, (list, tuple)):
    return all(_is_literal(item) for item in value)
  return isinstance(value, _PLAIN_TYPES)


def _fits(value: Any, hint: Any) -> bool:
  """Whether a literal fits an annotation; True for one that is not checked."""
  origin, inner = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return any(_fits(value, option) for option in inner)
  if origin in (tuple, list) or origin is Sequence:
    if not isinstance(value, (list, tuple)):
      return False
    return all(_fits(item, inner[0]) for item in value) if inner else True
  if hint is float:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
  if hint is int:
    return isinstance(value, int) and not isinstance(value, bool)
  if hint in (bool, str, type(None)):
    return isinstance(value, hint)
  return True
