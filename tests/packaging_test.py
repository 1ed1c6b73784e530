"""What `pip install .` leaves, and that the lock file is whole."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging import requirements, utils


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


def _locked(repository):
  lines = (repository / "requirements.lock").read_text().splitlines()
  return dict(line.split("==") for line in lines)


def test_the_lock_pins_everything_and_names_no_index(repository):
  text = (repository / "requirements.lock").read_text()
  assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", x) for x in text.splitlines())


def test_the_lock_lies_within_the_ranges(repository):
  project = tomllib.loads((repository / "pyproject.toml").read_text())
  extras = project["project"]["optional-dependencies"]
  locked = _locked(repository)
  for line in project["project"]["dependencies"] + extras["test"]:
    wanted = requirements.Requirement(line)
    assert wanted.specifier.contains(locked[wanted.name]), line
  gpu = requirements.Requirement(extras["gpu"][0])
  assert gpu.specifier.contains(locked["tensorflow"])


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
  for name, version in _locked(repository).items():
    assert installed.get(utils.canonicalize_name(name)) == version, name


def test_make_installs_only_what_is_missing_interrupted_or_stale(
  repository, tmp_path
):
  shutil.copy(repository / "Makefile", tmp_path)
  lock = tmp_path / "requirements.lock"
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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
