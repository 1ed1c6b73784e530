"""Tests of tools._cli.cli: flags, exit codes, messages."""

import errno
import os
import subprocess
import sys

import pytest

from tf_ssl import errors
from tools._cli import cli


def _tool(main, **settings):
  tool = cli.Tool("work", "Works.\n", main, **settings)
  tool.text_flag("place", "Where.")
  return tool


def _fail_with(exception):
  def main(invocation):
    del invocation
    raise exception

  return main


def test_flags_and_the_command_reach_the_main():
  seen = []
  _tool(seen.append).call(["--place=a b"])
  assert seen[0].flags.place == "a b"
  assert seen[0].command.endswith("-m tools.work --place='a b'")


def test_a_tool_can_be_called_twice():
  seen = []
  tool = _tool(lambda invocation: seen.append(invocation.flags.place))
  tool.call(["--place=a"])
  tool.call([])
  assert seen == ["a", None]


def test_bad_input_is_one_line_and_exit_code_2(capsys):
  tool = _tool(_fail_with(errors.UsageError("no\n  such   thing")))
  with pytest.raises(SystemExit) as end:
    tool.run([])
  assert end.value.code == 2
  assert capsys.readouterr().err == "work: no such thing\n"


def test_the_lines_that_gin_adds_are_not_part_of_the_message(capsys):
  message = "queue_size=9\n  In call to configurable 'f' (<function f>)"
  with pytest.raises(SystemExit):
    _tool(_fail_with(errors.UsageError(message))).run([])
  assert capsys.readouterr().err == "work: queue_size=9\n"


def test_a_full_disk_is_one_line_and_exit_code_2(capsys):
  full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/b")
  with pytest.raises(SystemExit) as end:
    _tool(_fail_with(full)).run([])
  assert end.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("work: cannot write to /a/b: No space left on device;")


def test_a_defect_keeps_its_exception():
  with pytest.raises(ZeroDivisionError):
    _tool(_fail_with(ZeroDivisionError())).run([])


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--plce=a"], "unknown flag --plce; did you mean place?"),
    (["here"], "unexpected argument 'here'"),
    ([], "--place=... is missing: Where."),
    (["--place=a"], "--gin_file=FILE is missing"),
    (["--place=a", "--gin_file="], "--gin_file=FILE is missing"),
    (["--place=a", "--gin_file=", "--gin_file=x.gin"], "x.gin: no such file"),
  ],
)
def test_a_wrong_flag_is_named(arguments, message):
  folders = ["pretrain"] if "--place=a" in arguments else []
  tool = _tool(print, required=["place"], config_folders=folders)
  with pytest.raises(errors.UsageError, match=message):
    tool.call(arguments)


def test_help_prints_the_flags(capsys):
  _tool(print).call(["--help"])
  assert "--place\n      Where." in capsys.readouterr().out


def test_paths_are_relative_to_the_callers_folder(tmp_path, monkeypatch):
  monkeypatch.chdir("/")
  monkeypatch.setenv("BUILD_WORKING_DIRECTORY", str(tmp_path))
  seen = []
  _tool(lambda _: seen.append(os.getcwd())).call([])
  assert seen == [str(tmp_path)]


def _run(repository, *arguments, **environment):
  environment = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(repository),
    **environment,
  }
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=repository,
    env=environment,
    capture_output=True,
    text=True,
    timeout=120,
  )


def test_listing_configs_does_not_import_tensorflow(repository):
  done = _run(repository, "-X", "importtime", "-m", "tools.train", "--list")
  assert done.returncode == 0
  assert "tensorflow" not in done.stderr


@pytest.mark.parametrize(
  ("value", "quoted"),
  [
    ("a  'b'\\n", "'a  '\"'\"'b'\"'\"'\\n'"),
    ("é\n\udcff'\\", r"$'é\n\xff\'\\'"),
  ],
)
def test_the_command_can_be_given_to_a_shell_again(value, quoted):
  seen = []
  _tool(seen.append).call([f"--place={value}"])
  assert seen[0].command.endswith(f" --place={quoted}")
  done = subprocess.run(
    ["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True
  )
  assert os.fsdecode(done.stdout) == value


def test_a_working_directory_that_is_gone_is_one_line(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "gone").mkdir()
  os.chdir("gone")
  os.rmdir(tmp_path / "gone")
  with pytest.raises(errors.UsageError, match="working directory .*No such"):
    _tool(lambda invocation: None).call([])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
