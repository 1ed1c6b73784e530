"""Tests of tf_ssl.ops.home."""

import os
import pathlib
import pwd
import sys
import tempfile

import pytest

from tf_ssl import errors
from tf_ssl.ops import home


@pytest.fixture(name="unknown")
def fixture_unknown(tmp_path, monkeypatch):
  """A user without a name and without a home."""

  def no_entry(number):
    raise KeyError(number)

  for name in ("HOME", "XDG_CACHE_HOME"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(pwd, "getpwuid", no_entry)
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
  (tmp_path / "temporary").mkdir()
  return tmp_path / "temporary"


def test_the_cache_is_where_xdg_says(tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path))
  monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
  assert home.cache("a") == tmp_path / ".cache/tf_ssl/a"
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
  assert home.cache("a") == tmp_path / "b/tf_ssl/a"
  assert home.cache("a").is_dir() and home.is_writable()
  assert home.expand("~/c", "--x") == tmp_path / "c"


def test_a_user_without_a_home_has_a_private_cache(unknown):
  place = home.cache("a")
  assert place.is_dir() and unknown in place.parents
  assert home.temporary().stat().st_mode & 0o777 == 0o700
  assert home.cache("a") == place and not home.is_writable()
  assert not os.path.exists("~")


def test_a_path_in_an_unknown_home_is_refused(unknown):
  del unknown
  assert home.expand("a/~", "--x") == pathlib.Path("a/~")
  with pytest.raises(errors.UsageError, match="~/a.*HOME.*--x"):
    home.expand("~/a", "--x")


def test_a_cache_that_cannot_be_created_is_replaced(
  unknown, tmp_path, monkeypatch, caplog
):
  (tmp_path / "file").touch()
  monkeypatch.setenv("HOME", str(tmp_path / "file"))
  with caplog.at_level("WARNING"):
    assert unknown in home.cache("a").parents
  assert "file/.cache" in caplog.text and "XDG_CACHE_HOME" in caplog.text


def test_a_temporary_folder_of_others_is_not_used(unknown):
  first = home.temporary()
  first.chmod(0o777)
  assert home.temporary() != first
  assert home.temporary().parent == unknown
  first.rmdir()
  first.symlink_to(unknown)
  assert home.temporary() != first


def test_no_place_for_temporary_files_is_one_line(unknown):
  unknown.rmdir()
  unknown.touch()
  with pytest.raises(errors.UsageError, match="TMPDIR"):
    home.cache("a")


def test_a_path_that_tensorflow_cannot_write_is_refused():
  with pytest.raises(errors.UsageError, match=r"a\\xff: .*UTF-8.*--x"):
    home.expand("a\udcff", "--x")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
