r"""Names of files and classes as text that any page, table or screen can hold.

A file name may hold any byte: a line break, which tears a list of names, or
bytes that are not UTF-8, which Python reads as surrogates and no file can
store. Such characters are written as escapes: \n, \r, \t, \\, \xff (a byte),
\u2028 (another character). All other names stay as they are.
"""

import re
import unicodedata
from collections.abc import Iterable

# \x85, \u2028 and \u2029 are line breaks to str.splitlines.
_UNSAFE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_FILE = re.compile(r"[/\\]")
_ESCAPE = re.compile(r"\\(?:([\\nrt])|x([0-9a-f]{2})|u([0-9a-f]{4}))")
_SHORT = {"\\": "\\", "\n": "n", "\r": "r", "\t": "t"}
_LONG = {letter: character for character, letter in _SHORT.items()}
_BYTE = 0xDC00  # os.fsdecode gives a byte that is not UTF-8 as _BYTE + byte.


def escaped(name: str) -> str:
  """The name on one line of valid Unicode; `unescaped` gives it back."""
  return _UNSAFE.sub(_escape, name)


def unescaped(text: str) -> str:
  """The name that `escaped` turned into `text`."""
  return _ESCAPE.sub(_unescape, text)


def printable(text: str) -> str:
  """Text of any kind with escapes for what UTF-8 and screens cannot show.

  Line feeds, tabs and backslashes stay, so the original cannot be recovered.
  """
  return _UNPRINTABLE.sub(_escape, text)


def one_line(text: str) -> str:
  """`printable` text on one line, with single spaces."""
  return " ".join(printable(text).split())


def listed(some: Iterable[str], most: int) -> str:
  """The first names, escaped, as "a; b; ...".

  Args:
    some: names.
    most: number of names to give.
  """
  some = list(some)
  rest = "; ..." if len(some) > most else ""
  return "; ".join(map(escaped, some[:most])) + rest


def of_file(text: str, *, max_bytes: int = 200) -> str:
  """A name for an output file: visible, short, and no path.

  Different texts may give one name, so the caller makes it unique.

  Args:
    text: any text, such as the name of a class or the path of an input.
    max_bytes: most bytes of the name, whose end is kept; a file system allows
      255.
  """
  name = _NO_FILE.sub("_", escaped(text.strip())).lstrip(".")
  return name.encode()[-max_bytes:].decode(errors="ignore").lstrip(". ")


def of_class(name: str) -> str:
  """The name of a class as datasets give it: escaped, and in the form NFC.

  File systems store the accent of é in two ways; one class has one name.
  """
  return escaped(unicodedata.normalize("NFC", name))


def _escape(match: re.Match) -> str:
  character = match[0]
  if character in _SHORT:
    return f"\\{_SHORT[character]}"
  code = ord(character)
  if code < 0x80:
    return f"\\x{code:02x}"
  if _BYTE + 0x80 <= code <= _BYTE + 0xFF:
    return f"\\x{code - _BYTE:02x}"
  return f"\\u{code:04x}"


def _unescape(match: re.Match) -> str:
  short, byte, code = match.groups()
  if short:
    return _LONG[short]
  if byte:
    value = int(byte, 16)
    return chr(value if value < 0x80 else _BYTE + value)
  return chr(int(code, 16))
