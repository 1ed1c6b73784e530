"""XML files that anybody may have written, as trees of elements."""

import os
from xml.etree import ElementTree

_MAX_BYTES = 16 * 2**20  # An annotation has some kilobytes.


def parse(path: str) -> ElementTree.Element:
  """Reads a file of elements and text; nothing in it is expanded or fetched.

  Args:
    path: of the file.

  Returns:
    Its root.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: why it cannot be used, in a few words. A document type, in which
      entities could be declared that grow without bound or name other files, is
      refused.
  """
  try:
    if os.path.getsize(path) > _MAX_BYTES:
      raise ValueError(f"XML of more than {_MAX_BYTES:,} bytes")
    with open(path, "rb") as file:
      parser = ElementTree.XMLParser(target=_Builder())
      return ElementTree.parse(file, parser).getroot()
  except FileNotFoundError:
    raise
  except OSError as error:
    raise ValueError("XML that cannot be read") from error
  except (ElementTree.ParseError, LookupError) as error:
    raise ValueError("not XML") from error  # LookupError: an encoding


class _Builder(ElementTree.TreeBuilder):
  """Stops at a document type: before any entity is declared."""

  def doctype(self, name, pubid, system):
    raise ValueError("XML with a document type")
