"""Every command in the documents is one that its tool accepts.

A tool parses the flags and reads the gin files and bindings, with all of its
checks, and stops before its work.
"""

import importlib.util
import re
import sys

import gin
import pytest

from docs._generate import commands
from tests.docs import documents_reference as documents
from tf_ssl import errors
from tools import main

_ELSEWHERE = (
  "source",
  "tensorboard",
  "pip",
  "git",
  "bazel",
  "docker",
)
# Modules of other projects, whose flags are theirs.
_FOREIGN = ("pip", "twine", "pytest")


def _found(repository):
  return [c for p in documents.paths(repository) for c in documents.commands(p)]


def _accept(tool, words, monkeypatch):
  """Runs a tool up to its work; bad input raises UsageError."""
  reached = []
  monkeypatch.setattr(tool, "_main", reached.append)
  gin.clear_config()
  try:
    tool.call(words)
  finally:
    gin.clear_config()
  if "--list" not in words and "--help" not in words:
    assert reached, "the tool has not come to its work"
  if tool.name == "launch" and reached:
    _accept_part(commands.tool("train"), reached[0].rest, monkeypatch)


def _completed(tool, words):
  """Words of a part of a command, with what a reader has to add."""
  config = "--gin_file=gin_configs/pretrain/moco_v2_folder.gin"
  words = [config if word == "--gin_file=..." else word for word in words]
  words = [word for word in words if word != "..."]
  given = {word.split("=")[0].removeprefix("--") for word in words}
  missing = set(tool._required) - given
  return [*(f"--{name}=x" for name in sorted(missing)), *words]


def _accept_part(tool, words, monkeypatch):
  """As `_accept`, of a command from which required macros are left out."""
  if not words:
    return
  words = _completed(tool, words)
  for _ in range(9):
    try:
      return _accept(tool, words, monkeypatch)
    except errors.UsageError as error:
      macro = re.match(r"(\w+) must be set", str(error))
      if not macro:
        raise
      words.append(f"--gin_bindings={macro[1]}='x'")


def _is_of_a_tool(words):
  module = words[:2] == ("python", "-m") and words[2].startswith("tools.")
  return module or words[0] == "tf-ssl"


def _name_and_words(words):
  if words[0] == "tf-ssl":
    return words[1], words[2:]
  return words[2].removeprefix("tools."), words[3:]


@pytest.mark.timeout(1200)  # Some 200 commands; CPU time is half a minute.
def test_every_command_of_a_tool_is_accepted(
  repository, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  wrong, number = [], 0
  for path in documents.paths(repository):
    if path.suffix == ".md":
      for name, text in documents.files(path).items():
        (tmp_path / name).write_text(text)
    for command in filter(
      lambda each: _is_of_a_tool(each.words), documents.commands(path)
    ):
      name, words = _name_and_words(command.words)
      if name in ("NAME", "COMMAND", "..."):
        continue
      number += 1
      try:
        assert name in main.names(), f"no tool {name}"
        accept = _accept if command.is_whole else _accept_part
        accept(commands.tool(name), words, monkeypatch)
      except Exception as error:
        wrong.append(f"{command}\n    {type(error).__name__}: {error}")
  assert not wrong, "\n".join(wrong)
  assert number > 150


def test_every_other_command_names_something_that_exists(repository):
  makefile = (repository / "Makefile").read_text()
  wrong = []
  for command in _found(repository):
    program, *rest = command.words
    if _is_of_a_tool(command.words) or program in _ELSEWHERE:
      continue
    if program == "make":
      targets = [word for word in rest if "=" not in word]
      exists = all(
        re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets
      )
    elif program.endswith("python") and rest[0] == "-c":
      exists = bool(compile(rest[1], str(command.document), "exec"))
    elif program.endswith("python") and rest[0] == "-m":
      exists = _is_module(repository, rest[1], rest[2:])
    else:
      exists = (repository / program).is_file()
    if not exists:
      wrong.append(str(command))
  assert not wrong, "\n".join(wrong)


def _is_module(repository, name, words):
  """Whether a module exists, and it or one it imports names these flags."""
  if name.startswith("benchmarks."):
    path = repository / f"{name.replace('.', '/')}.py"
    if name == "benchmarks.NAME":
      return True
    if not path.is_file():
      return False
    text = path.read_text()
    for line in re.findall(r"^from benchmarks import ([\w, ]+)", text, re.M):
      for other in line.split(","):
        other = other.split()[0]  # Without " as NAME".
        text += (repository / "benchmarks" / f"{other}.py").read_text()
    flags = [word.split("=")[0] for word in words if word.startswith("--")]
    return all(re.search(rf'["\']{flag}["\']', text) for flag in flags)
  return name in _FOREIGN or bool(importlib.util.find_spec(name))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
