"""Fills in the parts of pages that are made from other files.

A page says `<!-- include FILE -->` for a Markdown file of the project, and
`<!-- generate NAME ARGUMENTS -->` for a part of the reference.
"""

import functools
import os
import pathlib
import re
import textwrap
from collections.abc import Callable, Mapping

from docs._generate import api, commands, configuration, sources

_COMMENT = re.compile(r"^<!-- (include|generate) (.+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#:\s]+)(#[^)\s]+)?\)")
_TARGET = re.compile(r'<a id="([\w-]+)"></a>')

# Generator -> function of the words after its name that returns Markdown.
GENERATORS: dict[str, Callable[..., str]] = {
  "commands": commands.page,
  "settings": lambda *packages: configuration.settings_page(packages),
  "gin_files": configuration.files_page,
  "api": lambda: _restructured(api.page(_fields)),
}


def filled(
  text: str, page: pathlib.Path, *, with_references: bool = True
) -> str:
  """Returns the text of a page with its parts.

  Args:
    text: Markdown of the page.
    page: path of the page.
    with_references: whether to fill in generated parts, too; that of Python
      needs Sphinx.
  """

  def part(match: re.Match) -> str:
    kind, words = match.groups()
    if kind == "generate":
      if not with_references:
        return ""
      name, *arguments = words.split()
      return GENERATORS[name](*arguments)
    file = (page.parent / words).resolve()
    return _moved(file.read_text(encoding="utf-8"), file.parent, page.parent)

  return _COMMENT.sub(part, _moved(text, page.parent, page.parent))


@functools.cache
def included() -> Mapping[pathlib.Path, pathlib.Path]:
  """Returns the page that shows a Markdown file of the project, by its path."""
  found = {}
  for page in (sources.ROOT / "docs").rglob("*.md"):
    for kind, words in _COMMENT.findall(page.read_text(encoding="utf-8")):
      if kind == "include":
        found[(page.parent / words).resolve()] = page
  return found


def _moved(text: str, before: pathlib.Path, after: pathlib.Path) -> str:
  """Text with its relative links as they are in another folder.

  Links to a file that a page includes lead to that page.
  """

  def link(match: re.Match) -> str:
    opening, path, anchor = match.groups()
    file = (before / path).resolve()
    file = included().get(file, file)
    return f"{opening}{os.path.relpath(file, after)}{anchor or ''})"

  parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
  parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
  return _TARGET.sub(r"(\1)=", "".join(parts))


def _restructured(text: str) -> str:
  return f"```{{eval-rst}}\n{text}\n```"


def _fields(docstring: str, kind: str) -> str:
  """Docstring of Google's style in reStructuredText."""
  from sphinx.ext import napoleon

  config = napoleon.Config(napoleon_use_ivar=True, napoleon_use_rtype=False)
  text = textwrap.dedent(docstring)
  return str(napoleon.GoogleDocstring(text, config, what=kind))
