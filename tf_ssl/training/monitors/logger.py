"""What the loggers of all experiment trackers share.

A tracker is a service on another machine: it may be down for hours. Its errors
never end a run, and never take much of its time.
"""

import abc
import importlib
import math
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import names, operative_config, progress, workdir
from tf_ssl.training import run_directory
from tf_ssl.training.monitors import base

STATE_FILE = "loggers.json"  # Of a run's folder.
_PAUSE = 9.0  # Times the seconds that failed: at most a tenth of the run.
_REASON_LETTERS = 300


class Logger(base.Monitor):
  """Sends each record of metrics.jsonl to an experiment tracker.

  The id of the logged run and its last step are kept in the run's folder, so a
  resumed run continues the logged run and sends no step twice. Records that
  could not be sent are sent with a later one. Only the chief worker logs.

  Attributes:
    title: name of the tracker for messages.
    package: name of its Python package, and of the extra that installs it.
  """

  every = 0
  title: str
  package: str

  def __init__(self, *, project: str = "tf_ssl", name: str | None = None):
    """Keeps the names; nothing is imported yet.

    Args:
      project: name of the project or experiment that the run belongs to.
      name: name of the logged run; None for that of the run's folder.
    """
    self.project = project
    self.name = name

  @abc.abstractmethod
  def open(self, run_id: str | None, name: str, config: Mapping) -> str:
    """Opens the logged run.

    Args:
      run_id: id that an earlier call returned, to continue that run; None for
        a new one.
      name: name of a new run.
      config: {name: value}, settings and origin of the run.

    Returns:
      The id of the logged run.
    """

  @abc.abstractmethod
  def send(self, step: int, values: Mapping[str, float]) -> None:
    """Sends the numbers of one step."""

  @abc.abstractmethod
  def close(self, outcome: str) -> None:
    """Closes the logged run; `outcome` is one of `base.OUTCOMES`."""

  def find_data(self) -> None:
    """Imports the tracker's package.

    Raises:
      UsageError: it is not installed, or cannot be imported.
    """
    try:
      module = importlib.import_module(self.package)
    except Exception as error:
      missing = getattr(error, "name", None) == self.package
      reason = "is not installed" if missing else f"fails: {_reason(error)}"
    else:
      # Without the package, the folder that it has once written beside the
      # working directory's files is an empty module of its name.
      reason = "is not installed"
      if getattr(module, "__file__", None):
        self.module = module
        return
    raise errors.UsageError(
      f"{self.title}: the package {self.package} {reason}; pip install"
      f" 'tf_ssl[{self.package}]', or leave the logger out"
    )

  def start(self, context: base.Context) -> None:
    """Opens the logged run.

    Raises:
      UsageError: a new one cannot be opened. One that is continued is tried
        again with the records, as the training should not wait for it.
    """
    super().start(context)
    self._folder = pathlib.Path(context.model_dir)
    known = self._states().get(self.package)
    known = known if isinstance(known, dict) else {}
    self._id: str | None = known.get("id")
    self._sent = step if type(step := known.get("step")) is int else -1
    self._is_open = False
    self._failures = 0
    self._failing: str | None = None
    self._pause_until = -math.inf
    if self._id is None:
      try:
        self._open()
      except Exception as error:
        raise errors.UsageError(
          f"{self.title} does not start: {_reason(error)}; mend it, or leave"
          " the logger out"
        ) from error
      self._keep()

  def measure(self, step: int) -> Mapping[str, float]:
    """Measures nothing."""
    del step
    return {}

  def on_record(self, history: Sequence[Mapping[str, float]]) -> None:
    """Sends the records that have not been sent, unless it has just failed."""
    if time.monotonic() >= self._pause_until:
      self._send(history)

  def end(self, outcome: str, history: Sequence[Mapping[str, float]]) -> None:
    """Tries once more to send what is missing, and closes the logged run."""
    self._send(history)
    if self._is_open:
      try:
        self.close(outcome)
      except Exception as error:
        self._failed(error, time.monotonic())
    if self._failures:
      missing = sum(record["step"] > self._sent for record in history)
      progress.write(
        f"WARNING: {self.title} failed {self._failures} times; {missing} of"
        f" {len(history)} records were not sent; metrics.jsonl has them all"
      )

  def _open(self) -> None:
    """Opens the logged run; raises whatever the tracker raises."""
    name = self.name or names.printable(self._folder.absolute().name)
    self._id = self.open(self._id, name, _config(self._folder))
    self._is_open = True

  def _send(self, history: Sequence[Mapping[str, float]]) -> None:
    began, before = time.monotonic(), self._sent
    try:
      if not self._is_open:
        self._open()
      for record in history:
        step = record["step"]
        if step > self._sent:
          self.send(step, {k: v for k, v in record.items() if k != "step"})
          self._sent = step
    except Exception as error:
      self._failed(error, began)
    else:
      if self._failing:
        progress.write(f"{self.title} works again; all records were sent")
      self._failing = None
    if self._sent != before:
      self._keep()

  def _failed(self, error: Exception, began: float) -> None:
    """Counts a failure, and warns of the first of several in a row."""
    now = time.monotonic()
    self._pause_until = now + _PAUSE * (now - began)
    self._failures += 1
    if not self._failing:
      self._failing = _reason(error)
      progress.write(
        f"WARNING: {self.title} fails: {self._failing}; training continues,"
        " and the records are sent when it works again"
      )

  def _keep(self) -> None:
    """Writes down what a resumed run needs."""
    states = self._states()
    states[self.package] = {"id": self._id, "step": self._sent}
    path = self._folder / STATE_FILE
    with workdir.writable(path, run_directory.ARGUMENT):
      workdir.write_json(path, states)

  def _states(self) -> dict[str, Any]:
    """What the loggers of the run have written down, by their packages."""
    states = workdir.read_json(self._folder / STATE_FILE)
    return states if isinstance(states, dict) else {}


def _config(folder: pathlib.Path) -> dict[str, Any]:
  """Settings and origin of the run in a folder."""
  directory = run_directory.RunDirectory(str(folder))
  text = ""
  if directory.config.exists():
    text = directory.config.read_text("utf-8", errors="replace")
  found = operative_config.settings(operative_config.bindings(text))
  record = directory.read_record()
  for name in ("command", "git_commit", "precision"):
    if record.get(name):
      found[name] = record[name]
  return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
  """A value that every tracker takes: number, truth value or text."""
  if isinstance(value, bool | int | float):
    return value
  return names.printable(str(value))


def _reason(error: Exception) -> str:
  text = " ".join(str(error).split()) or type(error).__name__
  return names.printable(text)[:_REASON_LETTERS]
