"""Finds, lists and reads gin files."""

import difflib
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import gin

from tf_ssl import errors

from . import gin_checks, gin_errors

# The folder that holds gin_configs/: the checkout, or the installed package.
_ROOT = pathlib.Path(__file__).parents[2]
_CONFIGS = "gin_configs"
_IMPORT = re.compile(r"^(?:import|from)\s.+$", re.MULTILINE)


def load(files: Sequence[str], bindings: Sequence[str]) -> None:
  """Reads gin files, then single bindings, and checks the whole.

  Args:
    files: paths relative to the working directory, else to the checkout.
    bindings: such as `STEPS=100`; they may use every name that the files
      import.

  Raises:
    errors.UsageError: a file is missing, does not parse, or names something
      that does not exist; a required macro is not set; a value has a type that
      its function does not take.
  """
  paths = [find(name) for name in files]
  # Gin's second reader looks into installed packages and logs an error for each
  # path that it does not find there.
  gin.config._FILE_READERS[:] = [(open, os.path.isfile)]
  for root in _roots():
    gin.add_config_file_search_path(str(root))
  texts = []
  for path in paths:
    with gin_errors.explained(f"--gin_file={path}"):
      texts.extend(_texts(gin.parse_config_file(str(path))))
  imports = "\n".join(dict.fromkeys(_IMPORT.findall("\n".join(texts))))
  for binding in bindings:
    with gin_errors.explained(f"--gin_bindings={binding}"):
      gin.parse_config(f"{imports}\n{binding}\n")
  gin_checks.check_macros_are_used(texts)
  gin_checks.check_required_are_set()
  gin_checks.check_types()
  # No gin.finalize(): it locks gin, and tf-models-official, which is imported
  # where it is first needed, registers functions of its own.


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
  """Returns `function` with its parameters bound as the gin files say."""
  try:
    bound = gin.get_configurable(function)
  except ValueError:
    raise errors.UsageError(
      "--gin_file: the given files set nothing of "
      f"{function.__module__}.{function.__name__}: they are meant for "
      "another tool (--list prints those for this one)"
    ) from None
  return gin_errors.with_missing_arguments_named(bound, function.__name__)


def find(name: str) -> pathlib.Path:
  """Returns the path of a gin file; a missing one raises UsageError."""
  candidates = [pathlib.Path(name), *(root / name for root in _roots())]
  for path in candidates:
    if path.is_file():
      return path
  reason = "is a folder" if candidates[0].is_dir() else "no such file"
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


def _purpose(path: pathlib.Path) -> str:
  for line in path.read_text(encoding="utf-8").splitlines():
    if line.startswith("#"):
      return line.lstrip("# ").rstrip()
  return ""


def _roots() -> list[pathlib.Path]:
  # Set by `bazel run`: the checkout, of which _ROOT then is a copy.
  checkout = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
  return [pathlib.Path(checkout), _ROOT] if checkout else [_ROOT]


def _texts(parsed: gin.config.ParsedConfigFileIncludesAndImports):
  """Yields the text of a parsed file and of all that it includes."""
  yield _read(parsed.filename)
  for included in parsed.includes:
    yield from _texts(included)


def _read(name: str) -> str:
  return find(name).read_text(encoding="utf-8")


def _suggestion(name: str) -> str:
  known = {
    str(path.relative_to(_ROOT)): path.stem
    for path in (_ROOT / _CONFIGS).rglob("*.gin")
  }
  stem = pathlib.Path(name).stem
  close = difflib.get_close_matches(stem, known.values(), n=2, cutoff=0.6)
  paths = [path for path, stem in known.items() if stem in close]
  return f"; did you mean {' or '.join(paths)}?" if paths else ""
