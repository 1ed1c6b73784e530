"""Tables and the page of a measurement."""

import html.parser
import sys

import pytest
from PIL import Image


class _Page(html.parser.HTMLParser):
  """Everything that a page would load, and its elements."""

  def __init__(self):
    super().__init__()
    self.loads, self.tags = [], []

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.loads += [
      value
      for name, value in attrs
      if name in ("src", "href", "data", "action", "srcset", "poster")
    ]


def test_the_report_is_one_file_and_escapes_names(measured):
  text = (measured.folder / "report.html").read_text(encoding="utf-8")
  page = _Page()
  page.feed(text)
  assert page.loads and all(x.startswith("data:image/") for x in page.loads)
  assert not {"script", "link", "iframe"} & set(page.tags)
  assert "url(" not in text and "@import" not in text
  assert "<b>noise</b>" not in text
  assert "&lt;b&gt;noise&lt;/b&gt;" in text
  assert "the command" in text and "the only one" in text
  with Image.open(measured.folder / "invariance.png") as image:
    assert image.size[0] > image.size[1]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
