"""Values in pages are text, never markup."""

import sys

import jinja2
import pytest

from tf_ssl.reporting import pages


def test_html_escapes_values_and_ends_in_one_newline():
  page = pages.render("reporting/page.html.j2", title="<b>&")
  assert "<title>&lt;b&gt;&amp;</title>" in page
  assert page.startswith("<!doctype html>")
  assert page.endswith("</html>\n")


def test_a_missing_value_is_an_error():
  with pytest.raises(jinja2.UndefinedError, match="title"):
    pages.render("reporting/page.html.j2")


def test_cells_escape_markdown():
  assert pages.cell("a|b *c* [d](e) <f>\n`g`") == (
    "a\\|b \\*c\\* \\[d\\](e) \\<f> \\`g\\`"
  )


def test_plain_text_of_values():
  assert pages.plain({"a": [1, 0.25], "b": None}) == "a: 1, 0.25; b: –"
  assert pages.plain((True, False)) == "yes, no"
  assert pages.plain(0.123456789, digits=3) == "0.123"


@pytest.mark.parametrize(
  ("text", "expected"),
  [("a  b", "`a b`"), ("a|b", "`a\\|b`"), ("a `b`", "`` a `b` ``")],
)
def test_code_survives_pipes_and_backticks(text, expected):
  assert pages.code(text) == expected


def test_numbers_have_no_negative_zero():
  assert pages.number(-0.04) == "0.0"
  assert pages.number(0.04, signed=True) == "0.0"
  assert pages.number(1.25, digits=2, signed=True) == "+1.25"


def test_names_that_are_not_unicode_are_escaped():
  page = pages.render("reporting/page.html.j2", title="\udcff\ud800\x1b é")
  assert r"<title>\xff\ud800\x1b é</title>".encode() in page.encode()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
