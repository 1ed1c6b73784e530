"""The configuration reference, made from gin files and what they bind."""

import functools
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gin import config_parser

from docs._generate import sources
from tools._cli import gin_statements

_CONFIGS = sources.ROOT / "gin_configs"


class Macro(NamedTuple):
  """A setting of a gin file that a command binds by its name.

  Attributes:
    name: name of the macro, such as STEPS.
    value: value in the gin file; "required" if a command must give one.
    text: comment on its line; "" for none.
  """

  name: str
  value: str
  text: str


def settings_page(packages: Sequence[str]) -> str:
  """Returns Markdown: what gin files may bind, of some packages.

  Args:
    packages: names of packages or modules, such as "tf_ssl.training", in the
      order of the page.
  """
  names: dict[str, None] = {}  # In order, each once.
  for package in packages:
    inside = (x for x in bindable() if x.startswith(f"{package}."))
    names |= dict.fromkeys(sorted(inside))
  return "\n\n".join(_definition(sources.find(name)) for name in names)


def files_page(folder: str) -> str:
  """Returns Markdown: the gin files of a folder, with their macros."""
  paths = sorted((_CONFIGS / folder).rglob("*.gin"))
  return "\n\n".join(_file(path) for path in paths)


@functools.cache
def bindable() -> frozenset[str]:
  """Returns full names of the functions and classes that gin files name."""
  found: set[str] = set()
  for path in _CONFIGS.rglob("*.gin"):
    statements = gin_statements.parse(path.read_text(encoding="utf-8"))
    imports = gin_statements.imported_names(statements)
    for selector in _selectors(statements):
      name = gin_statements.dotted(selector.split("/")[-1], imports)
      if sources.find(name):
        found.add(name)
  return frozenset(found)


def macros(path: pathlib.Path) -> list[Macro]:
  """Returns the macros of a gin file and of the files that it includes.

  A macro without a comment of its own has the description of the first
  parameter that it sets.
  """
  values: dict[str, str] = {}
  comments: dict[str, str] = {}
  described: dict[str, str] = {}
  for file in _with_includes(path):
    text = file.read_text(encoding="utf-8")
    lines, statements = text.splitlines(), gin_statements.parse(text)
    imports = gin_statements.imported_names(statements)
    for each in statements:
      if not isinstance(each, config_parser.BindingStatement):
        continue
      if not each.arg_name:
        values[each.selector] = _value(each.value)
        comment = lines[each.location.line_num - 1].partition("  #")[2]
        if comment:
          comments[each.selector] = comment.strip()
      elif isinstance(each.value, gin_statements.Macro):
        name = gin_statements.dotted(each.selector, imports)
        described.setdefault(each.value.name, _meaning(name, each.arg_name))
  return [
    Macro(name, value, comments.get(name) or described.get(name, ""))
    for name, value in values.items()
  ]


def _with_includes(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """The files that a gin file includes, and then itself."""
  for each in gin_statements.parse(path.read_text(encoding="utf-8")):
    if isinstance(each, config_parser.IncludeStatement):
      yield from _with_includes(sources.ROOT / each.filename)
  yield path


def _meaning(name: str, argument: str) -> str:
  """Description of a parameter; "" if it has none."""
  found = sources.find(name)
  parameters = found.parameters() if found else []
  texts = {each.name: each.text for each in parameters}
  return texts.get(argument, "").rstrip(".")


def _value(value: Any) -> str:
  if isinstance(value, gin_statements.Macro):
    required = value.name == gin_statements.REQUIRED
    return "required" if required else f"%{value.name}"
  if isinstance(value, gin_statements.Reference):
    return f"@{value.name}{'()' if value.called else ''}"
  if isinstance(value, (list, tuple)):
    return f"[{', '.join(map(_value, value))}]"
  return repr(value)


def _selectors(statements: Sequence[gin_statements.Statement]) -> Iterator[str]:
  for statement in statements:
    if isinstance(statement, config_parser.BindingStatement):
      if statement.arg_name:
        yield statement.selector
      yield from _references(statement.value)


def _references(value: Any) -> Iterator[str]:
  if isinstance(value, gin_statements.Reference):
    yield value.name
  elif isinstance(value, dict):
    yield from _references(list(value.values()))
  # A reference is a tuple, too.
  elif isinstance(value, (list, tuple)):
    for each in value:
      yield from _references(each)


def _definition(found: sources.Definition) -> str:
  module = found.module.rpartition(".")[2]
  lines = [f"## {module}.{found.node.name}", ""]
  lines += [_text(found.purpose), "", f"`from {found.module}`", ""]
  for each in found.parameters():
    default = "required" if each.default is None else f"`{each.default}`"
    if each.name.startswith("*"):
      continue
    typed = f"`{each.annotation}`, " if each.annotation else ""
    lines += [f"`{each.name}`", f": {typed}{default}", ""]
    if each.text:
      lines += [f"  {_text(_sentence(each.text))}", ""]
  return "\n".join(lines).rstrip()


def _file(path: pathlib.Path) -> str:
  name = path.relative_to(_CONFIGS).as_posix()
  text = path.read_text(encoding="utf-8")
  comment = re.match(r"(?:#.*\n)*", text)[0]
  about = "\n".join(line[1:].removeprefix(" ") for line in comment.splitlines())
  lines = [f"## {name}", "", _comment(about), ""]
  found = macros(path)
  if found:
    lines += ["| macro | value | meaning |", "|---|---|---|"]
    for each in found:
      value = each.value if each.value == "required" else f"`{each.value}`"
      lines.append(
        f"| `{each.name}` | {value} | {_text(_sentence(each.text))} |"
      )
  return "\n".join(lines).rstrip()


def _sentence(text: str) -> str:
  """Text that begins with a capital, if it begins with a plain word."""
  first = text.partition(" ")[0].rstrip(",:;.")
  plain = first.isalpha() and first.islower()
  return text[:1].upper() + text[1:] if plain else text


def _comment(text: str) -> str:
  """Comment at the top of a gin file: its indented lines are commands."""
  return "\n\n".join(
    f"```bash\n{sources.dedented(each)}\n```"
    if each.startswith("  ")
    else _text(" ".join(each.split()))
    for each in _blocks(text)
  )


def _blocks(text: str) -> Iterator[str]:
  """Runs of lines that are all indented, or all not."""
  block: list[str] = []
  for line in text.splitlines():
    if not line.strip() or (
      block and block[0].startswith("  ") != line.startswith("  ")
    ):
      if block:
        yield "\n".join(block)
      block = []
    if line.strip():
      block.append(line)
  if block:
    yield "\n".join(block)


def _text(text: str) -> str:
  """Text of a docstring or comment, which marks code as Markdown does."""
  parts = re.split(r"(`[^`]*`)", text.replace("|", r"\|"))
  return "".join(
    part if i % 2 else re.sub(r"([*_<>\[\]$])", r"\\\1", part)
    for i, part in enumerate(parts)
  )
