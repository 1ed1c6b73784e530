"""Tests of tools._cli.cli and quiet: flags, exit codes, messages."""

import os
import pathlib
import re
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


_QUIET = """
import os, sys
from tools._cli import quiet
quiet.import_tensorflow()
import tensorflow as tf
import tensorflow_hub
print(int(tf.constant(1) + 1))
os.write(2, b"a real error\\n")
"""


def test_importing_tensorflow_prints_nothing_but_real_errors(repository):
  done = _run(repository, "-c", _QUIET)
  assert (done.stdout, done.stderr) == ("2\n", "a real error\n")


def test_the_log_level_of_the_user_wins(repository):
  done = _run(repository, "-c", _QUIET, TF_CPP_MIN_LOG_LEVEL="0")
  assert "cpu_feature_guard" in done.stderr


_ABORT = """
import os
from tools._cli import quiet
with quiet.known_lines_dropped():
  os.write(2, b"x Unable to register cuDNN factory: y\\nlast line\\n")
  os.abort()
"""


def test_the_last_lines_of_a_crashing_import_are_shown(repository):
  done = _run(repository, "-c", _ABORT)
  assert done.returncode < 0
  assert done.stderr == "last line\n"


_LINGERING = """
import os, subprocess, sys
from tools._cli import quiet
with quiet.known_lines_dropped():
  lingering = subprocess.Popen(["sleep", "300"])  # Holds standard error.
  os.write(2, b"inside\\n")
os.write(2, b"outside\\n")
lingering.kill()
"""


def test_a_process_that_stays_does_not_hold_up_the_end(repository):
  done = _run(repository, "-c", _LINGERING)
  assert done.returncode == 0
  assert done.stderr == "inside\noutside\n"


def test_the_dispatcher_knows_its_tools(repository):
  done = _run(repository, "-m", "tools")
  assert done.returncode == 2
  assert "train " in done.stdout
  done = _run(repository, "-m", "tools", "trian")
  assert done.returncode == 2
  assert "did you mean train?" in done.stderr


def test_every_tool_is_short(repository):
  for path in pathlib.Path(repository / "tools").glob("*.py"):
    if path.stem not in ("main", "__init__"):
      # A flag is a line; what is done with them is what must be short.
      code = re.sub(
        r"\nTOOL\.\w+\(.*?\)(?=\n)", "", path.read_text(), flags=re.S
      )
      assert len(code.splitlines()) <= 65, path


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
