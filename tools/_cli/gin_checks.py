"""Checks of a parsed gin configuration that gin itself does not make."""

import inspect
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import gin

from tf_ssl import errors

from . import gin_errors

_MACRO = "gin.macro"
_PLAIN_TYPES = (bool, int, float, str, type(None))


class _Binding(typing.NamedTuple):
  """One line `name = value` of the configuration."""

  name: str
  value: Any
  hint: Any  # The parameter's annotation, or None.


def check_macros_are_used(texts: Sequence[str]) -> None:
  """A macro that no file uses is a misspelt one.

  Args:
    texts: of all gin files read.

  Raises:
    errors.UsageError: with the nearest macro that is used.
  """
  code = re.sub(r"#.*", "", "\n".join(texts))
  used = set(re.findall(r"%([\w./]+)", code))
  for scope, selector in gin.config._CONFIG:
    if selector == _MACRO and scope not in used:
      raise errors.UsageError(
        f"{scope} is set, but no gin file uses it"
        f"{gin_errors.did_you_mean(scope, used)}"
      )


def check_required_are_set() -> None:
  """Raises UsageError where a macro or parameter still waits for a value."""
  for binding in _bindings():
    if _is_required(binding.value):
      raise _unset(binding.name, binding.hint)
    macro = _macro_name(binding.value)
    if macro and (macro, _MACRO) not in gin.config._CONFIG:
      raise _unset(macro, binding.hint)
    if macro and _is_required(_macro_value(macro)):
      raise _unset(macro, binding.hint)


def check_types() -> None:
  """Raises UsageError where a literal does not fit its annotation.

  Only annotations made of int, float, str, bool, None, tuples, sequences and
  unions of these are judged; the library judges the rest.
  """
  for binding in _bindings():
    name, value = binding.name, binding.value
    while macro := _macro_name(value):
      name, value = macro, _macro_value(macro)
    if not _is_literal(value) or _fits(value, binding.hint):
      continue
    parameter = "" if name == binding.name else f" ({binding.name})"
    expected = getattr(binding.hint, "__name__", None)
    if expected is None or typing.get_args(binding.hint):
      expected = str(binding.hint).replace("typing.", "")
    raise errors.UsageError(
      f"{name}={value!r}: expected {expected}{parameter}; change it with "
      f"--gin_bindings='{name}={_example(binding.hint)}'"
    )


def _bindings() -> Iterator[_Binding]:
  """Yields all bindings, macros last: a parameter knows its type."""
  macros = []
  for (scope, selector), parameters in gin.config._CONFIG.items():
    if selector == _MACRO:
      macros.append(_Binding(scope, parameters["value"], None))
      continue
    hints = _hints(gin.config._REGISTRY[selector].wrapped)
    prefix = "/".join(filter(None, [scope, _short(selector)]))
    for name, value in parameters.items():
      yield _Binding(f"{prefix}.{name}", value, hints.get(name))
  yield from macros


def _short(selector: str) -> str:
  """Returns module.function, as gin files write it."""
  return ".".join(selector.split(".")[-2:])


def _hints(function: Any) -> dict[str, Any]:
  if inspect.isclass(function):
    function = function.__init__
  try:
    return typing.get_type_hints(function)
  except (NameError, TypeError, AttributeError):
    return {}


def _macro_name(value: Any) -> str | None:
  if not isinstance(value, gin.config.ConfigurableReference):
    return None
  return "/".join(value.scopes) if value.selector == _MACRO else None


def _macro_value(name: str) -> Any:
  return gin.config._CONFIG.get((name, _MACRO), {}).get("value")


def _is_required(value: Any) -> bool:
  return (
    isinstance(value, gin.config.ConfigurableReference)
    and value.scoped_selector == "gin.REQUIRED/gin.constant"
  )


def _unset(name: str, hint: Any) -> errors.UsageError:
  return errors.UsageError(
    f"{name} must be set: --gin_bindings='{name}={_example(hint)}'"
  )


def _example(hint: Any) -> str:
  return '"..."' if str in (hint, *typing.get_args(hint)) else "..."


def _is_literal(value: Any) -> bool:
  if isinstance(value, (list, tuple)):
    return all(_is_literal(item) for item in value)
  return isinstance(value, _PLAIN_TYPES)


def _fits(value: Any, hint: Any) -> bool:
  """Whether a literal suits an annotation; True for one that is not judged."""
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
