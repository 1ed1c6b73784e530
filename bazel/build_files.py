"""Import rules between packages, and BUILD files made from the sources.

`make build-files` writes the BUILD files of tf_ssl/, tools/ and benchmarks/;
tests/architecture_test.py checks that they are up to date and that no import
breaks the rules.
"""

import ast
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# Package of tf_ssl -> packages of tf_ssl that it may import. All may import
# `errors`.
MAY_IMPORT = {
  "api": {
    "augment",
    "dataset_bias",
    "datasets",
    "encoders",
    "evaluation",
    "export",
    "features",
    "invariance",
    "methods",
    "models",
    "ops",
    "training",
    "video",
  },
  "augment": {"ops"},
  "batches": set(),
  "comparison": {"ops", "reporting"},
  "dataset_bias": {
    "augment",
    "datasets",
    "features",
    "input_pipeline",
    "invariance",
    "models",
    "ops",
    "rendering",
    "reporting",
    "video",
  },
  "datasets": {"ops", "rendering"},
  "encoders": {"ops"},
  "evaluation": {
    "batches",
    "datasets",
    "encoders",
    "features",
    "input_pipeline",
    "models",
    "ops",
    "reporting",
  },
  "experiment": {"comparison", "ops", "reporting"},
  "export": {"encoders", "ops", "reporting"},
  "features": {"datasets", "input_pipeline", "models", "ops"},
  "input_pipeline": {
    "augment",
    "batches",
    "datasets",
    "ops",
    "rendering",
    "video",
  },
  "invariance": {
    "datasets",
    "export",
    "features",
    "input_pipeline",
    "models",
    "ops",
    "reporting",
  },
  "losses": {"ops"},
  "memory": {"ops"},
  "methods": {"batches", "encoders", "losses", "memory", "ops"},
  "models": {"encoders", "export", "ops"},
  "ops": set(),
  "rendering": {"ops"},
  "reporting": {"ops"},
  "training": {
    "augment",
    "batches",
    "datasets",
    "encoders",
    "evaluation",
    "export",
    "features",
    "input_pipeline",
    "invariance",
    "losses",
    "memory",
    "methods",
    "models",
    "ops",
    "reporting",
    "video",
  },
  "video": {"ops", "reporting"},
}

# Import root -> name in //:expect_NAME_installed, where they differ.
_DISTRIBUTIONS = {"cv2": "opencv", "google": "protobuf", "PIL": "pillow"}

# What tf_ssl/__init__.py imports. As files: their package depends on it.
_FIRST = ("//tf_ssl/ops:__init__.py", "//tf_ssl/ops:compat.py")

_HEADER = (
  "# Written by `make build-files`: sources and dependencies as found.\n"
)
_OURS = ("tf_ssl", "tools", "benchmarks")


class Import(NamedTuple):
  """One import statement.

  Attributes:
    source: path of the file, relative to the checkout.
    module: name of the module, such as tf_ssl.ops.pixels or tensorflow.
  """

  source: pathlib.PurePath
  module: str


def packages(root: pathlib.Path) -> list[str]:
  """Returns the names of the packages of tf_ssl, in order."""
  return sorted(path.parent.name for path in root.glob("tf_ssl/*/__init__.py"))


def sources(folder: pathlib.Path, *, deep: bool = True) -> list[pathlib.Path]:
  """Returns the Python files of a folder, in order."""
  return sorted(folder.rglob("*.py") if deep else folder.glob("*.py"))


def imports(root: pathlib.Path, paths: Iterable[pathlib.Path]) -> list[Import]:
  """Returns all imports of these files, including those in functions."""
  found = []
  for path in paths:
    source = path.relative_to(root)
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
      found.extend(Import(source, name) for name in _imported(node, source))
  return found


def build_files(root: pathlib.Path) -> dict[str, str]:
  """Returns the content of each generated BUILD file, by path."""
  files = {
    f"tf_ssl/{name}/BUILD": _package_build(root, name)
    for name in packages(root)
  }
  files["tf_ssl/BUILD"] = _top_build(root)
  files["tools/BUILD"] = _tools_build(root)
  files["benchmarks/BUILD"] = _benchmarks_build(root)
  return files


def _imported(node: ast.AST, source: pathlib.PurePath) -> Iterator[str]:
  if isinstance(node, ast.Import):
    yield from (alias.name for alias in node.names)
  elif isinstance(node, ast.ImportFrom):
    base = list(source.parent.parts[: len(source.parts) - node.level])
    words = (base if node.level else []) + (node.module or "").split(".")
    module = ".".join(filter(None, words))
    yield from (f"{module}.{alias.name}" for alias in node.names)


def _labels(root: pathlib.Path, paths: Iterable[pathlib.Path]) -> list[str]:
  """Returns the Bazel targets of the modules that these files import."""
  labels = set()
  for _, module in imports(root, paths):
    first, *rest = module.split(".")
    if first == "tf_ssl" and rest:
      is_file = (root / "tf_ssl" / f"{rest[0]}.py").is_file()
      labels.add(f"//tf_ssl:{rest[0]}" if is_file else f"//tf_ssl/{rest[0]}")
    elif first in _OURS:
      labels.add(f"//{first}")
    elif first not in sys.stdlib_module_names and first != "__gin__":
      name = _DISTRIBUTIONS.get(first, first)
      labels.add(f"//:expect_{name}_installed")
  return sorted(labels)


def _visibility(name: str) -> list[str]:
  users = {user for user, may in MAY_IMPORT.items() if name in may}
  return sorted(
    [f"//tf_ssl/{user}:__pkg__" for user in users]
    + [
      "//benchmarks:__pkg__",
      "//tests:__subpackages__",
      "//tf_ssl:__pkg__",
      "//tools:__pkg__",
    ]
  )


def _package_build(root: pathlib.Path, name: str) -> str:
  folder = root / "tf_ssl" / name
  paths = sources(folder)
  templates = sorted(folder.rglob("*.j2"))
  apart = {f"//tf_ssl/{name}", "//tf_ssl"}  # Itself, and the last one below.
  deps = [label for label in _labels(root, paths) if label not in apart]
  return (
    _head(["py_library"])
    + _call("package", {"default_visibility": _visibility(name)})
    + _library(
      name,
      [str(path.relative_to(folder)) for path in paths],
      [*deps, "//tf_ssl"],
      data=[str(path.relative_to(folder)) for path in templates],
    )
  )


def _top_build(root: pathlib.Path) -> str:
  text = _head(["py_library"])
  text += _call("package", {"default_visibility": ["//:__subpackages__"]})
  text += _library("tf_ssl", ["__init__.py", *_FIRST], [])
  for path in sources(root / "tf_ssl", deep=False):
    name = path.stem
    if name != "__init__":
      deps = [*_labels(root, [path]), ":tf_ssl"]
      visible = None if name == "errors" else _visibility(name)
      text += _library(name, [path.name], deps, visible)
  everything = [f"//tf_ssl/{name}" for name in packages(root)]
  return text + _library(
    "everything", [], everything, ["//tests:__subpackages__"]
  )


def _tools_build(root: pathlib.Path) -> str:
  folder = root / "tools"
  paths = [p for p in sources(folder) if p.name != "__main__.py"]
  deps = [label for label in _labels(root, paths) if label != "//tools"]
  text = (
    _HEADER
    + '\nload("//bazel:python.bzl", "py_library")\n'
    + 'load("//bazel:tool.bzl", "gin_file", "tool")\n'
    + _call(
      "package",
      {
        "default_visibility": [
          "//benchmarks:__pkg__",
          "//tests:__subpackages__",
        ]
      },
    )
    + _call("gin_file", {"name": "gin_file", "build_setting_default": ""})
    + _library("tools", [str(p.relative_to(folder)) for p in paths], deps)
  )
  for path in paths:
    code = path.read_text(encoding="utf-8")
    if "\nTOOL = " in code:
      takes = "config_folders=" in code
      text += _call("tool", {"name": path.stem, "takes_gin_files": takes})
  return text


def _benchmarks_build(root: pathlib.Path) -> str:
  folder = root / "benchmarks"
  paths = sources(folder)
  deps = [label for label in _labels(root, paths) if label != "//benchmarks"]
  text = _head(["py_binary", "py_library"] if paths else ["py_library"])
  text += _call("package", {"default_visibility": ["//tests:__subpackages__"]})
  text += _library("benchmarks", [path.name for path in paths], deps)
  for path in paths:
    if "__main__" in path.read_text(encoding="utf-8"):
      text += _call(
        "py_binary",
        {"name": path.stem, "srcs": [path.name], "deps": [":benchmarks"]},
      )
  return text


def _head(rules: list[str]) -> str:
  names = ", ".join(f'"{rule}"' for rule in rules)
  return f'{_HEADER}\nload("//bazel:python.bzl", {names})\n'


def _library(
  name: str,
  srcs: list[str],
  deps: list[str],
  visibility: list[str] | None = None,
  data: Sequence[str] = (),
) -> str:
  values = {"name": name, "srcs": srcs, "data": list(data)}
  if visibility is not None:
    values["visibility"] = visibility
  values["deps"] = sorted(deps)
  return _call("py_library", {k: v for k, v in values.items() if v != []})


def _call(function: str, arguments: Mapping[str, object]) -> str:
  """Formats a call as buildifier would."""
  lines = []
  for key, value in arguments.items():
    if isinstance(value, list) and len(value) != 1:
      items = "".join(f'        "{item}",\n' for item in value)
      lines.append(f"    {key} = [\n{items}    ],\n")
    elif isinstance(value, list):
      lines.append(f'    {key} = ["{value[0]}"],\n')
    elif isinstance(value, bool):
      lines.append(f"    {key} = {value},\n")
    else:
      lines.append(f'    {key} = "{value}",\n')
  return f"\n{function}(\n{''.join(lines)})\n"


def main() -> None:
  """Writes the BUILD files of the checkout that holds this file."""
  root = pathlib.Path(__file__).resolve().parents[1]
  for name, content in build_files(root).items():
    path = root / name
    if not path.exists() or path.read_text(encoding="utf-8") != content:
      path.write_text(content, encoding="utf-8")
      print(f"wrote {name}")


if __name__ == "__main__":
  main()
