"""Tests that docstrings and documents keep to the words of the field."""

import ast
import re
import sys

import pytest

_FOLDERS = ("tf_ssl", "tools", "benchmarks")
# An entry such as "seed: of the crops" does not say what `seed` is.
_NO_SUBJECT = re.compile(
  r"(of|as|in|for|from|by|with|at|to|that|which|whose|likewise|the same|see|and"
  r"|or|on|about|how|it|them|their|its)\b",
  re.IGNORECASE,
)
_ENTRY = re.compile(r"  ([\w*][\w*, ]*):\s+(.+)")
_SECTIONS = ("Args:", "Attributes:")
# British spellings, and phrases that name no term of the field.
_WORDS = re.compile(
  r"behaviour|\bcentre|colour|\bgrey|labelled|neighbour|normalis"
  r"|\banew\b|before black|dealt to|known again|likewise|on the clock|surest"
  r"|taken for",
  re.IGNORECASE,
)
# Names in files that users have.
_KEPT = re.compile(r"illumination_colour|LABELLED_IMAGES")
_WITH_OLD_NAMES = (
  "CHANGELOG.md",
  "tests/rendering/synthetic_test.py",
  "tests/tools/_cli/old_names_test.py",
  "tests/words_test.py",
  "tf_ssl/rendering/synthetic.py",
  "tools/_cli/old_names.py",
)


def _entries(tree):
  """Yields the name and text of every entry in the docstrings of a module."""
  for node in ast.walk(tree):
    if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
      inside = False
      for line in (ast.get_docstring(node) or "").splitlines():
        if line and not line.startswith(" "):
          inside = line in _SECTIONS
        match = _ENTRY.fullmatch(line)
        if inside and match:
          yield match[1], match[2]


@pytest.mark.parametrize("folder", _FOLDERS)
def test_every_entry_of_a_docstring_says_what_it_is(repository, folder):
  found = [
    f"{path.relative_to(repository)}: {name}: {text}"
    for path in sorted((repository / folder).rglob("*.py"))
    for name, text in _entries(ast.parse(path.read_text()))
    if _NO_SUBJECT.match(text)
  ]
  assert not found, "\n".join(found)


def test_spelling_and_terms_are_those_of_the_field(repository):
  folders = (*_FOLDERS, "tests", "docs", "gin_configs")
  paths = [p for name in folders for p in (repository / name).rglob("*")]
  found = [
    f"{path.relative_to(repository)}:{number}: {line.strip()}"
    for path in sorted([*paths, *repository.glob("*.md")])
    if path.suffix in (".py", ".md", ".gin", ".j2")
    and str(path.relative_to(repository)) not in _WITH_OLD_NAMES
    for number, line in enumerate(path.read_text().splitlines(), 1)
    if _WORDS.search(_KEPT.sub("", line))
  ]
  assert not found, "\n".join(found)


def test_the_check_sees_an_entry_without_a_subject():
  tree = ast.parse('"""Crops.\n\nArgs:\n  seed: of the crops.\n"""')
  [(name, text)] = _entries(tree)
  assert name == "seed" and _NO_SUBJECT.match(text)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
