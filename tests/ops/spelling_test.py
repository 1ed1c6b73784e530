"""Tests of tf_ssl.ops.spelling."""

import unicodedata

import pytest

from tf_ssl.ops import spelling


def nfc(text):
  return unicodedata.normalize("NFC", text)


def nfd(text):
  return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("folder", [nfc("é"), nfd("é")])
@pytest.mark.parametrize("file", [nfc("ü ー.jpg"), nfd("ü ー.jpg")])
def test_a_file_is_found_in_any_spelling_of_its_parts(tmp_path, folder, file):
  (tmp_path / folder).mkdir()
  (tmp_path / folder / file).touch()
  on_disk = f"{folder}/{file}"
  for path in (nfc(on_disk), nfd(on_disk)):
    assert spelling.on_disk(str(tmp_path), path) == on_disk
    absolute = f"{tmp_path}/{path}"
    assert spelling.on_disk("/", absolute) == f"{tmp_path}/{on_disk}"


def test_the_listed_spelling_wins(tmp_path):
  for name in (nfc("é"), nfd("é")):
    (tmp_path / name).touch()
    assert spelling.on_disk(str(tmp_path), name) == name


@pytest.mark.parametrize(
  "listed", [" a/b c.jpg", "a/b c.jpg\t", "a\\b c.jpg", " a\\b c.jpg "]
)
def test_blanks_around_paths_and_backslashes_are_understood(tmp_path, listed):
  (tmp_path / "a").mkdir()
  (tmp_path / "a/b c.jpg").touch()
  assert spelling.on_disk(str(tmp_path), listed) == "a/b c.jpg"
  (tmp_path / listed).parent.mkdir(exist_ok=True)
  (tmp_path / listed).touch()
  assert spelling.on_disk(str(tmp_path), listed) == listed


def test_a_relative_path_never_becomes_absolute(tmp_path):
  file = tmp_path / "a"
  file.touch()
  for listed in (f" {file}", str(file).replace("/", "\\")):
    assert spelling.on_disk(str(tmp_path / "b"), listed) == listed


@pytest.mark.parametrize("path", ["é/x", "é\0", "\ud800", "plain", "\udcff"])
def test_a_path_without_a_file_stays(tmp_path, path):
  assert spelling.on_disk(str(tmp_path), path) == path


def test_keys_of_all_spellings_are_equal():
  assert spelling.key(nfd("é")) == spelling.key(nfc("é")) == nfc("é")
