"""Statements of gin files, read with gin's parser."""

import json
import os.path
import sys

import pytest
from gin import config_parser

from tools._cli import gin_statements

_TEXT = """# A comment.
import json
import os.path
from email import message as mail
MACRO = 3

json.dumps.indent = %MACRO
far/json.dumps.obj = {
    "a": [1, (%OTHER, @mail.Message()),
          2],
}
include "more.gin"
os.path.join.a = @far/json.dumps
"""


def _bindings(text):
  statements = gin_statements.parse(text)
  imports = gin_statements.imported_names(statements)
  return list(gin_statements.bindings(statements, imports))


def test_bindings_have_their_values_and_targets():
  found = _bindings(_TEXT)
  assert [line.name for line in found] == [
    "MACRO",
    "json.dumps.indent",
    "far/json.dumps.obj",
    "os.path.join.a",
  ]
  macro, indent, scoped, joined = found
  assert (macro.argument, macro.value, macro.target) == ("", 3, None)
  assert indent.value == gin_statements.Macro("MACRO")
  assert indent.target is json.dumps and scoped.scope == "far"
  message = gin_statements.Reference("mail.Message", True)
  assert scoped.value == {"a": [1, (gin_statements.Macro("OTHER"), message), 2]}
  assert joined.target is os.path.join
  assert joined.value == gin_statements.Reference("far/json.dumps", False)


def test_names_are_resolved_by_the_imports_of_the_file():
  imports = gin_statements.imported_names(gin_statements.parse(_TEXT))
  assert imports == {
    "json": "json",
    "os": "os",
    "mail": "email.message",
  }
  for selector, expected in (
    ("mail.Message", "email.message.Message"),
    ("other.f", "other.f"),
    ("mail", "mail"),
  ):
    assert gin_statements.dotted(selector, imports) == expected


def test_gins_own_imports_bind_no_name():
  text = "from __gin__ import dynamic_registration\nimport json\n"
  found = gin_statements.imported_names(gin_statements.parse(text))
  assert found == {"json": "json"}


def test_an_unknown_function_has_no_target():
  [line] = _bindings("import json\njson.dmps.indent = 3\n")
  assert line.target is None and line.name == "json.dmps.indent"
  [line] = _bindings("nowhere.f.x = 3\n")
  assert line.target is None


def test_a_line_replaces_another_for_the_same_target_and_scope():
  one, two, scoped, other = _bindings(
    "import os.path\nfrom os import path\n"
    "os.path.join.a = 1\npath.join.a = 2\n"
    "far/path.join.a = 3\npath.join.b = 4\n"
  )
  assert one.key == two.key
  assert len({one.key, scoped.key, other.key}) == 3


@pytest.mark.parametrize(
  ("module", "name", "line"),
  [
    ("json", "json", "import json"),
    ("os.path", "path", "from os import path"),
    ("os.path", "p", "from os import path as p"),
    ("json", "j", "import json as j"),
  ],
)
def test_an_import_binds_a_module_to_a_name(module, name, line):
  assert gin_statements.format_import(module, name) == line
  found = gin_statements.imported_names(gin_statements.parse(line + "\n"))
  assert found == {name: module}


def test_all_macros_of_a_value_are_found():
  macro = gin_statements.Macro
  value = {
    macro("key"): [macro("a"), (1, {"x": macro("b")})],
    "c": gin_statements.Reference("d", True),
  }
  assert list(gin_statements.macros(value)) == ["key", "a", "b"]


def test_pieces_keep_their_line_numbers_and_the_imports_before_them():
  statements = gin_statements.parse(_TEXT)
  first, include, last = gin_statements.pieces(_TEXT, statements)
  assert isinstance(include, config_parser.IncludeStatement)
  assert include.filename == "more.gin"
  lines = _TEXT.split("\n")
  for piece in (first, last):
    found = piece.text.split("\n")
    assert len(found) == len(lines)
    for number, line in enumerate(found):
      assert line in ("", lines[number])
  assert "MACRO = 3" in first.text and "os.path.join" not in first.text
  assert "MACRO" not in last.text and "import os.path" in last.text
  assert [type(s).__name__ for s in last.statements] == ["BindingStatement"]
  # Both are gin files by themselves, with the statements they list.
  for piece, count in ((first, 6), (last, 4)):
    assert len(gin_statements.parse(piece.text)) == count


def test_spans_cover_the_file_from_its_first_statement():
  statements = gin_statements.parse(_TEXT)
  count = _TEXT.count("\n") + 1
  spans = list(gin_statements.spans(statements, count))
  lines = _TEXT.split("\n")
  assert [lines[start].split()[0] for _, start, _ in spans] == [
    "import",
    "import",
    "from",
    "MACRO",
    "json.dumps.indent",
    "far/json.dumps.obj",
    "include",
    "os.path.join.a",
  ]
  for (_, _, end), (_, start, _) in zip(spans, spans[1:], strict=False):
    assert end == start
  assert spans[-1][2] == count


def test_a_syntax_error_has_its_line():
  with pytest.raises(SyntaxError) as error:
    gin_statements.parse("a.b = 1\na.c = = 2\n")
  assert error.value.lineno == 2


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
