"""The command `tf-ssl` and its subcommands."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tools import main, render


def _run(repository, *arguments):
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=repository,
    env={"PATH": os.environ["PATH"], "PYTHONPATH": str(repository)},
    capture_output=True,
    text=True,
    timeout=120,
  )


def _call(monkeypatch, *words):
  monkeypatch.setattr(sys, "argv", ["tf-ssl", *words])
  main.run()


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


def test_the_names_are_those_of_the_tools_files(repository):
  files = {path.stem for path in (repository / "tools").glob("*.py")}
  assert set(main.names()) == files - {"__init__", "__main__", "main"}
  assert {"train", "evaluate", "render"} <= set(main.names())


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_lists_each_tool_with_the_first_line_of_its_purpose(
  monkeypatch, capsys, word
):
  with pytest.raises(SystemExit) as end:
    _call(monkeypatch, word)
  assert end.value.code == 0
  lines = capsys.readouterr().out.splitlines()
  listed = [line.split()[0] for line in lines if line.startswith("  ")]
  assert listed == main.names()
  purpose = render.__doc__.splitlines()[0]
  [shown] = [line for line in lines if line.startswith("  render ")]
  assert shown.endswith(purpose)


def test_a_tool_gets_the_words_after_its_name(monkeypatch):
  seen = []
  monkeypatch.setattr(render.TOOL, "run", seen.append)
  _call(monkeypatch, "render", "--what=sets", "--fps=2")
  assert seen == [["--what=sets", "--fps=2"]]


def test_an_unlike_name_is_refused_without_a_suggestion(monkeypatch, capsys):
  with pytest.raises(SystemExit) as end:
    _call(monkeypatch, "xyzzy")
  assert end.value.code == 2
  message = capsys.readouterr().err
  assert "'xyzzy'" in message and "did you mean" not in message
  assert "train" in message


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
