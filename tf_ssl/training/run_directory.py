"""The folder of a run: what it keeps, and whether a run may resume in it."""

import contextlib
import difflib
import json
import os
import pathlib
import re
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping

from tf_ssl import errors
from tf_ssl.export import saved_model
from tf_ssl.ops import environment, home, numbered_checkpoints, workdir
from tf_ssl.training.distributed import cluster as cluster_lib
from tf_ssl.training.distributed import distribution

CONFIG_FILE = "operative_config.gin"
RUN_FILE = "run.json"
ARGUMENT = "--model_dir"

# Temporary files that `ops.workdir` makes for a run, also in earlier versions.
_TEMPORARY = re.compile(
  r"\..+\.[0-9a-f]{40}\.tmp"
  r"|\.(operative_config\.gin|run\.json|metrics\.jsonl|timings\.jsonl|saved_model"
  r"|sprite\.png|labels\.tsv|features\.tsv|projector_config\.pbtxt)"
  r"(\.[0-9a-z]+)?\.tmp"
)
_PARTIAL_MODEL = re.compile(r"saved_model\.partial-[0-9]+")


class RunDirectory:
  """The folder of one run.

  Attributes:
    path: path of the folder.
    checkpoints, tensorboard, saved_model, metrics, config, skipped_files,
      non_finite, record: paths of its parts.
    chief_checkpoints: path of the checkpoints of the chief worker.
    resumed: whether the folder holds an earlier run with this config.
  """

  def __init__(self, model_dir: str):
    self.path = home.expand(model_dir, ARGUMENT)
    self.checkpoints = self.path / "checkpoints"
    self.tensorboard = self.path / "tensorboard"
    self.saved_model = self.path / "saved_model"
    self.metrics = self.path / "metrics.jsonl"
    self.config = self.path / CONFIG_FILE
    self.record = self.path / RUN_FILE
    self.skipped_files = self.path / "skipped_files.txt"
    self.non_finite = self.path / "non_finite"
    self.chief_checkpoints = self.checkpoints
    self.resumed = False

  def of_worker(self, index: int) -> "RunDirectory":
    """The folder of a worker other than the chief, inside this one."""
    own = RunDirectory(str(self.path / "workers" / str(index)))
    own.chief_checkpoints = self.checkpoints
    return own

  def open(self, config: str, *, overwrite: bool = False) -> None:
    """Creates the folder, or opens the one of an earlier run.

    Args:
      config: operative config of this run.
      overwrite: whether an earlier run there is removed.

    Raises:
      UsageError: the folder holds something else, or a run with another config
        (the message has the lines that differ), or cannot be written.
    """
    with workdir.writable(self.path, ARGUMENT):
      if overwrite and self.path.is_dir() and any(self.path.iterdir()):
        _refuse_foreign(self.path)
        for path in self.path.iterdir():
          if path.name == workdir.LOCK_FILE:
            continue  # A removed lock file would lock nobody out.
          _remove(path)
      self.path.mkdir(parents=True, exist_ok=True)
      self._remove_temporaries()
      if any(p.name != workdir.LOCK_FILE for p in self.path.iterdir()):
        _refuse_foreign(self.path)
        self._refuse_other_config(config)
        self.resumed = True
      workdir.write_text(self.config, config)

  def _remove_temporaries(self):
    """Removes what a killed run left half written; nobody else writes here."""
    for folder in (self.checkpoints, self.checkpoints / "best"):
      numbered_checkpoints.remove_unfinished(folder)
    for folder in (
      self.path,
      self.checkpoints,
      self.checkpoints / "best",
      self.non_finite,
      self.tensorboard,
      *(p for p in self.tensorboard.glob("**/*") if p.is_dir()),
    ):
      for path in _entries(folder):
        if _TEMPORARY.fullmatch(path.name):
          _remove(path)
    for path in _entries(self.path):
      if _is_partial_model(path):
        _remove(path)

  def _refuse_other_config(self, config: str):
    if not self.config.exists():
      return
    before = _bindings(self.config.read_text("utf-8", errors="replace"))
    now = _bindings(config)
    lines = [
      line
      for line in difflib.unified_diff(before, now, lineterm="", n=0)
      if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    if lines:
      raise errors.UsageError(
        f"model_dir {self.path} holds a run with another config; lines that"
        f" differ (- there, + now): {'; '.join(lines)}. Give another"
        " --model_dir, the same settings, or --overwrite to replace it."
      )

  def read_record(self) -> dict:
    """The content of run.json; {} if it is missing or damaged."""
    record = workdir.read_json(self.record)
    known = isinstance(record, dict) and isinstance(record.get("data"), dict)
    return record if known else {}

  def write_record(self, record: Mapping) -> None:
    """Writes run.json, with sorted keys.

    Raises:
      WriteError: the disk is full or not writable.
    """
    text = json.dumps(record, indent=2, sort_keys=True)
    with workdir.writable(self.record, ARGUMENT):
      workdir.write_text(self.record, text + "\n")


@contextlib.contextmanager
def locked(model_dir: str, cluster: cluster_lib.Cluster) -> Iterator[None]:
  """Keeps a second run out of `model_dir`; the chief holds the lock.

  A body that fails before it writes anything leaves the folder as it was.

  Raises:
    UsageError: another run uses the folder, it holds something else, or it
      cannot be written.
  """
  if not cluster.is_chief:
    yield
    return
  path = home.expand(model_dir, ARGUMENT)
  with workdir.writable(path, ARGUMENT):
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(path)
    is_empty = not os.listdir(path)
  with workdir.locked(path, ARGUMENT):
    try:
      yield
    finally:
      with contextlib.suppress(OSError):
        if is_empty and os.listdir(path) == [workdir.LOCK_FILE]:
          (path / workdir.LOCK_FILE).unlink()
          if is_new:
            path.rmdir()


@contextlib.contextmanager
def opened(
  model_dir: str, cluster: cluster_lib.Cluster, config: str, *, overwrite: bool
) -> Iterator[RunDirectory]:
  """Opens the run's folder for the chief, and one inside it for each worker.

  A worker keeps its folder locked. Where machines share no disk, the lock of
  the chief does not protect it.

  Raises:
    UsageError: see `RunDirectory.open`; or another process uses the folder.
  """
  directory = RunDirectory(model_dir)
  if cluster.is_chief:
    directory.open(config, overwrite=overwrite)
  distribution.any_worker(False)  # The other workers wait for the folder.
  if cluster.is_chief:
    yield directory
    return
  directory = directory.of_worker(cluster.index)
  with workdir.writable(directory.path, ARGUMENT):
    directory.path.mkdir(parents=True, exist_ok=True)
  with workdir.locked(directory.path, ARGUMENT):
    directory.open(config, overwrite=True)
    yield directory


def describe(*, command: str, seed: int, precision: str, data: Mapping) -> dict:
  """What run.json holds from the start.

  Args:
    command: command that the user typed.
    seed: seed of the run.
    precision: Keras dtype policy of the run's encoders.
    data: digest of the images: count, bytes, hash of sorted names and sizes.
  """
  return {
    "command": command,
    "versions": environment.versions(),
    "git_commit": environment.git_commit(),
    "hardware": environment.hardware(),
    "data": data,
    "seed": seed,
    "precision": precision,
  }


def peak_memory_bytes() -> int:
  """Peak memory of this process so far (resident set), bytes."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak if sys.platform == "darwin" else peak * 1024


def _refuse_foreign(folder: pathlib.Path) -> None:
  """Raises UsageError for a folder with files that are not of a run."""
  # A run killed before it wrote its first config leaves a temporary file.
  names = [
    path.name
    for path in folder.iterdir()
    if path.name != workdir.LOCK_FILE and not workdir.is_temporary(path)
  ]
  if names and not (folder / CONFIG_FILE).exists():
    raise errors.UsageError(
      f"model_dir {folder} is not empty and holds no {CONFIG_FILE}, so it"
      f" is not a run of tf_ssl; give another {ARGUMENT}."
    )


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
  return list(folder.iterdir()) if folder.is_dir() else []


def _remove(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path)
  else:
    path.unlink()


def _is_partial_model(path: pathlib.Path) -> bool:
  """Whether a killed export of an earlier version left this folder."""
  return bool(
    _PARTIAL_MODEL.fullmatch(path.name)
    and path.is_dir()
    and not path.is_symlink()
    and saved_model.has_nothing_else(str(path))
  )


def _bindings(config: str) -> list[str]:
  """The lines of a gin config that bind something, sorted."""
  logical = config.replace("\\\n", " ").splitlines()
  lines = [" ".join(line.split()) for line in logical]
  return sorted(line for line in lines if line and not line.startswith("#"))
