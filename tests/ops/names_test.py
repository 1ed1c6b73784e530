"""Tests of tf_ssl.ops.names."""

import os
import unicodedata

import pytest

from tf_ssl.ops import names

ESCAPES = {
  "a\nb\r\t.jpg": r"a\nb\r\t.jpg",
  "a\\nb": r"a\\nb",
  "\x1b[31m\0": r"\x1b[31m\x00",
  os.fsdecode(b"caf\xe9.jpg"): r"caf\xe9.jpg",
  "\ud800 half a pair": r"\ud800 half a pair",
  "C1 \x85, separators \u2028\u2029": r"C1 \u0085, separators \u2028\u2029",
}


@pytest.mark.parametrize(
  "name", ["a b.jpg", "é 漢字 👍 \u0301 'x' \"y\" <&>", "", " ", "..."]
)
def test_ordinary_names_stay_as_they_are(name):
  assert names.escaped(name) == name == names.unescaped(name)
  assert names.printable(name) == name


@pytest.mark.parametrize("name", ESCAPES)
def test_names_are_escaped_reversibly(name):
  assert names.escaped(name) == ESCAPES[name]
  assert names.unescaped(ESCAPES[name]) == name


def test_every_name_fits_a_line_of_a_file_and_comes_back():
  every = "".join(map(chr, [*range(0x2100), *range(0xD800, 0xE000)]))
  for name in (every, every[::-1], os.fsdecode(bytes(range(1, 256)))):
    text = names.escaped(name)
    assert len(text.encode().decode().splitlines()) == 1
    assert "\t" not in text and names.unescaped(text) == name


def test_a_backslash_that_begins_no_escape_is_itself():
  assert names.unescaped(r"a\b\u12\xzz") == r"a\b\u12\xzz"


def test_printable_text_keeps_its_lines_and_backslashes():
  text = "a\tb\n\\n é"
  assert names.printable(text) == text
  hostile = "\udcff\ud800\x1b\r\x85"
  assert names.printable(hostile) == r"\xff\ud800\x1b\r\u0085"


def test_one_class_has_one_name():
  spellings = {unicodedata.normalize(form, "é") for form in ("NFC", "NFD")}
  assert len(spellings) == 2
  assert {names.of_class(name) for name in spellings} == {"é"}
  assert names.of_class("\udcff\n") == r"\xff\n"


def test_a_list_of_names_is_one_line():
  assert names.listed(["a\nb", "c"], 2) == r"a\nb; c"
  assert names.listed(iter(["a", "\udcff", "c"]), 2) == r"a; \xff; ..."
  assert names.one_line("a\n  b\x1b\udcff") == r"a b\x1b\xff"


@pytest.mark.parametrize(
  ("text", "name"),
  [
    ("a b-é.x", "a b-é.x"),
    (" x ", "x"),
    ("./a", "_a"),
    ("...", ""),
    ("a/b\\c\n\udcff", "a_b__c_n_xff"),
    ("ü" * 150 + "end", "ü" * 98 + "end"),
  ],
)
def test_a_file_name_is_visible_short_and_no_path(tmp_path, text, name):
  found = names.of_file(text)
  assert found == name and len(found.encode()) <= 200
  (tmp_path / f"{found}_0000001.jpg").touch()
