r"""Executes the notebooks.

  .venv-notebooks/bin/python docs/notebooks/execute.py --write
  .venv-notebooks/bin/python docs/notebooks/execute.py --tiny

--write keeps the outputs in the files, without progress bars and paths of this
machine. --tiny replaces the parameters with the small ones that a notebook's
metadata name (`tf_ssl`, `tiny`), and only checks that each cell runs; it leaves
out a notebook that needs a module that is missing (`tf_ssl`, `needs`). `make
notebooks` and `make notebooks-check` do so. A notebook runs in a folder of its
own, which is removed.
"""

import argparse
import base64
import importlib.util
import io
import os
import pathlib
import re
import sys
import tempfile
import time

import nbclient
import nbformat
from PIL import Image

FOLDER = pathlib.Path(__file__).parent.resolve()
ROOT = FOLDER.parents[1]
CELL_SECONDS = 3600
LARGE = 100_000  # Characters of a PNG picture above which it becomes a JPEG.
# Of TensorFlow's start; about this machine, not about the notebook.
_NOISE = re.compile(
  r"^\d{4}-\d\d-\d\d .*|^WARNING: All log messages before absl.*"
  r"|^To enable the following instructions.*|^\s*warnings\.warn\(.*"
  r"|.*(FutureWarning|TF-TRT Warning).*|INFO:tensorflow:Assets written to.*"
  r"|Failed to import GCSFileSystem.*",
)
_BAR = re.compile(r"\d+%\|.*\||\|\s*0/\d+|it/s\]")


def execute(
  path: pathlib.Path, *, is_tiny: bool = False
) -> nbformat.NotebookNode:
  """Executes all cells of a notebook.

  Args:
    path: path of the notebook.
    is_tiny: whether the parameters are the small ones of its metadata.

  Returns:
    The notebook with its outputs.

  Raises:
    CellExecutionError: a cell has failed.
  """
  notebook = nbformat.read(path, as_version=4)
  sources = {cell.id: cell.source for cell in notebook.cells}
  if is_tiny:
    [parameters] = [
      cell
      for cell in notebook.cells
      if "parameters" in cell.metadata.get("tags", ())
    ]
    for name, value in notebook.metadata.tf_ssl.tiny.items():
      parameters.source += f"\n{name} = {value!r}"
  with tempfile.TemporaryDirectory() as folder:
    _install_command(pathlib.Path(folder) / "bin")
    work = pathlib.Path(folder) / "work"
    work.mkdir()
    nbclient.NotebookClient(
      notebook,
      timeout=CELL_SECONDS,
      resources={"metadata": {"path": str(work)}},
    ).execute()
    for cell in notebook.cells:
      cell.source = sources[cell.id]
      if cell.cell_type == "code":
        cell.metadata.pop("execution", None)
        cell.outputs = [
          output
          for output in (_cleaned(one, str(work)) for one in cell.outputs)
          if output is not None
        ]
  return notebook


def _missing(path: pathlib.Path) -> str | None:
  """Returns the module that a notebook needs if it is missing, else None."""
  needed = nbformat.read(path, as_version=4).metadata.tf_ssl.get("needs")
  if needed is None or importlib.util.find_spec(needed):
    return None
  return needed


def _install_command(folder: pathlib.Path) -> None:
  """Makes the checkout importable, and `tf-ssl` a command of it."""
  folder.mkdir()
  command = folder / "tf-ssl"
  command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tools "$@"\n')
  command.chmod(0o755)
  os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
  os.environ["PYTHONPATH"] = str(ROOT)


def _cleaned(output, work: str):
  """Returns an output without what is of this machine; None if nothing is left.

  Args:
    output: an output of a cell.
    work: folder in which the notebook ran.
  """
  if output.output_type == "stream":
    lines = [
      line.rpartition("\r")[2]
      for line in output.text.replace("\r\n", "\n").split("\n")
    ]
    lines = [
      line for line in lines if not _NOISE.match(line) and not _BAR.search(line)
    ]
    output.text = "\n".join(lines).replace(f"{work}/", "").replace(work, ".")
    return output if output.text.strip() else None
  data = output.get("data", {})
  if "application/javascript" in data:  # Loads scripts of Apache Beam.
    return None
  for kind, value in data.items():
    if kind.startswith("text/"):
      data[kind] = value.replace(f"{work}/", "").replace(work, ".")
  if len(data.get("image/png", "")) > LARGE:
    data["image/jpeg"] = _jpeg(data.pop("image/png"))
  return output


def _jpeg(png: str) -> str:
  """Returns a PNG picture as a JPEG picture; both in base64."""
  file = io.BytesIO()
  picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
  picture.save(file, format="jpeg", quality=80, optimize=True)
  return base64.b64encode(file.getvalue()).decode() + "\n"


def main() -> None:
  """Runs the command."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("names", nargs="*", help="such as 01_your_pictures")
  parser.add_argument("--tiny", action="store_true")
  parser.add_argument("--write", action="store_true")
  given = parser.parse_args()
  if given.tiny and given.write:
    parser.error("--write keeps outputs of full runs: leave --tiny out")
  paths = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
  for name in given.names:
    if name not in paths:
      parser.error(f"{name}: expected one of {', '.join(paths)}")
  for path in [paths[name] for name in given.names or paths]:
    missing = _missing(path)
    if missing and given.tiny:
      print(f"{path.name}: not executed, because {missing} is missing")
      continue
    began = time.monotonic()
    notebook = execute(path, is_tiny=given.tiny)
    if given.write:
      nbformat.write(notebook, path)
    print(f"{path.name}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
  main()
