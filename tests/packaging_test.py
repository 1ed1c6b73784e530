"""What `pip install .` leaves, and that the lock file is whole."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging import requirements, specifiers, utils


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
  """A wheel of a copy of the checkout, built without network."""
  copy = tmp_path_factory.mktemp("copy")
  for name in ("tf_ssl", "tools", "gin_configs"):
    shutil.copytree(
      repository / name,
      copy / name,
      ignore=shutil.ignore_patterns("__pycache__"),
    )
  shutil.copy(repository / "pyproject.toml", copy)
  shutil.copy(repository / "LICENSE", copy)
  (copy / "README.md").write_text("See the project.\n")
  build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
  build += ["--no-build-isolation", "--disable-pip-version-check", "-w"]
  subprocess.run([*build, str(copy / "dist"), str(copy)], check=True)
  return next((copy / "dist").glob("*.whl"))


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
  assert names == {_lock(repository, version).name for version in _VERSIONS}


@pytest.mark.parametrize("version", _VERSIONS)
def test_the_lock_pins_everything_and_names_no_index(repository, version):
  text = _lock(repository, version).read_text()
  assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", x) for x in text.splitlines())


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
