"""Finds, lists and reads gin files."""

import difflib
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import gin
from gin import config_parser

from tf_ssl import errors
from tf_ssl.ops import encodings, names

from . import (
  gin_checks,
  gin_errors,
  gin_statements,
  old_names,
  untrusted_configs,
)

# Folder with gin_configs/: the checkout, or the installed package.
_ROOT = pathlib.Path(__file__).parents[2]
_CONFIGS = "gin_configs"
_DYNAMIC = "dynamic_registration"


def load(
  files: Sequence[str], bindings: Sequence[str], *, of_run: bool = False
) -> None:
  """Reads gin files, then single bindings, and checks them together.

  Args:
    files: paths relative to the working directory, else to the checkout.
    bindings: lines such as `STEPS=100`; they may use every name that the files
      import.
    of_run: whether the files are the config of an earlier run: settings that no
      longer exist are ignored, and only functions of tf_ssl are called.

  Raises:
    errors.UsageError: a file is missing, does not parse, or names something
      that does not exist; a required macro is not set; a value has a type that
      its function does not take; the config of a run names other code.
  """
  reader = _Reader(of_run)
  for path in [find(name) for name in files]:
    reader.read_file(path, f"--gin_file={path}")
  imports = [
    gin_statements.format_import(module, name)
    for name, module in reader.imports.items()
  ]
  if reader.registers_dynamically:
    imports.insert(0, f"from __gin__ import {_DYNAMIC}")
  header = "\n".join(imports)
  for binding in bindings:
    reader.read_text(f"{header}\n{binding}\n", f"--gin_bindings={binding}")
  gin_checks.check(reader.bindings, of_run=of_run)
  # No gin.finalize(): it locks gin, and tf-models-official, which is imported
  # where it is first needed, registers functions of its own.


class _Reader:
  """Gives files to gin, and keeps their bindings and imports."""

  def __init__(self, of_run: bool):
    self.bindings: list[gin_statements.Binding] = []
    self.imports: dict[str, str] = {}
    self.registers_dynamically = False
    self._of_run = of_run

  def read_file(self, path: pathlib.Path, source: str) -> None:
    with gin_errors.explained(source, path=path):
      self._read(_text(path), source, path)

  def read_text(self, text: str, source: str) -> None:
    errors.require(
      text.encode(errors="replace") == text.encode(errors="surrogatepass"),
      f"{names.escaped(source)}: expected UTF-8; rename the file or folder, or"
      " reach it through a link",
    )
    with gin_errors.explained(source, imported=self.imports):
      self._read(text, source, None)

  def _read(self, text: str, source: str, path: pathlib.Path | None):
    text = old_names.translate(text, str(path or source), of_run=self._of_run)
    statements = gin_statements.parse(text)
    if self._of_run:
      untrusted_configs.check(statements, str(path or source), _ROOT / _CONFIGS)
    imports = gin_statements.imported_names(statements)
    self.imports.update(imports)
    self.registers_dynamically |= any(
      getattr(each, "module", "") == f"__gin__.{_DYNAMIC}"
      for each in statements
    )
    for piece in gin_statements.pieces(text, statements):
      if isinstance(piece, config_parser.IncludeStatement):
        place = f"{path or source}:{piece.location.line_num}"
        self.read_file(find(piece.filename, place), source)
      else:
        gin.parse_config(piece.text)
        self.bindings.extend(gin_statements.bindings(piece.statements, imports))


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
  """Returns `function` with its parameters bound by the gin files.

  What a binding refers to is made in each call, also where the caller gives the
  parameter by keyword; only by position it is not.
  """
  try:
    bound = gin.get_configurable(function)
  except ValueError:
    raise errors.UsageError(
      "--gin_file: the given files set nothing of "
      f"{function.__module__}.{function.__name__}: they are meant for "
      "another tool (--list prints those for this one)"
    ) from None
  return gin_errors.with_missing_arguments_named(bound, function.__name__)


def find(name: str, place: str | None = None) -> pathlib.Path:
  """Finds a gin file.

  Args:
    name: path relative to the working directory, else to the checkout.
    place: file and line that include it; None for a flag.

  Raises:
    errors.UsageError: there is no such file.
  """
  # `bazel run` sets the checkout, of which _ROOT is then a copy.
  checkout = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
  roots = [pathlib.Path(checkout), _ROOT] if checkout else [_ROOT]
  for path in [pathlib.Path(name), *(root / name for root in roots)]:
    if path.is_file():
      return path
  if place:
    raise errors.UsageError(f"{place}: no such file: {name}")
  reason = "is a folder" if os.path.isdir(name) else "no such file"
  raise errors.UsageError(
    f"--gin_file={name}: {reason}{_suggestion(name)} (--list prints all)"
  )


def print_list(folders: Sequence[str]) -> None:
  """Prints the configs of these folders, each with its one-line purpose."""
  listing = [
    (str(path.relative_to(_ROOT)), _purpose(path))
    for folder in folders
    for path in sorted((_ROOT / _CONFIGS / folder).rglob("*.gin"))
  ]
  width = max((len(path) for path, _ in listing), default=0)
  for path, purpose in listing:
    print(f"{path:{width}}  {purpose}")


def _text(path: pathlib.Path) -> str:
  try:
    with open(path, encoding=encodings.of(path)) as file:
      return file.read()
  except (OSError, UnicodeError) as error:
    reason = getattr(error, "strerror", None) or "it is not UTF-8"
    raise errors.UsageError(
      f"{path}: cannot be read ({reason}); expected a gin file, text in UTF-8"
    ) from error


def _purpose(path: pathlib.Path) -> str:
  for line in path.read_text(encoding="utf-8").splitlines():
    if line.startswith("#"):
      return line.lstrip("# ").rstrip()
  return ""


def _suggestion(name: str) -> str:
  known = {
    str(path.relative_to(_ROOT)): path.stem
    for path in (_ROOT / _CONFIGS).rglob("*.gin")
  }
  stem = pathlib.Path(name).stem
  close = difflib.get_close_matches(stem, known.values(), n=2, cutoff=0.6)
  paths = [path for path, stem in known.items() if stem in close]
  return f"; did you mean {' or '.join(paths)}?" if paths else ""
