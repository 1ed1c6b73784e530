"""Turns gin's exceptions into one line that tells what to change.

Only mistakes in a gin file or binding are turned; an exception from a module
that a gin file imports is a defect of that module and passes unchanged.
"""

import contextlib
import difflib
import inspect
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gin

from tf_ssl import errors

_GIN_FOLDER = os.path.dirname(gin.__file__)
_LOCATION = re.compile(
  r"\n  In bindings string line (?P<line>\d+)\n\s*(?P<text>[^\n]*)"
)


@contextlib.contextmanager
def explained(
  source: str,
  *,
  path: pathlib.Path | None = None,
  imported: Iterable[str] = (),
) -> Iterator[None]:
  """Turns gin's errors inside into a UsageError that names the place.

  Args:
    source: flag that led here, such as "--gin_bindings=STEPS=3".
    path: path of the gin file that is read; None for a binding.
    imported: names that the files import, to suggest one of them.
  """
  try:
    yield
  except SyntaxError as exception:
    if not _is_of_gin(exception):
      raise
    raise errors.UsageError(_syntax_error(exception, source, path)) from None
  except errors.UsageError:
    raise
  except (ImportError, NameError, AttributeError, ValueError, OSError) as error:
    message = str(error)
    location = _LOCATION.search(message)
    statement = location["text"] if location else ""
    if not (_is_of_gin(error) or _is_wrong_import(error, statement)):
      raise
    reason = _reason(message.split("\n")[0], imported)
    place = source
    if path and location:
      place = f"{path}:{location['line']}"
      reason += f" [in: {statement}]"
    raise errors.UsageError(f"{place}: {reason}") from None


def with_missing_arguments_named(
  bound: Callable[..., Any], name: str
) -> Callable[..., Any]:
  """Wraps a configured function: an unbound parameter raises UsageError."""

  def call(*given, **arguments):
    try:
      return bound(*given, **arguments)
    except TypeError as exception:
      missing = re.search(
        r"(\w+)\(\) missing \d+ required .*arguments?: (.*)",
        str(exception).split("\n")[0],
      )
      # A call that fails *inside* the library is a defect.
      if not missing or not _is_of_gin(exception):
        raise
      raise errors.UsageError(
        f"--gin_file: {name} needs {missing[2]} of {missing[1]}, "
        "which the gin files do not set"
      ) from None

  return call


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
  """Returns "; did you mean X?", or "" if no candidate is close."""
  close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
  return f"; did you mean {close[0]}?" if close else ""


def _is_of_gin(exception: BaseException) -> bool:
  frames = traceback.extract_tb(exception.__traceback__)
  innermost = [f for f in frames if not f.filename.startswith("<frozen")][-1]
  return os.path.dirname(innermost.filename) == _GIN_FOLDER


def _is_wrong_import(exception: BaseException, statement: str) -> bool:
  """Whether the gin file's own import names a module that does not exist."""
  missing = re.match(r"No module named '([\w.]+)'", str(exception))
  words = re.match(r"(?:from\s+([\w.]+)\s+)?import\s+([\w.]+)", statement)
  if not missing or not words:
    return False
  imported = ".".join(word for word in words.groups() if word)
  return f"{imported}.".startswith(f"{missing[1]}.")


def _syntax_error(
  exception: SyntaxError, source: str, path: pathlib.Path | None
) -> str:
  message = " ".join(str(exception.msg).split())
  value = re.match(r'--gin_bindings=([\w./]+)\s*=\s*([^\s"\']+)$', source)
  if value:
    return (
      f"{source}: {value[2]} is not a Python value; a text needs quotes of "
      f"its own: --gin_bindings='{value[1]}=\"{value[2]}\"'"
    )
  place = f"{path}:{exception.lineno}" if path else source
  return f"{place}: {message} [in: {(exception.text or '').strip()}]"


def _reason(message: str, imported: Iterable[str]) -> str:
  """Adds the nearest existing name to a message of gin."""
  parameter = re.match(
    r"Configurable '(.*)' doesn't have a parameter named '(.*)'", message
  )
  if parameter:
    return (
      f"{parameter[1]} has no parameter {parameter[2]}"
      f"{did_you_mean(parameter[2], _parameters(parameter[1]))}"
    )
  attribute = re.match(
    r"Couldn't resolve selector (.*); <(?:module|class) '([\w.]+)'.*"
    r"has no attribute (\w+)",
    message,
  )
  if attribute:
    names = dir(sys.modules.get(attribute[2], object))
    return (
      f"{attribute[1]}: {attribute[2]} has no {attribute[3]}"
      f"{did_you_mean(attribute[3], names)}"
    )
  name = re.match(r"'(\w+)' was not provided by an import", message)
  if name:
    return f"{name[1]} is not imported{did_you_mean(name[1], imported)}"
  return message


def _parameters(selector: str) -> list[str]:
  try:
    return list(inspect.signature(gin.get_configurable(selector)).parameters)
  except ValueError:
    return []
