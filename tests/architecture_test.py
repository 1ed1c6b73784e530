"""Tests of the import rules, BUILD files, package list and slow marks."""

import pathlib
import re
import sys
import tomllib

import pytest

from bazel import architecture_picture, build_files

_GIN_AND_FLAGS = ("gin", "absl.flags", "absl.app")
# No longer developed: one module each imports them, so that a newer TensorFlow
# changes few files.
_ENCLOSED = {
  "tensorflow_addons": "tf_ssl/methods/supervised_metric.py",
  "tensorflow_io": "tf_ssl/video/",
}


def _imports(repository: pathlib.Path, *folders: str):
  paths = [p for f in folders for p in build_files.sources(repository / f)]
  return build_files.imports(repository, paths)


def _is_in(module: str, names) -> bool:
  return any(module == name or module.startswith(name + ".") for name in names)


def test_every_package_has_import_rules(repository):
  unknown = set(build_files.packages(repository)) - set(build_files.MAY_IMPORT)
  assert not unknown, f"add {unknown} to MAY_IMPORT in bazel/build_files.py"


def test_the_import_rules_have_no_cycle():
  done, waiting = set(), dict(build_files.MAY_IMPORT)
  while waiting:
    ready = {name for name, may in waiting.items() if may <= done}
    assert ready, f"a cycle among {sorted(waiting)}"
    done |= ready
    waiting = {k: v for k, v in waiting.items() if k not in ready}


def test_packages_import_only_what_they_may(repository):
  wrong = []
  for source, module in _imports(repository, "tf_ssl"):
    first, *rest = module.split(".")
    if first in ("tools", "benchmarks", "tests"):
      wrong.append(f"{source}: {module}")
    if first != "tf_ssl" or not rest or rest[0] == "errors":
      continue
    own = source.parts[1].removesuffix(".py")
    if own == "__init__" and ".".join(rest) == "ops.compat":
      continue  # It imports nothing of the project.
    if rest[0] not in build_files.MAY_IMPORT[own] | {own}:
      wrong.append(f"{source}: {module}")
  assert not wrong, "\n".join(wrong)


def test_evaluation_never_sees_a_method():
  assert "methods" not in build_files.MAY_IMPORT["evaluation"]


def test_gin_and_flags_stay_in_tools_and_benchmarks(repository):
  wrong = [
    f"{source}: {module}"
    for source, module in _imports(repository, "tf_ssl")
    if _is_in(module, _GIN_AND_FLAGS)
  ]
  assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(_ENCLOSED))
def test_a_discontinued_library_is_imported_in_one_module(repository, library):
  sources = {
    source.as_posix()
    for source, module in _imports(repository, "tf_ssl", "tools", "benchmarks")
    if _is_in(module, [library])
  }
  assert len(sources) <= 1, sources
  assert all(source.startswith(_ENCLOSED[library]) for source in sources)


def test_tools_import_each_other_relatively(repository):
  """`tools` exists in the checkout only: installed it is tf_ssl.tools."""
  wrong = [
    f"{source}: {module}"
    for source, module in _imports(repository, "tools")
    if module.startswith("tools.")
    and source.name != "__main__.py"
    # Relative imports come out as tools.x too: look at the text.
    and "from tools" in (repository / source).read_text()
  ]
  assert not wrong, "\n".join(wrong)


def test_build_files_are_up_to_date(repository):
  stale = [
    name
    for name, content in build_files.build_files(repository).items()
    if not (repository / name).exists()
    or (repository / name).read_text() != content
  ]
  assert not stale, f"run `make build-files`: {', '.join(stale)} out of date"


def test_no_dependency_is_listed_twice(repository):
  # Bazel refuses to build such a target.
  for name, text in build_files.build_files(repository).items():
    for listed in re.findall(r"deps = \[(.*?)\]", text, re.DOTALL):
      labels = re.findall(r'"(.+?)"', listed)
      assert len(labels) == len(set(labels)), name


def test_the_picture_of_the_architecture_is_current(repository):
  drawn = (repository / architecture_picture.PICTURE).read_text()
  assert drawn == architecture_picture.draw(repository), "run `make picture`"


def test_every_library_that_is_imported_has_a_bazel_target(repository):
  listed = (repository / "BUILD").read_text()
  for name, content in build_files.build_files(repository).items():
    for line in content.splitlines():
      if "//:expect_" in line:
        library = line.split("//:expect_")[1].split("_installed")[0]
        assert f'"{library}"' in listed, f"{name}: add {library} to //BUILD"


def test_slow_tests_are_the_same_for_pytest_and_bazel(repository):
  build = (repository / "tests" / "BUILD").read_text()
  [listed] = re.findall(r"slow = \[(.*?)\]", build, re.DOTALL)
  tests = repository / "tests"
  marked = {
    path.relative_to(tests).as_posix()
    for path in tests.rglob("*_test.py")
    if "\npytestmark = pytest.mark.slow\n" in path.read_text()
  }
  assert set(re.findall(r'"(.*?)"', listed)) == marked


def test_the_installed_package_has_every_folder(repository):
  settings = tomllib.loads((repository / "pyproject.toml").read_text())
  listed = set(settings["tool"]["setuptools"]["packages"])
  found = {
    ".".join(path.parent.relative_to(repository).parts)
    for path in (repository / "tf_ssl").rglob("__init__.py")
  }
  assert listed == found | {
    "tf_ssl.tools",
    "tf_ssl.tools._cli",
    "tf_ssl.gin_configs",
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
