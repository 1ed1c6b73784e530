"""What a person sees while an experiment runs; a reporter of doit's."""

import sys
import threading
from collections.abc import Callable

import tqdm
from doit import exceptions


class Reporter:
  """A bar over the steps that are to be run, and a line for each.

  Attributes:
    failed: from names of steps that failed to why.
  """

  def __init__(self, *, total: int, say: Callable[[str], None]):
    """Draws the bar.

    Args:
      total: how many steps are to be run.
      say: gets a line for each.
    """
    terminal = sys.stderr.isatty()
    self.failed: dict[str, str] = {}
    self._say_line = say
    self._lock = threading.Lock()  # steps end in threads of their own
    self._running: list[str] = []
    self._terminal = terminal
    self._bar = tqdm.tqdm(
      total=total,
      unit="step",
      desc="experiment",
      smoothing=0,  # steps take seconds or hours: the mean is the better guess
      mininterval=0.2 if terminal else 30,
      dynamic_ncols=terminal,
      bar_format="{desc} {percentage:3.0f}% |{bar:12}| {n_fmt}/{total_fmt}"
      " steps [{elapsed}<{remaining}, {rate_inv_fmt}]{postfix}",
    )

  def refresh(self) -> None:
    """Lets the clock of a bar on a terminal go on."""
    if self._terminal:
      self._bar.refresh()

  def close(self) -> None:
    """Leaves the bar as it stands."""
    self._bar.close()

  # What doit calls.

  def initialize(self, tasks, selected_tasks) -> None:
    pass

  def get_status(self, task) -> None:
    pass

  def execute_task(self, task) -> None:
    with self._lock:
      self._running.append(task.name)
      self._bar.set_postfix_str(", ".join(self._running), self._terminal)
    self._line(f"start   {task.name}")

  def add_success(self, task) -> None:
    self._ended(task.name)
    self._line(f"done    {task.name}")

  def add_failure(self, task, fail) -> None:
    self._ended(task.name)
    if isinstance(fail, exceptions.UnmetDependency):
      self._line(f"not run {task.name}: it needs {fail.message.strip()}")
      return
    expected = isinstance(fail, exceptions.TaskFailed)
    self.failed[task.name] = fail.message if expected else fail.get_msg()
    self._line(f"FAILED  {self.failed[task.name]}")

  def skip_uptodate(self, task) -> None:
    pass

  def skip_ignore(self, task) -> None:
    pass

  def cleanup_error(self, exception) -> None:
    pass

  def runtime_error(self, msg) -> None:
    raise RuntimeError(msg)

  def teardown_task(self, task) -> None:
    pass

  def complete_run(self) -> None:
    pass

  def _ended(self, name: str) -> None:
    with self._lock:
      if name in self._running:
        self._running.remove(name)
      self._bar.set_postfix_str(", ".join(self._running), refresh=False)
      self._bar.update()

  def _line(self, line: str) -> None:
    if not self._terminal:  # a log: the bar has lines of its own
      self._say_line(line)
      return
    with tqdm.tqdm.external_write_mode(file=sys.stderr):
      self._say_line(line)
