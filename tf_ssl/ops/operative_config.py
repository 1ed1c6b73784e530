r"""The settings in an operative gin config, read without gin.

Gin writes `name = value` on one line, or the value on indented lines below
`name = \`; all else is imports and comments.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any

_BINDING = re.compile(r"^([\w./]+) = (.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_MACRO = re.compile(r"%([\w./]+)")


def bindings(config: str) -> dict[str, str]:
  """{name: value as text on one line} of a config, macros included."""
  return {
    name: " ".join(value.removeprefix("\\").split())
    for name, value in _BINDING.findall(config)
  }


def settings(bound: Mapping[str, str]) -> dict[str, Any]:
  """The values of bindings, each as few times as possible.

  Args:
    bound: bindings from `bindings`.

  Returns:
    {name: value} without the parameters whose value is a macro, which has a
    name of its own. Values are Python literals where they are some, otherwise
    text, such as "@resnet.resnet18".
  """
  found = {}
  for name, value in bound.items():
    macro = _MACRO.fullmatch(value)
    if macro is None or macro[1] not in bound:
      found[name] = _literal(value)
  return found


def value(bound: Mapping[str, str], name: str) -> Any:
  """The value of a binding, of the macro that it names; None for none."""
  found = text(bound, name)
  return None if found is None else _literal(found)


def text(bound: Mapping[str, str], name: str) -> str | None:
  """As `value`, as it is written: a string has its quotes."""
  found = bound.get(name)
  for _ in bound:  # A macro may be another macro, in damaged files itself.
    macro = _MACRO.fullmatch(found or "")
    if macro is None:
      break
    found = bound.get(macro[1])
  return found


def _literal(value: str) -> Any:
  try:
    return ast.literal_eval(value)
  except (ValueError, SyntaxError, MemoryError, RecursionError):
    return value
