"""The command reference, made from what each tool prints with --help."""

import contextlib
import importlib
import io
import logging
import re

from docs._generate import sources
from tools import main
from tools._cli import cli


def page() -> str:
  """Returns Markdown: a section for each tool, with its purpose and flags."""
  return "\n\n".join(_section(name, help_of(name)) for name in main.names())


def tool(name: str) -> cli.Tool:
  """Returns the command line of a tool; does not import TensorFlow."""
  return importlib.import_module(f"tools.{name}").TOOL


def help_of(name: str) -> str:
  """Returns what `python -m tools.NAME --help` prints."""
  logging.disable(logging.INFO)  # A line of absl's for each tool.
  try:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      tool(name).call(["--help"])
  finally:
    logging.disable(logging.NOTSET)
  return printed.getvalue()


def _section(name: str, text: str) -> str:
  purpose, *flags = re.split(r"\n  (?=--)", text)
  lines = [f"## {name}", "", _escaped(sources.unwrapped(purpose)), ""]
  for each in flags:
    flag, _, meaning = each.partition("\n")
    if flag != "--help":
      lines += [f"`{flag}`", f": {_escaped(sources.unwrapped(meaning))}", ""]
  return "\n".join(lines).rstrip()


def _escaped(text: str) -> str:
  """Text without the characters that Markdown would read as its own."""
  return re.sub(r"([*_<>\[\]$`])", r"\\\1", text)
