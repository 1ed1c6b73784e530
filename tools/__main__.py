"""Runs `python -m tools COMMAND ...`, also for every Bazel target."""

import os
import sys

try:
  import absl  # noqa: F401
except ModuleNotFoundError:
  # Bazel takes the `python3` on PATH. If that one lacks the packages, the
  # checkout's .venv (made by `make train` or `make test`) has them.
  _PYTHON = os.path.join(
    os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), ".venv/bin/python"
  )
  if not os.path.exists(_PYTHON) or sys.executable == _PYTHON:
    sys.exit(
      f"{sys.executable} lacks the packages of requirements/: run "
      "`make venv`, then `source .venv/bin/activate`"
    )
  os.execv(_PYTHON, [_PYTHON, *sys.argv])

if __package__:
  from . import main
else:  # Bazel runs this file as a script.
  from tools import main

main.run()
