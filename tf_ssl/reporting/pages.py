"""HTML and Markdown pages from Jinja2 templates.

A template is a `.j2` file beside the module that fills it. In `NAME.html.j2`
every value is escaped; in `NAME.md.j2` a value goes through the filter `cell`
or `code`. HTML pages extend `reporting/page.html.j2` and load nothing.
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from tf_ssl.ops import names

_ROOT = pathlib.Path(__file__).parent.parent
_SPECIAL = re.compile(r"([\\`*\[\]<|])")


def render(template: str, **values: Any) -> str:
  """Fills a template.

  Args:
    template: path below tf_ssl, such as "invariance/report.html.j2".
    **values: values and functions by the names that the template uses.

  Returns:
    The page, all of it printable (`names.printable`). Markdown has no more than
    one empty line in a row.
  """
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_ROOT),
    autoescape=lambda name: name is None or name.endswith(".html.j2"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters |= {"cell": cell, "code": code, "number": number}
  text = environment.get_template(template).render(**values)
  if template.endswith(".md.j2"):
    text = re.sub(r"\n{3,}", "\n\n", text)
  return names.printable(text).strip() + "\n"


def plain(value: Any, *, digits: int = 6) -> str:
  """A value of a report as text on one line.

  Args:
    value: text, number, None, mapping or sequence.
    digits: significant digits of a float.
  """
  if value is None:
    return "–"
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, float):
    return f"{value:.{digits}g}"
  if isinstance(value, Mapping):
    return "; ".join(
      f"{k}: {plain(v, digits=digits)}" for k, v in value.items()
    )
  if isinstance(value, Sequence) and not isinstance(value, str):
    return ", ".join(plain(each, digits=digits) for each in value)
  return " ".join(str(value).split())


def cell(value: Any, *, digits: int = 6) -> str:
  """`plain` with every character escaped that Markdown reads as markup."""
  return _SPECIAL.sub(r"\\\1", plain(value, digits=digits))


def code(text: str) -> str:
  """Text as code in a cell of a Markdown table."""
  text = " ".join(text.split()).replace("|", "\\|")
  if "`" not in text:
    return f"`{text}`"
  fence = "`" * (1 + max(map(len, re.findall("`+", text))))
  return f"{fence} {text} {fence}"


def number(value: float, *, digits: int = 1, signed: bool = False) -> str:
  """A number with fixed decimals; a zero has no sign."""
  zero = f"{0:.{digits}f}"
  text = f"{value:{'+' if signed else ''}.{digits}f}"
  return zero if text.lstrip("+-") == zero else text
