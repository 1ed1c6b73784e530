"""The check of the built site sees what is wrong with a page.

`make docs-check` builds the site and applies the check; CI runs it.
"""

import importlib.util
import sys

import pytest

_HEAD = '<!doctype html><meta charset="utf-8"><meta name="viewport"'
_HEAD += ' content="width=device-width"><body>'


@pytest.fixture(name="check")
def fixture_check(repository):
  """The module docs/check_site.py, which no package holds."""
  path = repository / "docs" / "check_site.py"
  spec = importlib.util.spec_from_file_location("check_site", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture(name="site")
def fixture_site(tmp_path):
  """A site of two good pages."""
  (tmp_path / "index.html").write_text(
    _HEAD + '<a href="other.html#here">good</a><a href="https://a.org">out</a>'
  )
  (tmp_path / "other.html").write_text(_HEAD + '<p id="here">good</p>')
  return tmp_path


def _add(site, text):
  with open(site / "index.html", "a") as file:
    file.write(text)


def test_good_files_have_no_problems(check, site):
  assert list(check.problems_of_files(site)) == []


@pytest.mark.parametrize(
  ("text", "problem"),
  [
    ('<a href="no.html">x</a>', "links to no.html, which does not exist"),
    ('<a href="other.html#no">x</a>', "which has no such anchor"),
    ('<script src="https://cdn.org/x.js"></script>', "loads https://cdn.org"),
    ('<link href="//fonts.org/x.css">', "loads //fonts.org/x.css"),
    ('<img src="no.png">', "links to no.png, which does not exist"),
  ],
)
def test_a_wrong_link_or_load_is_found(check, site, text, problem):
  _add(site, text)
  [found] = check.problems_of_files(site)
  assert problem in found


def test_an_import_in_a_style_sheet_is_found(check, site):
  (site / "a.css").write_text('@import "https://fonts.org/x.css";')
  assert list(check.problems_of_files(site)) == [
    "a.css loads https://fonts.org/x.css"
  ]


@pytest.mark.slow
def test_chromium_finds_errors_and_pages_that_are_too_wide(check, site):
  if not check.browser():
    pytest.skip("needs Chromium")
  frames = [check.Frame("index.html", 390), check.Frame("other.html", 390)]
  assert check.problems_of_console(site, frames) == []
  assert list(check.problems_of_layout(site, frames)) == []
  _add(site, "<script>undefined_function()</script>")
  _add(site, '<img src="no.png"><div style="width: 600px">wide</div>')
  [error] = check.problems_of_console(site, frames)
  assert "undefined_function is not defined" in error
  wide, broken = check.problems_of_layout(site, frames)
  assert wide.startswith("index.html at 390 px is 6")
  assert "broken picture" in broken and "no.png" in broken


@pytest.mark.slow
def test_chromium_finds_a_search_without_results(check, site):
  if not check.browser():
    pytest.skip("needs Chromium")
  (site / "search.html").write_text(
    _HEAD + '<ul class="search"><li><a href="troubleshooting.html">x</a></ul>'
  )
  frames = [check.Frame(f"search.html?q={x}", 390) for x in check.SEARCHES]
  found = list(check.problems_of_layout(site, frames))
  assert [text.split(" finds ")[0] for text in found] == [
    f"a search for {word}" for word in check.SEARCHES if word != "collapse"
  ]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
