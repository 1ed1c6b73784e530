"""Tests of the pages' length, navigation, links and Python."""

import ast
import inspect
import re
import sys

import pytest

import tf_ssl
from docs._generate import pages
from tests.docs import documents_reference as documents

# Five minutes of a reader of technical text, 200 words per minute.
_MAX_WORDS = 1000
# To look something up in, not to read.
_LOOKED_UP = ("reference/", "results/", "changelog.md")


def _pages(repository):
  docs = repository / "docs"
  return {
    path.relative_to(docs).as_posix(): path for path in docs.rglob("*.md")
  }


def _text(path):
  return pages.filled(path.read_text(), path, with_references=False)


def test_a_page_takes_at_most_five_minutes(repository):
  long = {
    name: words
    for name, path in _pages(repository).items()
    if not name.startswith(_LOOKED_UP)
    and (words := documents.number_of_words(_text(path))) > _MAX_WORDS
  }
  assert not long


def test_words_of_links_navigation_and_comments_do_not_count():
  text = "# A b\n\n[c](d/e.md)\n<!-- f -->\n```{toctree}\ng\n```\n"
  assert documents.number_of_words(text) == 3


def test_every_page_is_in_the_navigation_once(repository):
  index = (repository / "docs" / "index.md").read_text()
  trees = re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL)
  listed = [
    f"{line}.md"
    for tree in trees
    for line in tree.splitlines()
    if line and not line.startswith(":")
  ]
  assert sorted([*listed, "index.md"]) == sorted(_pages(repository))


def test_every_link_leads_to_a_file(repository):
  missing = [
    f"{name}: {target}"
    for name, path in _pages(repository).items()
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", _text(path))
    if not (path.parent / target).exists()
  ]
  assert not missing, "\n".join(missing)


def test_python_of_the_pages_calls_public_names_as_they_are(repository):
  wrong, number = [], 0
  for path in [*_pages(repository).values(), repository / "README.md"]:
    for code in re.findall(r"```python\n(.*?)```", path.read_text(), re.S):
      for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
          "tf_ssl."
        ):
          number += 1
          try:
            _bind(node)
          except (AttributeError, TypeError) as error:
            wrong.append(f"{path.name}: {ast.unparse(node)}: {error}")
  assert not wrong, "\n".join(wrong)


def _bind(call: ast.Call) -> None:
  """Raises TypeError if a call has arguments that its function lacks."""
  function = getattr(tf_ssl, ast.unparse(call.func).removeprefix("tf_ssl."))
  names = {each.arg: None for each in call.keywords}
  inspect.signature(function).bind(*call.args, **names)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
