"""The statements of gin files, read with gin's own parser.

Gin keeps what it has parsed to itself. The checks of `gin_checks` and the
translation of old names need the statements, so they are parsed here too.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gin import config_parser

Statement = (
  config_parser.BindingStatement
  | config_parser.ImportStatement
  | config_parser.IncludeStatement
  | config_parser.BlockDeclaration
)
REQUIRED = "gin.REQUIRED"


class Reference(NamedTuple):
  """A value `@scope/module.function` or `@scope/module.function()`."""

  name: str
  called: bool


class Macro(NamedTuple):
  """A value `%NAME`."""

  name: str


class Binding(NamedTuple):
  """One line `name = value` of a gin file.

  Attributes:
    scope: scope of the parameter; "" for none.
    selector: name of the function as the file writes it; the macro's name for
      a macro.
    argument: name of the parameter; "" for a macro.
    value: value, with `Reference` and `Macro` for gin's own.
    target: the bound function or class; None for a macro, or if unknown.
  """

  scope: str
  selector: str
  argument: str
  value: Any
  target: Any = None

  @property
  def name(self) -> str:
    """The left side of the line."""
    scoped = "/".join(filter(None, [self.scope, self.selector]))
    return f"{scoped}.{self.argument}" if self.argument else scoped

  @property
  def key(self) -> tuple:
    """Equal for two lines of which the second replaces the first."""
    return self.scope, self.target or self.selector, self.argument


class _Delegate(config_parser.ParserDelegate):
  """Represents gin's own values by `Reference` and `Macro`."""

  def configurable_reference(self, scoped_configurable_name, evaluate):
    return Reference(scoped_configurable_name, evaluate)

  def macro(self, macro_name):
    return Macro(macro_name)


def parse(text: str) -> list[Statement]:
  """Parses the text of a gin file; raises SyntaxError as gin does."""
  return list(config_parser.ConfigParser(text, _Delegate()))


def format_import(module: str, bound_name: str) -> str:
  """Returns an import statement that binds a module to a name."""
  parent, _, name = module.rpartition(".")
  alias = "" if name == bound_name else f" as {bound_name}"
  words = f"from {parent} import {name}" if parent else f"import {name}"
  return words + alias


def dotted(selector: str, imports: dict[str, str]) -> str:
  """Returns the full name of a selector, by the modules of bound names."""
  first, _, rest = selector.partition(".")
  module = imports.get(first)
  return f"{module}.{rest}" if module and rest else selector


def imported_names(statements: Sequence[Statement]) -> dict[str, str]:
  """Returns the module of each name that a file imports."""
  return {
    statement.bound_name(): statement.module
    if statement.is_from or statement.alias
    else statement.module.split(".")[0]
    for statement in statements
    if isinstance(statement, config_parser.ImportStatement)
    and not statement.module.startswith("__gin__.")
  }


def bindings(
  statements: Sequence[Statement], imports: dict[str, str]
) -> Iterator[Binding]:
  """Yields the bindings among statements.

  Args:
    statements: statements of one file, or some of them.
    imports: module of each name that the file imports; gin has imported them.
  """
  for statement in statements:
    if isinstance(statement, config_parser.BindingStatement):
      scope, selector, argument, value, _ = statement
      if argument:
        target = _target(dotted(selector, imports))
        yield Binding(scope, selector, argument, value, target)
      else:
        name = f"{scope}/{selector}" if scope else selector
        yield Binding("", name, "", value)


def _target(name: str) -> Any:
  """The function or class of a full name; None if there is none."""
  parts = name.split(".")
  for length in range(len(parts) - 1, 0, -1):
    try:
      found = importlib.import_module(".".join(parts[:length]))
      for part in parts[length:]:
        found = getattr(found, part)
      return found
    except (ImportError, AttributeError):
      continue
  return None


def macros(value: Any) -> Iterator[str]:
  """Yields the names of all macros in a value."""
  if isinstance(value, Macro):
    yield value.name
  elif isinstance(value, dict):
    for pair in value.items():
      yield from macros(list(pair))
  elif isinstance(value, (list, tuple)) and not isinstance(value, Reference):
    for item in value:
      yield from macros(item)


class Piece(NamedTuple):
  """A part of a gin file without includes.

  Attributes:
    text: text with the line numbers of the file: the lines of other parts are
      blank, except for earlier imports, which hold for all of the file.
    statements: statements of this part.
  """

  text: str
  statements: Sequence[Statement]


def pieces(
  text: str, statements: Sequence[Statement]
) -> Iterator[Piece | config_parser.IncludeStatement]:
  """Yields the parts of a file between its includes, and the includes."""
  lines = text.split("\n")
  imports = [""] * len(lines)
  part, found = list(imports), []
  for statement, start, end in spans(statements, len(lines)):
    if isinstance(statement, config_parser.IncludeStatement):
      yield Piece("\n".join(part), found)
      yield statement
      part, found = list(imports), []
      continue
    part[start:end] = lines[start:end]
    found.append(statement)
    if isinstance(statement, config_parser.ImportStatement):
      imports[start:end] = lines[start:end]
  yield Piece("\n".join(part), found)


def spans(
  statements: Sequence[Statement], num_lines: int
) -> Iterator[tuple[Statement, int, int]]:
  """Yields each statement with its first line and the first line after it."""
  starts = [s.location.line_num - 1 for s in statements]
  yield from zip(statements, starts, [*starts[1:], num_lines], strict=True)
