"""What a run leaves on disk, and whether the next one may go on in it."""

import difflib
import json
import pathlib
import shutil

from tf_ssl import errors
from tf_ssl.ops import workdir
from tf_ssl.training.distributed import cluster as cluster_lib
from tf_ssl.training.distributed import distribution

CONFIG_FILE = "operative_config.gin"
RUN_FILE = "run.json"


class RunDirectory:
  """The folder of one run.

  Attributes:
    path: the folder.
    checkpoints, tensorboard, saved_model, metrics, config, skipped_files,
      non_finite: what lies where.
    chief_checkpoints: of the process that the run's folder belongs to.
    resumed: whether an earlier run with this config was found here.
  """

  def __init__(self, model_dir: str):
    self.path = pathlib.Path(model_dir).expanduser()
    self.checkpoints = self.path / "checkpoints"
    self.tensorboard = self.path / "tensorboard"
    self.saved_model = self.path / "saved_model"
    self.metrics = self.path / "metrics.jsonl"
    self.config = self.path / CONFIG_FILE
    self.skipped_files = self.path / "skipped_files.txt"
    self.non_finite = self.path / "non_finite"
    self.chief_checkpoints = self.checkpoints
    self.resumed = False

  def of_worker(self, index: int) -> "RunDirectory":
    """The folder of a worker that is not the chief, inside of this one."""
    mine = RunDirectory(str(self.path / "workers" / str(index)))
    mine.chief_checkpoints = self.checkpoints
    return mine

  def open(self, config: str, *, overwrite: bool = False) -> None:
    """Makes the folder, or takes up the one of an earlier run.

    Args:
      config: the operative config of this run.
      overwrite: whether what lies there is replaced.

    Raises:
      UsageError: the folder holds something else, a run with another config
        (the differing lines are named), or cannot be written.
    """
    try:
      if overwrite and self.path.is_dir() and any(self.path.iterdir()):
        self._refuse_foreign()
        shutil.rmtree(self.path)
      self.path.mkdir(parents=True, exist_ok=True)
      if any(self.path.iterdir()):
        self._refuse_foreign()
        self._refuse_other_config(config)
        self.resumed = True
      workdir.write_text(self.config, config)
    except OSError as error:
      raise unwritable(self.path, error) from error

  def _refuse_foreign(self):
    # a run killed before its first config was written leaves only its temporary
    names = [p.name for p in self.path.iterdir() if not workdir.is_temporary(p)]
    if names and not self.config.exists():
      raise errors.UsageError(
        f"model_dir {self.path} is not empty and holds no {CONFIG_FILE}, so it"
        " is not a run of tf_ssl; give another --model_dir."
      )

  def _refuse_other_config(self, config: str):
    if not self.config.exists():
      return
    before, now = _settings(self.config.read_text()), _settings(config)
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

  def write_run_record(self, record: dict) -> None:
    """Writes run.json."""
    text = json.dumps(record, indent=2, sort_keys=True)
    workdir.write_text(self.path / RUN_FILE, text + "\n")


def opened(
  model_dir: str, cluster: cluster_lib.Cluster, config: str, *, overwrite: bool
) -> RunDirectory:
  """The run's folder for the chief; one inside of it for each other worker."""
  directory = RunDirectory(model_dir)
  if cluster.is_chief:
    directory.open(config, overwrite=overwrite)
  distribution.any_worker(False)  # the others wait until it is there
  if not cluster.is_chief:
    directory = directory.of_worker(cluster.index)
    directory.open(config, overwrite=True)
  return directory


def _settings(config: str) -> list[str]:
  """The lines of a gin config that bind something, in a fixed order."""
  logical = config.replace("\\\n", " ").splitlines()
  lines = [" ".join(line.split()) for line in logical]
  return sorted(line for line in lines if line and not line.startswith("#"))


def unwritable(path, error: Exception) -> errors.UsageError:
  """The one message for a disk that is full or a folder that is not ours."""
  reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
  return errors.UsageError(
    f"cannot write to {path}: {reason}; free some space or give a writable"
    " --model_dir. What was saved before is still whole."
  )
