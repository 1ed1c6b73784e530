"""Builds the sdist from the checkout, and the wheel from the sdist.

`make dist` calls it; release/try_distributions tries both files.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_BUILD_SDIST = (
  "import sys; from setuptools import build_meta; "
  "build_meta.build_sdist(sys.argv[1])"
)


class Distributions(NamedTuple):
  """What is uploaded for a version.

  Attributes:
    sdist: path of the .tar.gz file.
    wheel: path of the .whl file, which was built from `sdist`.
  """

  sdist: pathlib.Path
  wheel: pathlib.Path


def build(output: pathlib.Path, root: pathlib.Path = _ROOT) -> Distributions:
  """Builds both files with the build tools of this Python.

  It builds in a copy, as setuptools leaves folders beside the sources.

  Args:
    output: path of a folder; its earlier distributions of tf_ssl are removed.
    root: path of the checkout.

  Raises:
    subprocess.CalledProcessError: a build failed, and has said why.
  """
  output = output.absolute()
  output.mkdir(parents=True, exist_ok=True)
  for old in output.glob("tf_ssl-*"):
    old.unlink()
  with tempfile.TemporaryDirectory() as copy:
    for name in sources(root):
      path = pathlib.Path(copy, name)
      path.parent.mkdir(parents=True, exist_ok=True)
      shutil.copy(root / name, path)
    command = [sys.executable, "-c", _BUILD_SDIST, str(output)]
    subprocess.run(command, cwd=copy, check=True, stdout=subprocess.DEVNULL)
  [sdist] = output.glob("tf_ssl-*.tar.gz")
  wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
  wheel += ["--no-build-isolation", "--disable-pip-version-check"]
  wheel += ["--wheel-dir", str(output), str(sdist)]
  subprocess.run(wheel, check=True)
  [wheel] = output.glob("tf_ssl-*.whl")
  return Distributions(sdist, wheel)


def sources(root: pathlib.Path) -> list[str]:
  """Names of the files that git does not ignore; without git, of all.

  Args:
    root: path of the checkout.
  """
  command = ["git", "ls-files", "-z", "--cached", "--others"]
  try:
    done = subprocess.run(
      [*command, "--exclude-standard"],
      cwd=root,
      capture_output=True,
      check=True,
      text=True,
    )
    names = done.stdout.split("\0")
  except (OSError, subprocess.CalledProcessError):
    names = [
      str(path.relative_to(root))
      for folder in ("tf_ssl", "tools", "gin_configs", "requirements", ".")
      for path in root.glob("*" if folder == "." else f"{folder}/**/*")
      if "__pycache__" not in path.parts
    ]
  return [name for name in names if (root / name).is_file()]


def main(arguments: list[str] | None = None) -> None:
  """Builds into --output and names the files."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--output", type=pathlib.Path, default=_ROOT / "dist")
  for path in build(parser.parse_args(arguments).output):
    print(path)


if __name__ == "__main__":
  main()
