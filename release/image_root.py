"""Runs the steps of the Dockerfile without Docker, and tries the result.

If root calls it and debootstrap is installed, each stage gets a clean root of
the Debian release that the Dockerfile names; RUN steps see nothing else of this
machine but its network. Otherwise, the steps that do not change the system run
in an empty folder, with Python 3.13 of this machine; the others are named. The
first line of the output says which. Afterwards the entry point runs without
HOME, as the user of the image and as a number that has no name.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from release import distributions, dockerfile

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOBODY = "12345:12345"  # No user of the image.
# Commands that change the system: not without a root of their own.
_SYSTEM = re.compile(r"\b(apt-get|groupadd|useradd)\b")
_IMPORTS = """
import tf_ssl  # First: it chooses Keras 2.
import av, cv2, matplotlib.pyplot, onnxruntime, sklearn.svm
import tensorflow_datasets, tensorflow_hub
from official.core import base_task
print("imported beside tf_ssl", tf_ssl.__version__)
"""
_TRAINING = [
  "train",
  "--gin_file=gin_configs/pretrain/quickstart.gin",
  "--gin_bindings=settings.Pretraining.monitors = ()",
  "--gin_bindings=settings.Pretraining.steps = 2",
  "--gin_bindings=settings.Pretraining.batch_size = 32",
  "--gin_bindings=train/rendered_tracks.rendered_tracks.num_videos = 40",
]


class DebianRoots:
  """A clean Debian root for each stage, made by debootstrap.

  Attributes:
    what: one line about where the steps run.
    has_users: whether commands run as the user that they are given.
  """

  what = "each stage in a clean Debian root of debootstrap"
  has_users = True

  def __init__(self, folder: pathlib.Path, seen: Sequence[str]):
    """Makes no root yet.

    Args:
      folder: path of the folder for the roots.
      seen: paths of this machine that RUN steps see, as PATH or PATH:THERE.
    """
    self._folder = folder
    self._seen = [tuple((path.split(":") * 2)[:2]) for path in seen]

  def begin(self, stage: dockerfile.Stage) -> pathlib.Path:
    """Returns the folder of a new root for a stage.

    Raises:
      ValueError: the stage does not start from Debian.
    """
    match = re.fullmatch(r"debian:(\w+)-slim", stage.base)
    if not match:
      raise ValueError(f"FROM {stage.base}: expected debian:RELEASE-slim")
    base = self._folder / f"debian-{match[1]}"
    if not base.exists():
      partial = self._folder / "debian.partial"
      command = ["debootstrap", "--variant=minbase", match[1], str(partial)]
      subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
      partial.rename(base)
    root = self._folder / f"stage-{stage.name}"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "--archive", str(base), str(root)], check=True)
    return root

  def run(
    self,
    root: pathlib.Path,
    command: Sequence[str],
    *,
    user: str,
    folder: str,
    environment: Mapping[str, str],
  ) -> None:
    """Runs a command in a root, in mounts and processes of its own."""
    lines = ["set -e", f"cd {shlex.quote(str(root))}", "mkdir -p dev/shm"]
    for name in ("null", "zero", "random", "urandom"):
      lines += [f"touch dev/{name}", f"mount --bind /dev/{name} dev/{name}"]
    lines += ["mount -t proc proc proc", "mount -t tmpfs tmpfs dev/shm"]
    for here, there in [("/etc/resolv.conf",) * 2, *self._seen]:
      inside = shlex.quote(there.lstrip("/"))
      make = "mkdir -p" if os.path.isdir(here) else "install -D /dev/null"
      lines.append(f"[ -e {inside} ] || {make} {inside}")
      lines.append(f"mount --bind {shlex.quote(here)} {inside}")
    words = ["chroot", f"--userspec={user}", "."]
    words += ["env", "-i", *(f"{k}={v}" for k, v in environment.items())]
    words += ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder]
    lines.append(f"exec {shlex.join([*words, *command])}")
    isolated = ["unshare", "--mount", "--pid", "--fork"]
    subprocess.run([*isolated, "sh", "-c", "\n".join(lines)], check=True)

  def path(self, root: pathlib.Path, path: str) -> pathlib.Path:
    """Path on this machine of a path in a root."""
    return root / path.lstrip("/")


class OneFolder:
  """One empty folder for all stages, and this machine's Python.

  Attributes:
    what: one line about where the steps run.
    has_users: whether commands run as the user that they are given.
  """

  what = "in one folder, with this machine's Python: no clean Debian root"
  has_users = False

  def __init__(self, folder: pathlib.Path, python: str):
    """Makes Python available as `python3`.

    Args:
      folder: path of the folder.
      python: name or path of a Python of the Dockerfile's version.

    Raises:
      ValueError: there is no such Python.
    """
    self._root = folder / "root"
    self._commands = folder / "commands"
    self._commands.mkdir(parents=True)
    found = shutil.which(python)
    if found is None:
      raise ValueError(f"--python={python}: there is no such command")
    script = self._commands / "python3"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(found)} "$@"\n')
    script.chmod(0o755)

  def begin(self, stage: dockerfile.Stage) -> pathlib.Path:
    """Returns the folder, which all stages share."""
    del stage
    self._root.mkdir(exist_ok=True)
    return self._root

  def run(
    self,
    root: pathlib.Path,
    command: Sequence[str],
    *,
    user: str,
    folder: str,
    environment: Mapping[str, str],
  ) -> None:
    """Runs a command with the paths of the image moved into the folder.

    Steps for the system are named and left out, and `user` is always this one.
    """
    del user
    if any(_SYSTEM.search(word) for word in command):
      print("  left out: it changes the system")
      return
    there = {k: self._moved(v) for k, v in environment.items()}
    there["PATH"] = there["PATH"].replace(
      "/usr/local/sbin:", f"{self._commands}:/usr/local/sbin:"
    )
    place = self.path(root, folder)
    place.mkdir(parents=True, exist_ok=True)
    words = [self._moved(word) for word in command]
    executable = shutil.which(words[0], path=there["PATH"]) or words[0]
    words[0] = executable
    subprocess.run(words, check=True, cwd=place, env=there)

  def path(self, root: pathlib.Path, path: str) -> pathlib.Path:
    """Path in the folder of a path in the image."""
    return root / path.lstrip("/")

  def _moved(self, text: str) -> str:
    moved = rf"{self._root}/\1"
    return re.sub(r"(?<![\w./-])/(opt|work)(?![\w.-])", moved, text)


class Image:
  """What the last stage sets for a container.

  Attributes:
    root: path of the root's folder.
    environment: environment variables.
    user: user and group, UID:GID.
    folder: working folder.
    entry_point: words of ENTRYPOINT.
    command: words of CMD.
  """

  def __init__(self, root: pathlib.Path):
    self.root = root
    self.environment = {"PATH": _PATH}
    self.user = "0:0"
    self.folder = "/"
    self.entry_point: list[str] = []
    self.command: list[str] = []


def build(
  path: pathlib.Path,
  place: DebianRoots | OneFolder,
  arguments: Mapping[str, str],
  settings: Mapping[str, str],
) -> Image:
  """Runs all stages of a Dockerfile.

  Args:
    path: path of the Dockerfile; its folder is the context.
    place: where the steps run.
    arguments: build arguments by name.
    settings: environment variables of RUN steps that no image would keep, such
      as PIP_INDEX_URL.

  Returns:
    The last stage.

  Raises:
    ValueError: an instruction or its form is not supported.
    subprocess.CalledProcessError: a step failed.
  """
  stages, known = dockerfile.stages(path, arguments)
  roots, image = {}, None
  with _context(path.parent) as context:
    for stage in stages:
      print(f"FROM {stage.base} ({stage.name})", flush=True)
      image = Image(place.begin(stage))
      roots[stage.name] = image.root
      values = {}
      for each in stage.instructions:
        print(f"{each.line:4} {each.name} {each.value}", flush=True)
        if each.name == "ARG":
          name, default = dockerfile.argument(each)
          values[name] = arguments.get(name, known.get(name, default))
        else:
          _step(each, image, place, roots, context, values, settings)
  return image


def _step(each, image, place, roots, context, values, settings):
  """Runs one instruction of a stage, or notes what it sets."""
  variables = {**values, **image.environment}
  if each.name == "ENV":
    image.environment.update(each.pairs(variables))
  elif each.name == "RUN":
    place.run(
      image.root,
      ["sh", "-c", each.value],
      user=image.user,
      folder=image.folder,
      environment={"HOME": "/root", **settings, **variables},
    )
  elif each.name == "COPY":
    words = dockerfile.expanded(each.value, variables).split()
    stage = words[0].removeprefix("--from=") if "--from=" in words[0] else None
    *names, target = words[stage is not None :]
    source = context if stage is None else roots[stage]
    target = place.path(image.root, os.path.join(image.folder, target))
    for name in names:
      _copy(source / name.lstrip("/"), target, is_folder=words[-1][-1] in "/.")
  elif each.name == "WORKDIR":
    image.folder = dockerfile.expanded(each.value, variables)
    place.path(image.root, image.folder).mkdir(parents=True, exist_ok=True)
  elif each.name == "USER":
    image.user = each.value
  elif each.name == "ENTRYPOINT":
    image.entry_point = each.words()
  elif each.name == "CMD":
    image.command = each.words()


def _copy(
  source: pathlib.Path, target: pathlib.Path, *, is_folder: bool
) -> None:
  """Copies a file into a folder, or what a folder holds, as COPY does."""
  if source.resolve() == target.resolve():
    return  # The stages share a folder.
  into = target if is_folder or source.is_dir() else target.parent
  into.mkdir(parents=True, exist_ok=True)
  what = f"{source}/." if source.is_dir() else str(source)
  subprocess.run(["cp", "--archive", what, str(target)], check=True)


@contextlib.contextmanager
def _context(root: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a copy of the files that .dockerignore lets into the build."""
  lines = (root / ".dockerignore").read_text().splitlines()
  kept = [line[1:] for line in lines if line.startswith("!")]
  if "*" not in lines:
    raise ValueError(".dockerignore: expected * and then !NAME for each name")
  dropped = [line[3:] for line in lines if line.startswith("**/")]
  with tempfile.TemporaryDirectory() as copy:
    for name in distributions.sources(root):
      parts = pathlib.PurePath(name).parts
      if parts[0] in kept and not set(parts) & set(dropped):
        path = pathlib.Path(copy, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, path)
    yield pathlib.Path(copy)


def try_image(image: Image, place: DebianRoots | OneFolder) -> None:
  """Runs the entry point without HOME, as two users, and imports packages.

  Args:
    image: result of `build`.
    place: where it was built.

  Raises:
    ValueError: the image runs as root.
    subprocess.CalledProcessError: a command failed.
  """
  if image.user.split(":")[0] in ("0", "root"):
    raise ValueError("the image runs as root; expected USER UID:GID")

  def run(command, user):
    who = user if place.has_users else "this user"
    print(f"as {who}, without HOME: {shlex.join(command)}", flush=True)
    place.run(
      image.root,
      command,
      user=user,
      folder=image.folder,
      environment=image.environment,
    )

  run([*image.entry_point, *image.command], image.user)
  run(["python", "-c", _IMPORTS], image.user)
  for user in (image.user, _NOBODY)[: 1 + place.has_users]:
    model_dir = f"run_of_{user.split(':')[0]}"
    run([*image.entry_point, *_TRAINING, f"--model_dir={model_dir}"], user)
    folder = place.path(image.root, f"{image.folder}/{model_dir}/saved_model")
    if not (folder / "saved_model.pb").is_file():
      raise ValueError(f"there is no {folder}/saved_model.pb")


def main(arguments: Sequence[str] | None = None) -> None:
  """Builds and tries the image of this checkout."""
  summary, _, details = __doc__.partition("\n\n")
  parser = argparse.ArgumentParser(description=summary, epilog=details)
  parser.add_argument("--work", type=pathlib.Path, help="new or empty folder")
  parser.add_argument("--where", choices=["debian", "folder"])
  parser.add_argument("--build_arg", action="append", default=[])
  parser.add_argument("--python", default="python3.13")
  parser.add_argument(
    "--setting",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="environment variable of RUN steps, such as PIP_INDEX_URL=...",
  )
  parser.add_argument(
    "--seen",
    action="append",
    default=[],
    metavar="PATH[:THERE]",
    help="file or folder of this machine that RUN steps see",
  )
  flags = parser.parse_args(arguments)
  where = flags.where or (
    "debian" if os.geteuid() == 0 and shutil.which("debootstrap") else "folder"
  )
  with contextlib.ExitStack() as stack:
    work = flags.work or stack.enter_context(tempfile.TemporaryDirectory())
    work = pathlib.Path(work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    place = (
      DebianRoots(work, flags.seen)
      if where == "debian"
      else OneFolder(work, flags.python)
    )
    print(f"The steps run {place.what}")
    image = build(
      _ROOT / "Dockerfile",
      place,
      dict(pair.split("=", 1) for pair in flags.build_arg),
      dict(pair.split("=", 1) for pair in flags.setting),
    )
    try_image(image, place)
    print(f"All steps and the trials passed, {place.what}")


if __name__ == "__main__":
  try:
    main()
  except (ValueError, OSError) as error:
    sys.exit(str(error))
  except subprocess.CalledProcessError as error:
    sys.exit(f"the last step failed with exit code {error.returncode}")
