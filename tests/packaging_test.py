"""What a release holds, and that the lock files are whole."""

import ast
import email
import importlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
import yaml
from packaging import requirements, specifiers, utils

import tf_ssl
from release import distributions


@pytest.fixture(scope="module", name="built")
def fixture_built(repository, tmp_path_factory):
  """The sdist and the wheel of the checkout, built without network."""
  output = tmp_path_factory.mktemp("dist")
  (output / "tf_ssl-0.0.1.tar.gz").touch()  # An earlier version is replaced.
  return distributions.build(output, repository)


@pytest.fixture(scope="module", name="wheel")
def fixture_wheel(built):
  return built.wheel


def _metadata(wheel):
  with zipfile.ZipFile(wheel) as archive:
    [name] = [n for n in archive.namelist() if n.endswith("/METADATA")]
    return email.message_from_bytes(archive.read(name))


def _project(repository):
  text = (repository / "pyproject.toml").read_text()
  return tomllib.loads(text)["project"]


def test_the_files_of_a_version_are_named_after_it(built, repository):
  version = _project(repository)["version"]
  assert built.sdist.name == f"tf_ssl-{version}.tar.gz"
  assert built.wheel.name == f"tf_ssl-{version}-py3-none-any.whl"
  assert set(built.sdist.parent.iterdir()) == set(built)


def test_building_leaves_nothing_in_the_checkout(built, repository):
  assert built.sdist.exists()
  assert not list(repository.glob("*.egg-info"))


def test_the_sdist_has_what_a_packager_needs(built):
  with tarfile.open(built.sdist) as archive:
    names = {name.partition("/")[2] for name in archive.getnames()}
  assert {
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements/py313.lock",
    "tools/train.py",
    "tf_ssl/py.typed",
  } <= names
  assert not [name for name in names if "__pycache__" in name]


def test_the_metadata_have_license_links_and_kinds_of_users(wheel):
  metadata = _metadata(wheel)
  assert metadata["License-Expression"] == "Apache-2.0"
  assert metadata["License-File"] == "LICENSE"
  assert "https://arxiv.org/abs/2007.13916" in metadata["Project-URL"]
  kinds = metadata.get_all("Classifier")
  assert "Typing :: Typed" in kinds
  pythons = {kind.split(" :: ")[-1] for kind in kinds if "Python :: 3." in kind}
  assert pythons == set(_VERSIONS)
  assert "self-supervised-learning" in metadata["Keywords"].split(",")


def test_type_checkers_see_the_public_names(wheel, repository):
  names = set(zipfile.ZipFile(wheel).namelist())
  assert {"tf_ssl/py.typed", "tf_ssl/__init__.pyi"} <= names
  stub = ast.parse((repository / "tf_ssl" / "__init__.pyi").read_text())
  imported = {
    alias.asname: f"{node.module}.{alias.name}"
    for node in stub.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
  }
  assert set(imported) == set(tf_ssl.__all__)
  for name, origin in imported.items():
    module, _, attribute = origin.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    assert getattr(tf_ssl, name) is found


def test_the_version_is_that_of_the_changelog_and_the_citation(repository):
  version = _project(repository)["version"]
  text = (repository / "CHANGELOG.md").read_text()
  first, *_ = re.findall(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", text, re.M)
  citation = yaml.safe_load((repository / "CITATION.cff").read_text())
  released = citation["date-released"].isoformat()
  assert (version, released) == (citation["version"], first[1])
  assert first[0] == version


def test_the_changelog_has_the_groups_of_keep_a_changelog(repository):
  text = (repository / "CHANGELOG.md").read_text()
  groups = "Added|Changed|Deprecated|Removed|Fixed|Security"
  version, group, entries = None, None, {}
  for line in text.splitlines():
    if line.startswith("## "):
      version, group = line, None
      assert re.fullmatch(r"## (Unreleased|[\d.]+ - [\d-]{10})", line), line
    elif line.startswith("### "):
      group = line
      assert re.fullmatch(f"### ({groups})", line), line
      assert (version, group) not in entries, f"{line} twice in {version}"
      entries[version, group] = 0
    elif line.startswith("- "):
      assert version and group, line
      entries[version, group] += 1
  assert entries and all(entries.values())


def test_no_top_level_tools_module_is_installed(wheel):
  names = zipfile.ZipFile(wheel).namelist()
  roots = {name.split("/")[0] for name in names}
  assert {root for root in roots if "dist-info" not in root} == {"tf_ssl"}
  assert "tf_ssl/tools/train.py" in names


def test_gin_files_are_installed(wheel, repository):
  names = set(zipfile.ZipFile(wheel).namelist())
  for path in repository.glob("gin_configs/**/*.gin"):
    assert f"tf_ssl/{path.relative_to(repository)}" in names


def test_templates_are_installed(wheel, repository):
  names = set(zipfile.ZipFile(wheel).namelist())
  paths = list(repository.glob("tf_ssl/**/*.j2"))
  assert paths
  assert {str(path.relative_to(repository)) for path in paths} <= names


def test_the_console_command_lists_the_installed_configs(wheel, tmp_path):
  zipfile.ZipFile(wheel).extractall(tmp_path)
  entry_points = next(tmp_path.glob("*.dist-info/entry_points.txt"))
  assert "tf-ssl = tf_ssl.tools.main:run" in entry_points.read_text()
  configs = tmp_path / "tf_ssl/gin_configs/pretrain"
  configs.mkdir(parents=True, exist_ok=True)
  (configs / "extra.gin").write_text("# One more.\n")
  code = "import sys; sys.argv = ['tf-ssl', 'train', '--list']; "
  code += "from tf_ssl.tools import main; main.run()"
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tmp_path,
    env={"PYTHONPATH": str(tmp_path)},
    capture_output=True,
    text=True,
  )
  assert re.search(r"pretrain/extra.gin +One more\.", done.stdout), done.stderr


_VERSIONS = ("3.11", "3.12", "3.13")
_HERE = ".".join(str(part) for part in sys.version_info[:2])


def _lock(repository, version):
  return repository / f"requirements/py{version.replace('.', '')}.lock"


def _locked(repository, version):
  lines = _lock(repository, version).read_text().splitlines()
  return dict(line.split("==") for line in lines)


def test_each_python_has_a_lock(repository):
  project = tomllib.loads((repository / "pyproject.toml").read_text())
  wanted = specifiers.SpecifierSet(project["project"]["requires-python"])
  assert _VERSIONS == tuple(
    version for minor in range(30) if (version := f"3.{minor}") in wanted
  )
  names = {path.name for path in (repository / "requirements").iterdir()}
  of_versions = {_lock(repository, version).name for version in _VERSIONS}
  assert names == {*of_versions, "docs.lock", "notebooks.lock"}


@pytest.mark.parametrize(
  "name", ["py311", "py312", "py313", "docs", "notebooks"]
)
def test_the_lock_pins_everything_and_names_no_index(repository, name):
  text = (repository / f"requirements/{name}.lock").read_text()
  assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", x) for x in text.splitlines())


@pytest.mark.parametrize("group", ["docs", "notebooks"])
def test_the_lock_of_a_group_lies_within_its_ranges(repository, group):
  project = tomllib.loads((repository / "pyproject.toml").read_text())
  lines = (repository / f"requirements/{group}.lock").read_text().splitlines()
  locked = dict(line.split("==") for line in lines)
  for line in project["dependency-groups"][group]:
    wanted = requirements.Requirement(line)
    assert wanted.specifier.contains(locked[wanted.name]), line
  assert "tensorflow" not in locked


@pytest.mark.parametrize("version", _VERSIONS)
def test_the_lock_lies_within_the_ranges(repository, version):
  project = tomllib.loads((repository / "pyproject.toml").read_text())
  extras = project["project"]["optional-dependencies"]
  locked = _locked(repository, version)
  wanted = [
    requirement
    for line in project["project"]["dependencies"]
    + extras["test"]
    + extras["gpu"]
    if (requirement := requirements.Requirement(line)).marker is None
    or requirement.marker.evaluate({"python_version": version})
  ]
  assert "tensorflow" in [requirement.name for requirement in wanted]
  for requirement in wanted:
    assert requirement.specifier.contains(locked[requirement.name]), requirement


def test_what_is_installed_here_is_what_the_lock_says(repository):
  done = subprocess.run(
    [sys.executable, "-m", "pip", "list", "--format=json"],
    capture_output=True,
    check=True,
  )
  installed = {
    utils.canonicalize_name(package["name"]): package["version"]
    for package in json.loads(done.stdout)
  }
  for name, version in _locked(repository, _HERE).items():
    assert installed.get(utils.canonicalize_name(name)) == version, name


def test_make_installs_only_what_is_missing_interrupted_or_stale(
  repository, tmp_path
):
  shutil.copy(repository / "Makefile", tmp_path)
  lock = _lock(tmp_path, _HERE)
  lock.parent.mkdir()
  lock.write_text("absl-py==1.4.0\n")

  def plan():
    make = ["make", "-n", "test", f"PYTHON={sys.executable}"]
    done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True)
    return done.stdout

  missing = plan()
  assert "pip install" in missing
  (tmp_path / ".venv/bin").mkdir(parents=True)
  assert "pip install" in plan()  # Interrupted: no stamp.
  stamp = re.search(r"touch (\.venv/\S+)", missing)[1]
  (tmp_path / stamp).touch()
  assert "pip install" not in plan()
  assert "pytest" in plan()
  lock.write_text("absl-py==1.4.1\n")
  assert "pip install" in plan()


def test_make_takes_the_first_python_that_will_do(repository, tmp_path):
  shutil.copy(repository / "Makefile", tmp_path)
  for name, version in {"python3": "9", "python3.12": "13"}.items():
    script = tmp_path / "bin" / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(
      f"""#!/bin/sh
exec {sys.executable} -c "import sys
sys.version_info = (3, {version}, 0)
exec(sys.argv[1])" "$2"
"""
    )
    script.chmod(0o755)

  def plan(*arguments):
    return subprocess.run(
      ["make", "-n", "test", *arguments],
      cwd=tmp_path,
      env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
      capture_output=True,
      text=True,
    ).stdout

  assert "bin/python3.12 -m venv" in plan()
  assert "requirements/py313.lock" in plan()
  assert f"{sys.executable} -m venv" in plan(f"PYTHON={sys.executable}")


def test_make_says_which_pythons_will_do(repository, tmp_path):
  shutil.copy(repository / "Makefile", tmp_path)
  done = subprocess.run(
    ["make", "test", "PYTHON=/nowhere/python"],
    cwd=tmp_path,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2
  assert "3.11, 3.12 or 3.13" in done.stderr


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
